//! What earlier runs of `verify` found, for whoever shows it.

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
}

impl Verifications {
    pub fn read(catalogue: &dyn Catalogue) -> Result<Self, CatalogueError> {
        let recent = catalogue.upkeep().verifications(RECENT)?;
        let newest = recent.first().cloned();
        Ok(Self {
            standing: standing(recent),
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
    fn what_did_not_come_to_its_end_says_nothing() {
        let mut two = asked(&["--deep", ""]);
        two[0].finished_at = None;
        assert_eq!(standing(two)[0].asked, "");
    }
}
