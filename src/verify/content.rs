//! An object's bytes against what the row says of them.

use super::defect::Kind;
use crate::catalogue::{Origin, Row};
use crate::envelope::{self, DecodeError, Document};

/// Everything in which `bytes`, the row's object, is not what the row says.
pub(super) fn compare(row: &Row, bytes: &[u8]) -> Vec<Kind> {
    let mut found = vec![];
    if bytes.len() as i64 != i64::from(row.size) {
        found.push(Kind::WrongSize {
            object: bytes.len() as u64,
            catalogue: row.size.into(),
        });
    }
    let crc = crc32fast::hash(bytes);
    if crc != row.crc32 {
        found.push(Kind::WrongCrc {
            object: crc,
            catalogue: row.crc32,
        });
    }
    match envelope::decode(bytes) {
        Ok(document) => compare_document(row, &document, &mut found),
        Err(DecodeError::NotBson(error)) => found.push(Kind::NotBson {
            cause: error.to_string(),
        }),
        Err(error) => found.push(Kind::NotAMessage {
            cause: error.to_string(),
        }),
    }
    found
}

fn compare_document(row: &Row, document: &Document, found: &mut Vec<Kind>) {
    found.extend(message_crc(row, document));
    found.extend(digest(row, document));
    let mut compare = |field, object: String, catalogue: String| {
        if object != catalogue {
            found.push(Kind::Disagrees {
                field,
                object,
                catalogue,
            });
        }
    };
    let notes = &document.annotations;
    compare("uuid", notes.uuid.to_string(), row.uuid.to_string());
    compare("topic", document.topic.to_string(), row.topic.to_string());
    compare(
        "timestamp",
        document.timestamp.to_string(),
        row.timestamp.to_string(),
    );
    let (is_client, is_row_client) = (notes.is_client_uuid, row.is_client_uuid);
    compare(
        "is_client_uuid",
        is_client.to_string(),
        is_row_client.to_string(),
    );
    if let Some(origin) = &row.origin {
        compare_origin(document, origin, &mut compare);
    }
    // Another archiver's documents need not have these.
    if notes.digest.is_some() {
        compare("public", notes.public.to_string(), row.public.to_string());
        let (object, catalogue) = (notes.direct_upload, row.direct_upload);
        compare("direct_upload", object.to_string(), catalogue.to_string());
    }
}

/// Another archiver's documents say nothing of where on the stream they were.
fn compare_origin(
    document: &Document,
    origin: &Origin,
    compare: &mut impl FnMut(&'static str, String, String),
) {
    if let Some(partition) = document.partition {
        compare(
            "partition",
            partition.to_string(),
            origin.partition.to_string(),
        );
    }
    if let Some(offset) = document.offset {
        compare("offset", offset.to_string(), origin.offset.to_string());
    }
    if let Some(kind) = document.timestamp_type {
        let catalogue = origin.timestamp_type.as_str();
        compare(
            "timestamp_type",
            kind.as_str().to_owned(),
            catalogue.to_owned(),
        );
    }
}

fn message_crc(row: &Row, document: &Document) -> Option<Kind> {
    let value = crc32fast::hash(document.value.as_deref().unwrap_or_default());
    let annotation = document.annotations.message_crc32;
    let is_wrong = value != annotation || value != row.message_crc32;
    is_wrong.then_some(Kind::WrongMessageCrc {
        value,
        annotation,
        catalogue: row.message_crc32,
    })
}

fn digest(row: &Row, document: &Document) -> Option<Kind> {
    let annotation = document.annotations.digest;
    let catalogue = row.origin.as_ref().map(|origin| origin.digest);
    let content = envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    );
    let mut said = [annotation, catalogue].into_iter().flatten();
    said.any(|said| said != content)
        .then_some(Kind::WrongDigest {
            content,
            annotation,
            catalogue,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::record::{ContentDigest, Header, Record, TimestampType};

    /// A message as the archiver leaves it: its row and its object.
    fn archived() -> (Row, Vec<u8>) {
        let record = Record {
            topic: "alerts".into(),
            partition: 2,
            offset: 41,
            timestamp: 1_700_000_000_000,
            timestamp_type: TimestampType::Create,
            key: Some(vec![]),
            value: Some(b"value".to_vec()),
            headers: vec![Header {
                name: b"name".to_vec(),
                value: None,
            }],
        };
        let delivery = envelope::delivery(&record);
        let uuid = envelope::derived_uuid(&delivery, 0);
        let notes = envelope::annotate(&record, delivery.digest, uuid, false);
        let bytes = envelope::encode(&record, &notes);
        let row = Row {
            topic: record.topic,
            timestamp: record.timestamp,
            uuid,
            size: bytes.len() as i32,
            key: "alerts/2023/11/14/key.bson".to_owned(),
            bucket: "archive".to_owned(),
            crc32: crc32fast::hash(&bytes),
            is_client_uuid: notes.is_client_uuid,
            public: notes.public,
            direct_upload: false,
            message_crc32: notes.message_crc32,
            title: notes.title,
            sender: notes.sender,
            media_type: notes.media_type,
            file_name: notes.file_name,
            originator: notes.originator,
            retracted: false,
            origin: Some(Origin {
                partition: 2,
                offset: 41,
                timestamp_type: TimestampType::Create,
                digest: delivery.digest,
            }),
            object_offset: None,
        };
        (row, bytes)
    }

    fn names(row: &Row, bytes: &[u8]) -> Vec<String> {
        let named = |kind: &Kind| match kind {
            Kind::Disagrees { field, .. } => format!("disagrees {field}"),
            other => other.name().to_owned(),
        };
        compare(row, bytes).iter().map(named).collect()
    }

    #[test]
    fn what_the_archiver_leaves_has_no_defect() {
        let (row, bytes) = archived();
        assert_eq!(compare(&row, &bytes), []);
    }

    #[test]
    fn a_row_that_says_something_else_is_told_by_its_field() {
        type Change = fn(&mut Row);
        let changes: [(&str, Change); 11] = [
            ("wrong_size", |row| row.size += 1),
            ("wrong_crc", |row| row.crc32 ^= 1),
            ("wrong_message_crc", |row| row.message_crc32 ^= 1),
            ("disagrees uuid", |row| row.uuid = Uuid::nil()),
            ("disagrees topic", |row| row.topic = "other".into()),
            ("disagrees timestamp", |row| row.timestamp += 1),
            ("disagrees is_client_uuid", |row| row.is_client_uuid = true),
            ("disagrees public", |row| row.public = true),
            ("disagrees direct_upload", |row| row.direct_upload = true),
            ("wrong_digest", |row| {
                row.origin.as_mut().expect("an origin").digest = ContentDigest([0; 32]);
            }),
            ("disagrees offset", |row| {
                row.origin.as_mut().expect("an origin").offset = 42
            }),
        ];
        for (expected, change) in changes {
            let (mut row, bytes) = archived();
            change(&mut row);
            assert_eq!(names(&row, &bytes), [expected]);
        }
    }

    #[test]
    fn a_value_changed_behind_all_sums_but_its_own_is_found() {
        let (mut row, mut bytes) = archived();
        let at = bytes
            .windows(5)
            .position(|w| w == b"value")
            .expect("the value");
        bytes[at] ^= 1;
        row.crc32 = crc32fast::hash(&bytes);
        assert_eq!(names(&row, &bytes), ["wrong_message_crc", "wrong_digest"]);
    }

    #[test]
    fn half_an_object_is_not_bson() {
        let (row, bytes) = archived();
        let half = &bytes[..bytes.len() / 2];
        assert_eq!(names(&row, half), ["wrong_size", "wrong_crc", "not_bson"]);
    }

    proptest! {
        #[test]
        fn no_flipped_bit_goes_unnoticed(at: prop::sample::Index, bit in 0..8) {
            let (row, mut bytes) = archived();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(!compare(&row, &bytes).is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let (row, _) = archived();
            prop_assert!(!compare(&row, &bytes).is_empty());
        }
    }
}
