//! An archived message as a record for the target.

use std::sync::Arc;

use crate::catalogue::Appearance;
use crate::envelope::Document;
use crate::kafka::partition_of_key;
use crate::record::{Header, Record, TimestampType};

/// The header with the original time and its type, where they could not be
/// restored.
pub const TIME_HEADER: &str = "_archive_timestamp";

/// The header with the archive's UUID.
pub const UUID_HEADER: &str = "_archive_uuid";

/// Kafka's client takes 0 for «now»: the nearest time to it.
const NEAREST_TO_ZERO: i64 = 1;

/// Where records go, and what is added to them.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    pub topic: Arc<str>,
    pub partitions: i32,
    pub by_key: bool,
    pub mark: bool,
}

/// What a record is not restored exactly in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Near {
    /// Its timestamp was 0 and is 1 now: the client takes 0 for now.
    TimestampZero,
    /// The broker had set its time; it is the producer's now.
    LogAppend,
    /// It had no timestamp; it is −1 of a producer now.
    NoTimestamp,
    /// Its partition and offset are not known: it goes by its key, in the order
    /// of time.
    NoPlace,
}

impl Aim {
    /// The record, and what is not exact about it.
    pub fn record(&self, document: Document, appearance: &Appearance) -> (Record, Vec<Near>) {
        let mut near = vec![];
        let known = appearance.partition.or(document.partition);
        if known.is_none() {
            near.push(Near::NoPlace);
        }
        let timestamp = match appearance.is_retry {
            true => appearance.timestamp,
            false => document.timestamp,
        };
        // Another archiver does not say the type: it is a producer's by default.
        let kind = appearance.timestamp_type.or(document.timestamp_type);
        let kind = kind.unwrap_or(TimestampType::Create);
        let inexact_time = inexact_time(timestamp, kind);
        let mut headers = document.headers;
        if let Some(reason) = inexact_time {
            near.push(reason);
            let original = format!("{timestamp} {}", kind.as_str());
            headers.push(header(TIME_HEADER, original));
        }
        if self.mark {
            headers.push(header(
                UUID_HEADER,
                appearance.uuid.hyphenated().to_string(),
            ));
        }
        let record = Record {
            topic: self.topic.clone(),
            partition: self.partition(known, document.key.as_deref()),
            offset: 0,
            timestamp: match timestamp {
                0 => NEAREST_TO_ZERO,
                timestamp => timestamp,
            },
            timestamp_type: TimestampType::Create,
            key: document.key,
            value: document.value,
            headers,
        };
        (record, near)
    }

    /// The partition that it was in, or its key's; without a key, always the
    /// same one.
    fn partition(&self, known: Option<i32>, key: Option<&[u8]>) -> i32 {
        match (known, key) {
            (Some(partition), _) if !self.by_key => partition,
            (_, Some(key)) => partition_of_key(key, self.partitions),
            (known, None) => known.unwrap_or(0).rem_euclid(self.partitions.max(1)),
        }
    }
}

fn inexact_time(timestamp: i64, kind: TimestampType) -> Option<Near> {
    match (timestamp, kind) {
        (_, TimestampType::LogAppend) => Some(Near::LogAppend),
        (_, TimestampType::None) => Some(Near::NoTimestamp),
        (0, TimestampType::Create) => Some(Near::TimestampZero),
        _ => None,
    }
}

fn header(name: &str, value: String) -> Header {
    Header {
        name: name.into(),
        value: Some(value.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalogue::StreamPlace;
    use crate::envelope;
    use crate::store::Location;

    fn aim(by_key: bool, mark: bool) -> Aim {
        Aim {
            topic: "target".into(),
            partitions: 3,
            by_key,
            mark,
        }
    }

    fn archived(timestamp: i64, kind: TimestampType, key: Option<&[u8]>) -> (Document, Appearance) {
        let record = Record {
            topic: "source".into(),
            partition: 2,
            offset: 7,
            timestamp,
            timestamp_type: kind,
            key: key.map(<[u8]>::to_vec),
            value: None,
            headers: vec![header("a", "b".to_owned())],
        };
        let digest = envelope::delivery(&record).digest;
        let notes = envelope::annotate(&record, digest, Uuid::nil(), false);
        let bytes = envelope::encode(&record, &notes);
        let appearance = Appearance {
            place: StreamPlace::START,
            uuid: Uuid::nil(),
            location: Location {
                bucket: String::new(),
                key: String::new(),
                range: None,
            },
            size: bytes.len() as i32,
            crc32: 0,
            partition: Some(2),
            offset: Some(7),
            timestamp,
            timestamp_type: Some(kind),
            is_retry: false,
        };
        (envelope::decode(&bytes).expect("just written"), appearance)
    }

    fn restored(timestamp: i64, kind: TimestampType) -> (Record, Vec<Near>) {
        let (document, appearance) = archived(timestamp, kind, None);
        aim(false, false).record(document, &appearance)
    }

    #[test]
    fn what_the_client_can_produce_is_as_it_was() {
        for timestamp in [-1, 1, 1_700_000_000_000, i64::MAX] {
            let (record, near) = restored(timestamp, TimestampType::Create);
            assert_eq!((record.timestamp, record.partition), (timestamp, 2));
            assert_eq!((record.headers.len(), near.len()), (1, 0));
        }
    }

    #[test]
    fn what_it_cannot_produce_keeps_its_original_in_a_header() {
        use TimestampType::{Create, LogAppend, None};
        for (timestamp, kind, sent, reason, original) in [
            (0, Create, 1, Near::TimestampZero, "0 create"),
            (5, LogAppend, 5, Near::LogAppend, "5 log_append"),
            (0, LogAppend, 1, Near::LogAppend, "0 log_append"),
            (-1, None, -1, Near::NoTimestamp, "-1 none"),
        ] {
            let (record, near) = restored(timestamp, kind);
            assert_eq!((record.timestamp, near), (sent, vec![reason]));
            let added = header(TIME_HEADER, original.to_owned());
            assert_eq!(record.headers, [header("a", "b".to_owned()), added]);
        }
    }

    #[test]
    fn a_retry_has_the_content_of_its_message_and_a_time_of_its_own() {
        let (document, mut appearance) = archived(5, TimestampType::Create, None);
        (appearance.is_retry, appearance.timestamp) = (true, 9);
        let (record, near) = aim(false, false).record(document, &appearance);
        assert_eq!((record.timestamp, near.len()), (9, 0));
    }

    #[test]
    fn by_key_equal_keys_meet_and_a_null_key_keeps_to_a_partition() {
        let of = |key| {
            let (document, appearance) = archived(1, TimestampType::Create, key);
            aim(true, false).record(document, &appearance).0.partition
        };
        assert_eq!(of(Some(b"foobar")), (-790_332_482 & 0x7fff_ffff) % 3);
        assert_eq!(of(None), 2);
    }

    #[test]
    fn a_mark_is_the_archive_s_uuid_behind_all_other_headers() {
        let (document, appearance) = archived(1, TimestampType::Create, None);
        let (record, _) = aim(false, true).record(document, &appearance);
        let mark = header(UUID_HEADER, Uuid::nil().hyphenated().to_string());
        assert_eq!(record.headers.last(), Some(&mark));
    }

    #[test]
    fn without_a_known_place_it_goes_by_its_key_and_is_told() {
        let (mut document, mut appearance) = archived(1, TimestampType::Create, Some(b"foobar"));
        (document.partition, appearance.partition) = (None, None);
        let (record, near) = aim(false, false).record(document, &appearance);
        assert_eq!(near, [Near::NoPlace]);
        assert_eq!(record.partition, (-790_332_482 & 0x7fff_ffff) % 3);
    }
}
