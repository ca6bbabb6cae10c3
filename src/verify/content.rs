//! An object's bytes against what the row says of them.

use super::defect::Kind;
use crate::catalogue::{Origin, Row, storable};
use crate::envelope::{self, DecodeError, Document};
use crate::record::ContentDigest;

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
    found.extend(
        fields(row, document)
            .into_iter()
            .filter_map(|(field, object, catalogue)| {
                (object != catalogue).then_some(Kind::Disagrees {
                    field,
                    object,
                    catalogue,
                })
            }),
    );
}

/// The names of the fields in which they differ.
pub(super) fn disagreements(row: &Row, document: &Document) -> Vec<&'static str> {
    fields(row, document)
        .into_iter()
        .filter_map(|(field, object, catalogue)| (object != catalogue).then_some(field))
        .collect()
}

/// What an object and a row both say: the field, the object's, the row's.
fn fields(row: &Row, document: &Document) -> Vec<(&'static str, String, String)> {
    let notes = &document.annotations;
    let mut fields = vec![
        ("uuid", notes.uuid.to_string(), row.uuid.to_string()),
        ("topic", document.topic.to_string(), row.topic.to_string()),
        (
            "timestamp",
            document.timestamp.to_string(),
            row.timestamp.to_string(),
        ),
        (
            "is_client_uuid",
            notes.is_client_uuid.to_string(),
            row.is_client_uuid.to_string(),
        ),
    ];
    fields.extend(place_fields(row, document));
    // An object may have been signed with an earlier key than its row, or not.
    if let (Some(object), Some(catalogue)) = (&notes.signature, &row.signature)
        && object.key_id == catalogue.key_id
    {
        let (object, catalogue) = (hex::encode(object.mac), hex::encode(catalogue.mac));
        fields.push(("signature", object, catalogue));
    }
    // Another archiver's documents need not have these.
    if notes.digest.is_some() {
        let (public, upload) = (notes.public, notes.direct_upload);
        fields.extend([
            ("public", public.to_string(), row.public.to_string()),
            (
                "direct_upload",
                upload.to_string(),
                row.direct_upload.to_string(),
            ),
        ]);
        let texts = [
            ("title", &notes.title, &row.title),
            ("sender", &notes.sender, &row.sender),
            ("media_type", &notes.media_type, &row.media_type),
            ("file_name", &notes.file_name, &row.file_name),
            ("originator", &notes.originator, &row.originator),
        ];
        fields.extend(texts.map(|(field, object, catalogue)| {
            (field, storable(object).into_owned(), catalogue.clone())
        }));
    }
    fields
}

/// Where on the stream it was. Another archiver's documents say nothing of it;
/// its rows may have learned it since, and ours always know it.
fn place_fields(row: &Row, document: &Document) -> Vec<(&'static str, String, String)> {
    let (Some(partition), Some(offset), Some(kind)) =
        (document.partition, document.offset, document.timestamp_type)
    else {
        return vec![];
    };
    let of_row = |field: fn(&Origin) -> String| {
        let origin = row.origin.as_ref();
        origin.map_or_else(|| "nothing".to_owned(), field)
    };
    let mut fields = vec![
        (
            "partition",
            partition.to_string(),
            of_row(|origin| origin.partition.to_string()),
        ),
        (
            "offset",
            offset.to_string(),
            of_row(|origin| origin.offset.to_string()),
        ),
        (
            "timestamp_type",
            kind.as_str().to_owned(),
            of_row(|origin| origin.timestamp_type.as_str().to_owned()),
        ),
    ];
    // Objects of older versions do not have it.
    if let Some(id) = document.annotations.topic_id {
        let of_row = of_row(|origin| {
            let known = origin.topic_id.map(|id| id.to_string());
            known.unwrap_or_else(|| "nothing".to_owned())
        });
        fields.push(("topic_id", id.to_string(), of_row));
    }
    fields
}

/// The digest of what a document holds.
pub(super) fn digest_of(document: &Document) -> ContentDigest {
    envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    )
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
    let content = digest_of(document);
    let mut said = [annotation, catalogue].into_iter().flatten();
    said.any(|said| said != content)
        .then_some(Kind::WrongDigest {
            content,
            annotation,
            catalogue,
        })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::record::{Header, Record, TimestampType};

    /// A message as the archiver leaves it: its row and its object.
    pub fn archived() -> (Row, Vec<u8>) {
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
                topic_id: None,
            }),
            object_offset: None,
            signature: None,
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
        let changes: [(&str, Change); 16] = [
            ("wrong_size", |row| row.size += 1),
            ("wrong_crc", |row| row.crc32 ^= 1),
            ("wrong_message_crc", |row| row.message_crc32 ^= 1),
            ("disagrees uuid", |row| row.uuid = Uuid::nil()),
            ("disagrees topic", |row| row.topic = "other".into()),
            ("disagrees timestamp", |row| row.timestamp += 1),
            ("disagrees is_client_uuid", |row| row.is_client_uuid = true),
            ("disagrees public", |row| row.public = true),
            ("disagrees direct_upload", |row| row.direct_upload = true),
            ("disagrees title", |row| row.title.push('x')),
            ("disagrees sender", |row| row.sender.push('x')),
            ("disagrees media_type", |row| row.media_type.push('x')),
            ("disagrees file_name", |row| row.file_name.push('x')),
            ("disagrees originator", |row| row.originator.push('x')),
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
