//! Times within positions.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::entities::Position;

/// `-` and a UUID.
const AFTER_TIME: usize = 37;

/// The time that a position begins with, in whatever zone it is in; `None`
/// where it has none.
fn time(position: &Position) -> Option<DateTime> {
    let text = position.as_str();
    let is_whole = |length: &usize| text.as_bytes().get(*length) == Some(&b'-');
    let length = text.len().checked_sub(AFTER_TIME).filter(is_whole);
    text.get(..length.unwrap_or(text.len()))?.parse().ok()
}

/// The position so much earlier, in whole seconds: the beginning of the time
/// of entities. `None` where the position has no time.
pub(super) fn earlier(position: &Position, by: Duration) -> Option<Position> {
    let time = time(position)?.checked_sub(by).ok()?;
    let text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Some(text.into())
}

/// The position's time in seconds since 1970-01-01, as if it were UTC.
pub(super) fn second(position: &Position) -> Option<i64> {
    let zoned = time(position)?.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// How far one position is after another.
pub(super) fn between(earlier: &Position, later: &Position) -> Option<Duration> {
    let span = time(later)?.duration_since(time(earlier)?);
    Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_goes_back_with_and_without_a_fraction_and_an_id() {
        for text in [
            "2026-01-01T00:00:10.123456-0f0db3e6-8283-5bd8-bc95-23904c144fe1",
            "2026-01-01T00:00:10-0f0db3e6-8283-5bd8-bc95-23904c144fe1",
            "2026-01-01T00:00:10.123456",
            "2026-01-01T00:00:10",
        ] {
            let back = earlier(&text.into(), Duration::from_secs(20));
            assert_eq!(back, Some("2025-12-31T23:59:50".into()), "{text}");
        }
        assert_eq!(second(&"1970-01-01T00:01:00.5".into()), Some(60));
        assert_eq!(earlier(&"soon".into(), Duration::ZERO), None);
        assert_eq!(earlier(&Position::start(), Duration::ZERO), None);
    }

    #[test]
    fn the_time_between_two_positions_is_never_negative() {
        let (one, other) = ("2026-01-01T00:00:10".into(), "2026-01-01T00:00:12.5".into());
        assert_eq!(between(&one, &other), Some(Duration::from_millis(2500)));
        assert_eq!(between(&other, &one), None);
    }
}
