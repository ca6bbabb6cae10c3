//! Which archived messages: from what was typed to the catalogue's filter.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{UsageError, output};
use crate::catalogue::{Catalogue, CatalogueError, RowFilter};
use crate::cli::Select;
use crate::config::TopicGlobs;

/// The catalogue's mark on topics of direct uploads. No topic of Kafka's has a
/// `+`, so a glob is told without it.
const OVERSIZED: &str = "+oversized";

/// What was typed, understood.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    topics: Vec<Pattern>,
    /// [since, until), ms since 1970-01-01 UTC.
    since: Option<i64>,
    until: Option<i64>,
}

#[derive(Clone, Debug)]
struct Pattern {
    typed: String,
    glob: TopicGlobs,
    is_oversized: bool,
}

impl Chosen {
    /// Understands `select`; relative times are before `now`. Asks nothing and
    /// nobody: whatever is wrong is told before anything is opened.
    pub fn read(select: &Select, now: Timestamp) -> Result<Self, UsageError> {
        let time = |option, typed: &Option<String>| {
            let typed = typed.as_deref();
            let read = |typed| time(typed, now).ok_or_else(|| UsageError(no_time(option, typed)));
            typed.map(read).transpose()
        };
        let (since, until) = (
            time("--since", &select.since)?,
            time("--until", &select.until)?,
        );
        if let (Some(from), Some(to)) = (since, until)
            && from > to
        {
            return Err(UsageError(format!(
                "--since {} is after --until {}, so no message can match: swap them",
                select.since.as_deref().unwrap_or_default(),
                select.until.as_deref().unwrap_or_default(),
            )));
        }
        let topics = select.topics.iter().map(|typed| Pattern::read(typed));
        Ok(Self {
            topics: topics.collect::<Result<_, _>>()?,
            since,
            until,
        })
    }

    /// The catalogue's filter for it: globs become the topics that the
    /// catalogue has. A pattern that matches none of them is told on stderr; no
    /// message has such a topic. Blocks.
    pub fn filter(&self, catalogue: &dyn Catalogue) -> Result<RowFilter, CatalogueError> {
        Ok(RowFilter {
            topics: match self.topics.is_empty() {
                true => None,
                false => Some(self.matching(topics_of(catalogue)?)),
            },
            since: self.since,
            until: self.until,
            ..RowFilter::default()
        })
    }

    /// The first pattern that none of these topics matches.
    pub fn unmatched(&self, topics: &[String]) -> Option<&str> {
        let is_unmatched = |pattern: &&Pattern| !topics.iter().any(|topic| pattern.is_match(topic));
        let pattern = self.topics.iter().find(is_unmatched)?;
        Some(&pattern.typed)
    }

    /// [since, until), ms since 1970-01-01 UTC.
    pub fn times(&self) -> (Option<i64>, Option<i64>) {
        (self.since, self.until)
    }

    /// Whether a topic of Kafka's is one of those that were typed.
    pub fn has_topic(&self, topic: &str) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|pattern| pattern.is_match(topic))
    }

    fn matching(&self, mut topics: Vec<String>) -> Vec<String> {
        for pattern in &self.topics {
            if !topics.iter().any(|topic| pattern.is_match(topic)) {
                output::note(&format!("the archive has no topic {:?}", pattern.typed));
            }
        }
        topics.retain(|topic| self.topics.iter().any(|pattern| pattern.is_match(topic)));
        topics
    }
}

/// The topic that looks most like what was typed.
pub(super) fn nearest_topic<'a>(
    typed: &str,
    topics: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // No name of a topic is longer.
    let typed: String = typed.chars().take(249).collect();
    let distance = |topic: &&str| strsim::damerau_levenshtein(&typed, topic);
    topics.into_iter().min_by_key(distance)
}

pub(super) fn topics_of(catalogue: &dyn Catalogue) -> Result<Vec<String>, CatalogueError> {
    let all = catalogue.count_by_topic(&RowFilter::default())?;
    Ok(all.into_iter().map(|summary| summary.topic).collect())
}

impl Pattern {
    fn read(typed: &str) -> Result<Self, UsageError> {
        let plain = typed.strip_suffix(OVERSIZED);
        let glob = TopicGlobs::parse([plain.unwrap_or(typed)])
            .map_err(|error| UsageError(format!("--topic: {error}")))?;
        Ok(Self {
            typed: typed.to_owned(),
            glob,
            is_oversized: plain.is_some(),
        })
    }

    fn is_match(&self, topic: &str) -> bool {
        match self.is_oversized {
            true => topic
                .strip_suffix(OVERSIZED)
                .is_some_and(|plain| self.glob.is_match(plain)),
            false => self.glob.is_match(topic),
        }
    }
}

/// Ms since 1970-01-01 UTC of what a person calls a time; `None` if it is none.
pub(super) fn time(typed: &str, now: Timestamp) -> Option<i64> {
    let digits = typed.strip_prefix('-').unwrap_or(typed);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return typed.parse().ok();
    }
    if let Some(ago) = ago(typed) {
        return Some(milliseconds(now.checked_sub(ago).ok()?));
    }
    if typed.len() == "2024-05-01".len() {
        let midnight = typed.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
        return Some(milliseconds(midnight.timestamp()));
    }
    typed.parse().ok().map(milliseconds)
}

/// Ms of a time like `90s`, `15m`, `24h`, `7d`, `2w`.
pub(super) fn age(typed: &str) -> Option<i64> {
    i64::try_from(ago(typed)?.as_millis()).ok()
}

/// `90s`, `15m`, `24h`, `7d`, `2w`.
fn ago(typed: &str) -> Option<SignedDuration> {
    let unit = typed.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let count = typed.strip_suffix(unit)?;
    // No sign: a time ago is not in the future.
    let count: u32 = match count.starts_with('+') {
        true => return None,
        false => count.parse().ok()?,
    };
    Some(SignedDuration::from_secs(i64::from(count) * seconds))
}

/// The first whole millisecond that is not before `time`: right for both ends
/// of a half-open span.
fn milliseconds(time: Timestamp) -> i64 {
    let milliseconds = (time.as_nanosecond() + 999_999).div_euclid(1_000_000);
    // Jiff's times lie within ±400 million million ms.
    milliseconds as i64
}

fn no_time(option: &str, typed: &str) -> String {
    format!(
        "{option} {typed:?} is no time: write RFC 3339 with an offset (2024-05-01T12:00:00Z), \
         a date (2024-05-01, from midnight UTC), milliseconds since 1970 (1714564800000) or how \
         long ago (90s, 15m, 24h, 7d, 2w)"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_714_564_800_000;

    fn read(typed: &str) -> Option<i64> {
        time(typed, Timestamp::from_millisecond(NOW).expect("a time"))
    }

    fn chosen(since: &str, until: &str) -> Result<Chosen, UsageError> {
        let select = Select {
            topics: vec![],
            since: Some(since.to_owned()),
            until: Some(until.to_owned()),
        };
        Chosen::read(&select, Timestamp::from_millisecond(NOW).expect("a time"))
    }

    #[test]
    fn a_time_is_rfc_3339_a_date_milliseconds_or_how_long_ago() {
        assert_eq!(read("2024-05-01T12:00:00Z"), Some(NOW));
        assert_eq!(read("2024-05-01T14:00:00.250+02:00"), Some(NOW + 250));
        assert_eq!(read("2024-05-01"), Some(NOW - 12 * 3_600_000));
        assert_eq!(read("1714564800000"), Some(NOW));
        assert_eq!(read("-1"), Some(-1));
        assert_eq!(read("90s"), Some(NOW - 90_000));
        assert_eq!(read("15m"), Some(NOW - 900_000));
        assert_eq!(read("24h"), Some(NOW - 86_400_000));
        assert_eq!(read("7d"), Some(NOW - 7 * 86_400_000));
        assert_eq!(read("2w"), Some(NOW - 14 * 86_400_000));
    }

    #[test]
    fn a_time_within_a_millisecond_excludes_the_messages_before_it() {
        assert_eq!(read("2024-05-01T12:00:00.0001Z"), Some(NOW + 1));
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is_accepted() {
        for typed in [
            "",
            "-",
            "yesterday",
            "2024-05-01T12:00:00",
            "2024-13-01",
            "h",
            "-7d",
            "+7d",
            "7 d",
            "99999999999999999999",
            "9999999999w",
            "2024-05-01T25:00:00Z",
            "\u{1F552}\u{1F552}ab",
        ] {
            assert_eq!(read(typed), None, "{typed:?}");
        }
        let error = chosen("yesterday", "1").expect_err("no time").to_string();
        assert!(error.contains("--since \"yesterday\"") && error.contains("2024-05-01T12:00:00Z"));
    }

    #[test]
    fn since_after_until_is_refused_and_the_same_time_is_an_empty_span() {
        assert!(chosen("1h", "2h").is_err());
        assert!(chosen("2h", "1h").is_ok());
        assert!(chosen("1000", "1000").is_ok());
    }

    #[test]
    fn a_pattern_selects_direct_uploads_only_where_it_says_so() {
        let pattern = |typed| Pattern::read(typed).expect("a pattern");
        assert!(pattern("gcn.*+oversized").is_match("gcn.circular+oversized"));
        assert!(!pattern("gcn.*+oversized").is_match("gcn.circular"));
        assert!(!pattern("gcn.circular").is_match("gcn.circular+oversized"));
        assert!(Pattern::read("gcn.[").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reading_of_a_time_panic(typed in "\\PC{0,24}|[0-9TZ:+.-]{0,30}|-?[0-9]{1,22}[smhdw]?") {
            read(&typed);
        }

        #[test]
        fn every_number_is_a_time_in_milliseconds(number: i64) {
            prop_assert_eq!(read(&number.to_string()), Some(number));
        }

        #[test]
        fn every_time_that_is_shown_is_read_back_the_same(ms in -62_135_596_800_000_i64..253_402_200_000_000) {
            let shown = Timestamp::from_millisecond(ms).expect("a time").to_string();
            prop_assert_eq!(read(&shown), Some(ms));
        }
    }
}
