//! What earlier runs of `verify` found, for whoever shows it.

use std::collections::BTreeMap;

use crate::catalogue::{Catalogue, CatalogueError, Verification};

/// Verifications that are looked at, the newest first.
const RECENT: usize = 200;

/// Options that leave some of the archive out.
const PARTS: [&str; 5] = ["--topic", "--since", "--until", "--sample", "--subset"];

/// Options that look closer.
const CLOSER: [&str; 2] = ["--deep", "--against-kafka"];

/// What is known of the archive by its verifications.
#[derive(Default)]
pub(super) struct Verifications {
    /// Those that came to their end and that no later one has looked at the
    /// same as, the newest first: each night's part, for example.
    pub standing: Vec<Verification>,
    /// The newest of all, where it has not come to its end: it is under way, or
    /// was stopped.
    pub unfinished: Option<Verification>,
    /// The last complete ones that found nothing wrong.
    pub successes: Successes,
}

/// When verify last came to its end without a defect left, ms since 1970-01-01
/// UTC; 0: never. A look at the contents is one at the sizes too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Successes {
    /// Of sizes and of contents: the whole archive, in one run or in all parts
    /// of a `--subset`.
    pub archive: [i64; 2],
    /// The same, compared with Kafka.
    pub kafka: [i64; 2],
    /// Of anything less.
    pub part: [i64; 2],
}

impl Successes {
    fn of(recent: &[Verification]) -> Self {
        let mut last = Self::default();
        // By how many parts, how close and whether with Kafka: each part's last.
        let mut parts: BTreeMap<(u32, bool, bool), BTreeMap<u32, i64>> = BTreeMap::new();
        for one in recent {
            let Some(at) = one.finished_at.filter(|_| one.left() == 0) else {
                continue;
            };
            if one.messages == 0 && one.objects == 0 && !one.asked.contains("--subset") {
                continue;
            }
            let has = |option: &str| one.asked.split(' ').any(|word| word == option);
            let (is_deep, has_kafka) = (has("--deep"), has("--against-kafka"));
            let is_narrowed = ["--topic", "--since", "--until", "--sample"];
            let is_narrowed = is_narrowed.iter().any(|option| has(option));
            let part = part_of(&one.asked);
            if !is_narrowed && let Some((number, of)) = part {
                let seen = parts.entry((of, is_deep, has_kafka)).or_default();
                seen.entry(number).or_insert(at);
            }
            match is_narrowed || part.is_some() {
                true => note(&mut last.part, is_deep, at),
                false => {
                    note(&mut last.archive, is_deep, at);
                    if has_kafka {
                        note(&mut last.kafka, is_deep, at);
                    }
                }
            }
        }
        for ((of, is_deep, has_kafka), seen) in parts {
            // It is as old as its oldest part.
            if seen.len() == of as usize
                && let Some(oldest) = seen.values().min()
            {
                note(&mut last.archive, is_deep, *oldest);
                if has_kafka {
                    note(&mut last.kafka, is_deep, *oldest);
                }
            }
        }
        last
    }
}

fn note(last: &mut [i64; 2], is_deep: bool, at: i64) {
    last[0] = last[0].max(at);
    if is_deep {
        last[1] = last[1].max(at);
    }
}

/// Of `--subset 2/7`: 2 and 7.
fn part_of(asked: &str) -> Option<(u32, u32)> {
    let mut words = asked.split(' ').skip_while(|word| *word != "--subset");
    let (number, of) = words.nth(1)?.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?))
}

impl Verifications {
    pub fn read(catalogue: &dyn Catalogue) -> Result<Self, CatalogueError> {
        let recent = catalogue.upkeep().verifications(RECENT)?;
        let newest = recent.first().cloned();
        let successes = Successes::of(&recent);
        Ok(Self {
            standing: standing(recent),
            successes,
            unfinished: newest.filter(|one| one.finished_at.is_none()),
        })
    }
}

fn standing(newest_first: Vec<Verification>) -> Vec<Verification> {
    let mut standing: Vec<Verification> = vec![];
    for one in newest_first {
        let is_over = |later: &Verification| covers(&later.asked, &one.asked);
        if one.finished_at.is_some() && !standing.iter().any(is_over) {
            standing.push(one);
        }
    }
    standing
}

/// Whether a verification with these options looks at all that one with those
/// looks at.
fn covers(later: &str, earlier: &str) -> bool {
    let has = |asked: &str, option: &str| asked.split(' ').any(|word| word == option);
    let is_whole = !PARTS.iter().any(|part| has(later, part));
    let is_as_close = CLOSER
        .iter()
        .all(|option| has(later, option) || !has(earlier, option));
    later == earlier || (is_whole && is_as_close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(options: &[&str]) -> Vec<Verification> {
        let one = |(id, asked): (usize, &&str)| Verification {
            id: id as i64,
            asked: (*asked).to_owned(),
            finished_at: Some(1),
            ..Verification::default()
        };
        options.iter().enumerate().map(one).collect()
    }

    fn left(options: &[&str]) -> Vec<String> {
        let standing = standing(asked(options)).into_iter();
        standing.map(|one| one.asked).collect()
    }

    #[test]
    fn each_part_stands_until_it_or_the_whole_is_looked_at_again() {
        let nights = ["--deep --subset 2/7", "--deep --subset 1/7"];
        assert_eq!(left(&nights), nights);
        assert_eq!(left(&[nights[0], nights[1], nights[0]]), nights);
        assert_eq!(left(&["--deep --repair", nights[0]]), ["--deep --repair"]);
    }

    #[test]
    fn a_look_from_further_away_takes_nothing_back() {
        let both = ["", "--deep --topic a"];
        assert_eq!(left(&both), both);
        assert_eq!(left(&["--deep", ""]), ["--deep"]);
        assert_eq!(left(&["--deep", "--against-kafka"]).len(), 2);
    }

    #[test]
    fn all_parts_are_the_archive_and_as_old_as_the_oldest() {
        let night = |number: u32, at| Verification {
            asked: format!("--deep --subset {number}/3"),
            finished_at: Some(at),
            messages: 1,
            ..Verification::default()
        };
        let two = Successes::of(&[night(3, 30), night(1, 10)]);
        assert_eq!((two.archive, two.part), ([0, 0], [30, 30]));
        let three = Successes::of(&[night(3, 30), night(1, 25), night(2, 20), night(1, 10)]);
        assert_eq!(three.archive, [20, 20]);
    }

    #[test]
    fn only_complete_looks_without_a_defect_count() {
        let look = |finished_at, defects: i64, messages| Verification {
            finished_at,
            defects: [("gap".to_owned(), defects)].into(),
            messages,
            ..Verification::default()
        };
        for none in [look(None, 0, 5), look(Some(9), 1, 5), look(Some(9), 0, 0)] {
            assert_eq!(Successes::of(&[none]), Successes::default());
        }
        assert_eq!(Successes::of(&[look(Some(9), 0, 5)]).archive, [9, 0]);
    }

    #[test]
    fn what_did_not_come_to_its_end_says_nothing() {
        let mut two = asked(&["--deep", ""]);
        two[0].finished_at = None;
        assert_eq!(standing(two)[0].asked, "");
    }
}
