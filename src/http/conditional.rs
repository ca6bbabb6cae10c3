//! Conditions and ranges of a request for bytes that never change.
//!
//! RFC 9110, sections 13 and 14.

use std::ops::Range;

use hyper::header::{HeaderMap, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What of the bytes is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// Never empty, and within the length.
    Bytes(Range<u64>),
    /// Nothing of it is there.
    OutOfReach,
}

/// Whether the client has the bytes of this tag already.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let asked = headers.get_all(IF_NONE_MATCH);
    let mut texts = asked.iter().filter_map(|value| value.to_str().ok());
    texts.any(|text| {
        text.split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    })
}

/// The part of `length` bytes that is asked for. Several ranges at once, other
/// units and what cannot be understood are answered with the whole, as they may
/// be.
pub fn part(headers: &HeaderMap, tag: &str, length: u64) -> Part {
    // A date never matches: then it is the whole.
    let is_same = headers
        .get(IF_RANGE)
        .is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    match asked {
        Some(text) if is_same => range(text, length),
        _ => Part::Whole,
    }
}

fn range(text: &str, length: u64) -> Part {
    let asked = text
        .split_once('=')
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
        .and_then(|(_, range)| range.trim().split_once('-'));
    match asked {
        Some(("", last)) => suffix(last, length),
        Some((first, "")) => match number(first) {
            Some(first) => between(first, length, length),
            None => Part::Whole,
        },
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                between(first, last.saturating_add(1), length)
            }
            _ => Part::Whole,
        },
        None => Part::Whole,
    }
}

fn suffix(last: &str, length: u64) -> Part {
    match number(last) {
        Some(0) => Part::OutOfReach,
        Some(last) => between(length.saturating_sub(last), length, length),
        None => Part::Whole,
    }
}

fn between(first: u64, end: u64, length: u64) -> Part {
    if first >= length {
        return Part::OutOfReach;
    }
    Part::Bytes(first..end.min(length))
}

/// Digits only; a number too large to hold is larger than anything there is.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_range_is_understood_in_its_three_forms() {
        assert_eq!(range("bytes=0-0", 10), Part::Bytes(0..1));
        assert_eq!(range("bytes=2-5", 10), Part::Bytes(2..6));
        assert_eq!(range("bytes=5-99", 10), Part::Bytes(5..10));
        assert_eq!(range("Bytes = 7-", 10), Part::Bytes(7..10));
        assert_eq!(range("bytes=-3", 10), Part::Bytes(7..10));
        assert_eq!(range("bytes=-99", 10), Part::Bytes(0..10));
        let past_all = "bytes=0-99999999999999999999999";
        assert_eq!(range(past_all, 10), Part::Bytes(0..10));
    }

    #[test]
    fn what_is_not_there_is_out_of_reach_and_what_makes_no_sense_is_the_whole() {
        for text in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(range(text, 10), Part::OutOfReach, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Part::OutOfReach);
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            assert_eq!(range(text, 10), Part::Whole, "{text}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_is_answered_with_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
        assert_eq!(part(&headers, "\"a\"", 10), Part::Bytes(0..2));
        assert_eq!(part(&headers, "\"b\"", 10), Part::Whole);
    }

    #[test]
    fn a_tag_is_known_among_others_weak_or_by_a_star() {
        for text in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(text));
            assert!(is_known(&headers, "\"a\""), "{text}");
            assert!(!is_known(&headers, "\"c\"") || text == "*");
        }
    }

    proptest! {
        #[test]
        fn no_range_panics_or_leaves_the_bytes(text in "bytes=[0-9,-]{0,30}|[ -~]{0,30}", length: u64) {
            if let Part::Bytes(part) = range(&text, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn every_range_within_is_given_as_it_was_asked_for(length in 1..u64::MAX, a: u64, b: u64) {
            let (a, b) = (a % length, b % length);
            let (first, last) = (a.min(b), a.max(b));
            let text = format!("bytes={first}-{last}");
            prop_assert_eq!(range(&text, length), Part::Bytes(first..last + 1));
        }
    }
}
