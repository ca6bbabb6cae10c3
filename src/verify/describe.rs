//! The row of an object, read from the object.

use super::content;
use crate::catalogue::{Lying, Origin, Row};
use crate::envelope::{self, Annotations, Document};
use crate::record::{Record, TimestampType};

/// What an object says about itself that can be checked without a catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// The value is the one that its CRC-32 was taken of; all that another
    /// archiver's object proves.
    Value,
    /// Every byte is what this program writes for the record, and the UUID is
    /// the client's; or it is a direct upload, whose UUID may be a random one.
    Content,
    /// Every byte is what this program writes for the record, and the UUID
    /// follows from topic, partition, offset, time and content.
    Identity,
}

/// What `bytes`, which are `document`, prove; `None` where they contradict
/// themselves.
pub(super) fn prove(bytes: &[u8], document: &Document) -> Option<Proof> {
    let notes = &document.annotations;
    let value = document.value.as_deref().unwrap_or_default();
    if crc32fast::hash(value) != notes.message_crc32 {
        return None;
    }
    let Some(digest) = notes.digest else {
        return Some(Proof::Value);
    };
    if digest != content::digest_of(document) {
        return None;
    }
    let record = record_of(document)?;
    let delivery = envelope::delivery(&record);
    let is_derived = || {
        let mut attempts = 0..envelope::MAX_UUID_ATTEMPTS;
        attempts.any(|attempt| envelope::derived_uuid(&delivery, attempt) == notes.uuid)
    };
    let is_the_clients = envelope::client_uuid(&document.headers) == Some(notes.uuid);
    let proof = match is_the_clients || notes.direct_upload {
        true => Proof::Content,
        false if is_derived() => Proof::Identity,
        false => return None,
    };
    // Another version of this program may have told the media type otherwise:
    // whoever relies on it compares that with the row.
    let again = Annotations {
        media_type: notes.media_type.clone(),
        direct_upload: notes.direct_upload,
        topic_id: notes.topic_id,
        signature: notes.signature.clone(),
        ..envelope::annotate(&record, digest, notes.uuid, notes.public)
    };
    (envelope::encode(&record, &again) == bytes).then_some(proof)
}

/// The document that bytes are, if they prove it.
pub(super) fn proved(bytes: &[u8]) -> Option<Document> {
    let document = envelope::decode(bytes).ok()?;
    prove(bytes, &document).is_some().then_some(document)
}

/// The record that a document of this program's archives. A direct upload was
/// never on the stream.
pub(super) fn record_of(document: &Document) -> Option<Record> {
    let (partition, offset, timestamp_type) = match document.annotations.direct_upload {
        true => (-1, -1, TimestampType::None),
        false => (
            document.partition?,
            document.offset?,
            document.timestamp_type?,
        ),
    };
    Some(Record {
        topic: document.topic.clone(),
        partition,
        offset,
        timestamp: document.timestamp,
        timestamp_type,
        key: document.key.clone(),
        value: document.value.clone(),
        headers: document.headers.clone(),
    })
}

/// Whether `bytes` are whole as far as anything can tell, and the object of the
/// message that `row` is about, however wrong the row may be otherwise.
///
/// The row's content digest outranks the object: bytes with another content are
/// never the message's object, whatever they prove about themselves.
pub(super) fn is_object_of(row: &Row, bytes: &[u8]) -> Option<Document> {
    let document = envelope::decode(bytes).ok()?;
    let proof = prove(bytes, &document)?;
    if document.annotations.uuid != row.uuid
        || content::disagreements(row, &document).contains(&"signature")
    {
        return None;
    }
    if let Some(origin) = &row.origin
        && origin.digest != content::digest_of(&document)
    {
        return None;
    }
    // The sum that was taken when it was stored, or else what it says itself:
    // then nothing may differ that its own proof does not cover.
    let is_vouched_for = crc32fast::hash(bytes) == row.crc32
        && bytes.len() as i64 == i64::from(row.size)
        && !has_free_bytes(row, &document);
    let agrees = |uncovered: &[&str]| {
        let differs = content::disagreements(row, &document);
        !differs.iter().any(|field| uncovered.contains(field))
    };
    let is_trusted = is_vouched_for
        || match proof {
            Proof::Identity => agrees(&["public", "media_type", "timestamp_type", "topic_id"]),
            Proof::Content => agrees(&[
                "public",
                "media_type",
                "topic_id",
                "topic",
                "timestamp",
                "timestamp_type",
                "partition",
                "offset",
            ]),
            Proof::Value => false,
        };
    is_trusted.then_some(document)
}

/// Whether the object holds bytes that neither its content nor the row
/// determines: with four of them any CRC-32 can be forged.
fn has_free_bytes(row: &Row, document: &Document) -> bool {
    let notes = &document.annotations;
    let Some(digest) = notes.digest else {
        return false;
    };
    let told = |record| envelope::annotate(&record, digest, notes.uuid, notes.public).media_type;
    let is_usual_type = notes.media_type == row.media_type
        || record_of(document).map(told).as_ref() == Some(&notes.media_type);
    let is_known =
        |origin: &Origin| origin.topic_id == notes.topic_id && row.signature == notes.signature;
    !is_usual_type || !row.origin.as_ref().is_none_or(is_known)
}

/// The row of an object that lies there. What only a row knows (`retracted`,
/// and all that another archiver's object does not say) is taken from `old`.
pub(super) fn row_of(
    document: &Document,
    bytes: &[u8],
    (bucket, key): (&str, &str),
    old: Option<&Row>,
) -> Option<Row> {
    let notes = &document.annotations;
    let object = Lying { bucket, key, bytes };
    let row = Row {
        retracted: old.is_some_and(|old| old.retracted),
        origin: origin_of(document),
        // Of an object that was stored without one, the row may have it.
        signature: (notes.signature.clone()).or_else(|| old?.signature.clone()),
        ..Row::describe(&document.topic, document.timestamp, notes, object)?
    };
    Some(match old {
        Some(old) if notes.digest.is_none() => Row {
            public: old.public,
            direct_upload: old.direct_upload,
            title: old.title.clone(),
            sender: old.sender.clone(),
            media_type: old.media_type.clone(),
            file_name: old.file_name.clone(),
            originator: old.originator.clone(),
            origin: old.origin.clone(),
            ..row
        },
        _ => row,
    })
}

fn origin_of(document: &Document) -> Option<Origin> {
    Some(Origin {
        partition: document.partition?,
        offset: document.offset?,
        timestamp_type: document.timestamp_type.unwrap_or(TimestampType::None),
        digest: document.annotations.digest?,
        topic_id: document.annotations.topic_id,
    })
}

/// The document that this program writes for a record under that UUID.
pub(super) fn encode(record: &Record, row: &Row) -> Vec<u8> {
    let digest = envelope::delivery(record).digest;
    let notes = Annotations {
        topic_id: row.topic_id(),
        signature: row.signature.clone(),
        ..envelope::annotate(record, digest, row.uuid, row.public)
    };
    envelope::encode(record, &notes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::content::tests::archived;
    use super::*;
    use crate::record::Header;

    #[test]
    fn an_object_gives_the_row_that_it_has() {
        let (row, bytes) = archived();
        let document = envelope::decode(&bytes).expect("a document");
        assert_eq!(prove(&bytes, &document), Some(Proof::Identity));
        let read = row_of(&document, &bytes, (&row.bucket, &row.key), None);
        assert_eq!(read, Some(row));
    }

    /// What somebody with the store's credentials can write: whole, with all of
    /// its own sums right, and another content.
    #[test]
    fn an_object_with_another_content_than_the_digest_says_is_never_the_messages() {
        let (row, _) = archived();
        let record = Record {
            topic: row.topic.clone(),
            partition: 2,
            offset: 41,
            timestamp: row.timestamp,
            timestamp_type: TimestampType::Create,
            key: Some(vec![]),
            value: Some(b"forged".to_vec()),
            headers: vec![Header {
                name: b"_id".to_vec(),
                value: Some(row.uuid.as_bytes().to_vec()),
            }],
        };
        let bytes = encode(&record, &row);
        let document = envelope::decode(&bytes).expect("a document");
        assert_eq!(prove(&bytes, &document), Some(Proof::Content));
        assert!(is_object_of(&row, &bytes).is_none());
        // Not even if the row's sum is that of the forged bytes.
        let row = Row {
            crc32: crc32fast::hash(&bytes),
            size: bytes.len() as i32,
            is_client_uuid: true,
            ..row
        };
        assert!(is_object_of(&row, &bytes).is_none());
    }

    proptest! {
        #[test]
        fn an_object_with_a_flipped_bit_is_never_taken_for_whole(at: prop::sample::Index, bit in 0..8) {
            let (row, mut bytes) = archived();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(is_object_of(&row, &bytes).is_none());
        }

        #[test]
        fn a_row_with_a_wrong_field_does_not_make_its_object_a_damaged_one(which in 0..6) {
            let (mut row, bytes) = archived();
            match which {
                0 => row.topic = "other".into(),
                1 => row.timestamp += 1,
                2 => row.crc32 ^= 1,
                3 => row.size += 1,
                4 => row.public = !row.public,
                _ => row.origin = None,
            }
            prop_assert!(is_object_of(&row, &bytes).is_some());
        }
    }
}
