//! Times as positions, and positions as whole seconds.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Position;

/// `2026-01-01T00:00:00`
const SECOND_BYTES: usize = 19;
const LAST_SECOND: &str = "9999-12-31T23:59:59";

/// Positions further apart have much between them.
const FAR: SignedDuration = SignedDuration::from_secs(60);

/// The position before which is exactly what was stamped before the time
/// (microseconds since 1970-01-01 UTC), by a clock in `zone`.
///
/// The fraction ends in no zero and is left out when it is zero: a row of this
/// very time goes on behind it (with `-`, or with digits), so it is not before
/// it, however many digits its own fraction has.
///
/// Where clocks will be put back soon, times of their second pass through the
/// hour come yet: then it is the time that they are put back to.
pub fn before(micros: i64, zone: &TimeZone) -> Position {
    let time = Timestamp::from_microsecond(micros).unwrap_or(match micros {
        ..0 => Timestamp::MIN,
        _ => Timestamp::MAX,
    });
    // Forth and back again: one of the next two is the one that puts back.
    let after_changes = zone
        .following(time)
        .take(2)
        .map(|change| zone.to_datetime(change.timestamp()));
    let earliest = after_changes.fold(zone.to_datetime(time), DateTime::min);
    Position::new(text(earliest))
}

fn text(time: DateTime) -> String {
    let seconds = time.strftime("%Y-%m-%dT%H:%M:%S");
    match time.subsec_nanosecond() {
        0 => seconds.to_string(),
        nanoseconds => {
            let fraction = format!("{nanoseconds:09}");
            format!("{seconds}.{}", fraction.trim_end_matches('0'))
        }
    }
}

/// The text of the whole second that a position lies in; `None` when it is not
/// a time.
pub fn second(position: &str) -> Option<&str> {
    let second = position.get(..SECOND_BYTES)?;
    parse(second).map(|_| second)
}

/// The text of the second after that; `None` when there is none.
pub fn next_second(second: &str) -> Option<String> {
    let next = parse(second)?
        .checked_add(jiff::Span::new().seconds(1))
        .ok()?;
    Some(text(next))
}

/// Whether much may have been written between two positions.
pub fn is_far(from: &Position, to: &Position) -> bool {
    let time = |position: &Position| second(position.as_str()).and_then(parse);
    match (time(from), time(to)) {
        (Some(from), Some(to)) => to.duration_since(from) > FAR,
        _ => true,
    }
}

/// The whole seconds that two positions lie in, and all between: from the first
/// text on, and below the second.
pub fn whole_seconds<'a>(from: &'a Position, to: &Position) -> (&'a str, String) {
    let first = second(from.as_str()).unwrap_or_default();
    let end = second(to.as_str()).and_then(next_second);
    (first, end.unwrap_or_else(|| LAST_SECOND.to_owned()))
}

fn parse(second: &str) -> Option<DateTime> {
    let parsed = DateTime::strptime("%Y-%m-%dT%H:%M:%S", second).ok()?;
    // The parser takes what this program would not write, a year of 3 digits.
    (text(parsed) == second).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "0f0db3e6-8283-5bd8-bc95-23904c144fe1";

    /// As Python's `isoformat` has it: six digits or none.
    fn stamped(micros: i64) -> Position {
        let time = Timestamp::from_microsecond(micros).expect("in range");
        let time = TimeZone::UTC.to_datetime(time);
        let fraction = match time.subsec_nanosecond() / 1000 {
            0 => String::new(),
            micros => format!(".{micros:06}"),
        };
        Position::new(format!(
            "{}{fraction}-{UUID}",
            time.strftime("%Y-%m-%dT%H:%M:%S")
        ))
    }

    #[test]
    fn a_fraction_that_is_zero_is_left_out() {
        let second = 1_767_225_600_000_000;
        let texts = [0, 1, 120_000, 999_999].map(|more| before(second + more, &TimeZone::UTC));
        assert_eq!(
            texts.each_ref().map(Position::as_str),
            [
                "2026-01-01T00:00:00",
                "2026-01-01T00:00:00.000001",
                "2026-01-01T00:00:00.12",
                "2026-01-01T00:00:00.999999",
            ]
        );
    }

    #[test]
    fn while_clocks_are_about_to_be_put_back_the_time_is_the_one_they_are_put_back_to() {
        let zone = TimeZone::get("Europe/Berlin").expect("tzdata");
        let at = |text: &str| {
            let time: Timestamp = text.parse().expect("a time");
            before(time.as_microsecond(), &zone).into_string()
        };
        // Put back at 01:00 UTC, from 03:00 to 02:00.
        assert_eq!(at("2026-10-24T23:30:00Z"), "2026-10-25T01:30:00");
        assert_eq!(at("2026-10-25T00:00:00Z"), "2026-10-25T02:00:00");
        assert_eq!(at("2026-10-25T00:30:00Z"), "2026-10-25T02:00:00");
        assert_eq!(at("2026-10-25T01:30:00Z"), "2026-10-25T02:30:00");
        // Put forth at 01:00 UTC, from 02:00 to 03:00.
        assert_eq!(at("2026-03-29T00:59:59Z"), "2026-03-29T01:59:59");
        assert_eq!(at("2026-03-29T01:00:00Z"), "2026-03-29T03:00:00");
    }

    #[test]
    fn whole_seconds_follow_each_other() {
        assert_eq!(second("2026-01-01T00:00:00-x"), Some("2026-01-01T00:00:00"));
        assert_eq!(
            second("2026-01-01T00:00:00.5-x"),
            Some("2026-01-01T00:00:00")
        );
        assert_eq!(second("2026-13-01T00:00:00"), None);
        assert_eq!(second("2026-01-01T00:00:0é"), None);
        assert_eq!(second(""), None);
        assert_eq!(
            next_second("2026-12-31T23:59:59").as_deref(),
            Some("2027-01-01T00:00:00")
        );
    }

    proptest! {
        #[test]
        fn a_row_is_before_a_bound_exactly_when_it_was_stamped_before_it(
            bound in 0_i64..4_000_000_000_000_000,
            distance in prop_oneof![-3_000_000_i64..3_000_000, Just(0), -2_i64..3],
            coarse in prop::sample::select(vec![1_i64, 1000, 100_000, 1_000_000]),
        ) {
            let bound = bound / coarse * coarse;
            let row = bound + distance;
            prop_assume!(row >= 0);
            prop_assert_eq!(stamped(row) < before(bound, &TimeZone::UTC), row < bound);
        }

        #[test]
        fn positions_are_ordered_as_their_times(
            one in 0_i64..4_000_000_000_000_000,
            distance in 0_i64..3_000_000,
        ) {
            prop_assert!(stamped(one) <= stamped(one + distance));
        }

        #[test]
        fn no_text_as_position_panics(text in "\\PC*") {
            if let Some(second) = second(&text) {
                let _ = next_second(second);
            }
        }
    }
}
