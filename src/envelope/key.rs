//! Where a message's object is written: the key rule.

use jiff::{Timestamp, tz::Offset};
use uuid::Uuid;

/// Characters of a UUID in a key.
const UUID_LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

/// `<topic>/<year>/<month>/<day>/<uuid>.bson` by the UTC date of `timestamp`
/// (ms), month and day without leading zeros; `<topic>/0/0/0/<uuid>.bson` for
/// a timestamp below 0 or past the year 9999.
///
/// Only ever used to write: a reader follows the catalogue's key.
pub fn object_key(topic: &str, timestamp: i64, uuid: Uuid) -> String {
    let (year, month, day) = utc_date(timestamp).unwrap_or((0, 0, 0));
    format!("{topic}/{year}/{month}/{day}/{uuid}.bson")
}

/// The key itself for number 1, else the one beside it of that number
/// (`…/<uuid>-2.bson`): where a message goes when something else lies under its
/// own key. `key` may itself be one beside.
pub fn key_beside(key: &str, number: u32) -> String {
    let stem = key.strip_suffix(".bson").unwrap_or(key);
    let stem = match stem.rsplit_once('/') {
        Some((folder, name)) if name.len() > UUID_LENGTH && name.is_char_boundary(UUID_LENGTH) => {
            &stem[..folder.len() + 1 + UUID_LENGTH]
        }
        _ => stem,
    };
    match number {
        1 => key.to_owned(),
        more => format!("{stem}-{more}.bson"),
    }
}

fn utc_date(timestamp: i64) -> Option<(i16, i8, i8)> {
    if timestamp < 0 {
        return None;
    }
    // Jiff's own range ends some hours before the year 10000; what it cannot
    // hold of the last day is that day all the same.
    const LAST_DAY: i64 = 253_402_214_400_000;
    const YEAR_10000: i64 = LAST_DAY + 86_400_000;
    if (LAST_DAY..YEAR_10000).contains(&timestamp) {
        return Some((9999, 12, 31));
    }
    let date = Offset::UTC
        .to_datetime(Timestamp::from_millisecond(timestamp).ok()?)
        .date();
    Some((date.year(), date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_of(timestamp: i64) -> String {
        let key = object_key("t", timestamp, Uuid::nil());
        key.trim_start_matches("t/")
            .trim_end_matches("/00000000-0000-0000-0000-000000000000.bson")
            .to_owned()
    }

    #[test]
    fn the_key_holds_topic_utc_date_and_uuid() {
        let uuid = Uuid::from_u128(0x0f0db3e6_8283_5bd8_bc95_23904c144fe1);
        assert_eq!(
            object_key("alerts", 1_700_000_000_000, uuid),
            "alerts/2023/11/14/0f0db3e6-8283-5bd8-bc95-23904c144fe1.bson"
        );
    }

    #[test]
    fn keys_beside_a_key_are_numbered_from_its_uuid() {
        let stem = "t/2023/11/14/6b6e6f77-6e2d-6461-7461-2d7575696431";
        let key = format!("{stem}.bson");
        assert_eq!(key_beside(&key, 1), key);
        assert_eq!(key_beside(&key, 2), format!("{stem}-2.bson"));
        assert_eq!(
            key_beside(&format!("{stem}-2.bson"), 3),
            format!("{stem}-3.bson")
        );
        assert_eq!(key_beside("x", 2), "x-2.bson");
    }

    #[test]
    fn month_and_day_have_no_leading_zero_and_days_end_at_utc_midnight() {
        assert_eq!(day_of(0), "1970/1/1");
        assert_eq!(day_of(86_399_999), "1970/1/1");
        assert_eq!(day_of(86_400_000), "1970/1/2");
        assert_eq!(day_of(951_782_400_000), "2000/2/29");
    }

    #[test]
    fn a_timestamp_that_is_no_date_goes_to_day_zero() {
        assert_eq!(day_of(-1), "0/0/0");
        assert_eq!(day_of(i64::MIN), "0/0/0");
        assert_eq!(day_of(i64::MAX), "0/0/0");
        assert_eq!(day_of(253_402_300_799_999), "9999/12/31");
        assert_eq!(day_of(253_402_300_800_000), "0/0/0");
    }
}
