//! What the stored document promises: nothing of a record is lost in it, and
//! whatever bytes are read back, the answer is a document or an error.

use archive_ingest::envelope::{self, Annotations, Document};
use archive_ingest::record::{Header, Record, Signature, TimestampType, TopicId};
use bson::raw::{RawBsonRef, RawDocument};
use proptest::prelude::*;
use uuid::Uuid;

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        Just(Some(vec![])),
        prop::collection::vec(any::<u8>(), 1..200).prop_map(Some),
    ]
}

/// Text, bytes that are none, nothing, NUL, and names that mean something.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..20),
        Just(b"nul\0inside".to_vec()),
        prop::sample::select(vec!["", "_id", "_format", "_sender", "title", "file_name"])
            .prop_map(|name| name.as_bytes().to_vec()),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let id = prop::collection::vec(any::<u8>(), 15..18).prop_map(|value| Header {
        name: b"_id".to_vec(),
        value: Some(value),
    });
    let other = (name(), bytes()).prop_map(|(name, value)| Header { name, value });
    prop_oneof![1 => id, 4 => other]
}

/// Any number, and those at which something changes.
fn number() -> impl Strategy<Value = i64> {
    const WIDTH: i64 = 1 << 31;
    prop_oneof![
        any::<i64>(),
        prop::sample::select(vec![
            i64::MIN,
            -WIDTH - 1,
            -WIDTH,
            -1,
            0,
            1,
            WIDTH - 1,
            WIDTH,
            253_402_300_799_999,
            253_402_300_800_000,
            i64::MAX,
        ]),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let kind = prop::sample::select(vec![
        TimestampType::None,
        TimestampType::Create,
        TimestampType::LogAppend,
    ]);
    (
        "[a-zA-Z0-9._-]{1,60}",
        any::<i32>(),
        number(),
        number(),
        kind,
        bytes(),
        bytes(),
        prop::collection::vec(header(), 0..8),
    )
        .prop_map(
            |(topic, partition, offset, timestamp, timestamp_type, key, value, headers)| Record {
                topic: topic.into(),
                partition,
                offset,
                timestamp,
                timestamp_type,
                key,
                value,
                headers,
            },
        )
}

fn annotated(record: &Record, public: bool) -> Annotations {
    let delivery = envelope::delivery(record);
    let uuid = envelope::client_uuid(&record.headers)
        .unwrap_or_else(|| envelope::derived_uuid(&delivery, 0));
    envelope::annotate(record, delivery.digest, uuid, public)
}

fn stored(record: &Record) -> Vec<u8> {
    envelope::encode(record, &annotated(record, false))
}

fn simple() -> Record {
    Record {
        topic: "t".into(),
        partition: 0,
        offset: 0,
        timestamp: 0,
        timestamp_type: TimestampType::Create,
        key: None,
        value: Some(b"v".to_vec()),
        headers: vec![],
    }
}

proptest! {
    #[test]
    fn every_record_comes_back_from_its_document_as_it_was(
        record in record(),
        public in any::<bool>(),
        topic_id in any::<u128>(),
        signature in prop::option::of(("[a-z0-9]{1,8}", any::<[u8; 32]>())),
    ) {
        let annotations = Annotations {
            topic_id: TopicId::new(topic_id),
            signature: signature.map(|(key_id, mac)| Signature { key_id, mac }),
            ..annotated(&record, public)
        };
        let document = envelope::decode(&envelope::encode(&record, &annotations)).unwrap();
        prop_assert_eq!(document, Document {
            topic: record.topic,
            timestamp: record.timestamp,
            partition: Some(record.partition),
            offset: Some(record.offset),
            timestamp_type: Some(record.timestamp_type),
            key: record.key,
            value: record.value,
            headers: record.headers,
            annotations,
        });
    }

    #[test]
    fn a_record_has_one_document_and_another_record_another(
        record in record(),
        other in record(),
    ) {
        prop_assert_eq!(stored(&record), stored(&record));
        prop_assert_eq!(record == other, stored(&record) == stored(&other));
    }

    #[test]
    fn bytes_that_are_no_document_are_an_error_and_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assert!(envelope::decode(&bytes).is_err());
    }

    /// A document that is damaged anywhere may still be one (a bit of the
    /// value has flipped): then the CRC of the catalogue tells.
    #[test]
    fn a_damaged_document_is_an_error_or_a_document_and_never_a_panic(
        record in record(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = stored(&record);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            let cut = cut.index(body.len());
            body.truncate(cut);
            prop_assert!(envelope::decode(&body).is_err(), "it was cut short");
        } else {
            let _ = envelope::decode(&body);
        }
    }

    #[test]
    fn the_key_of_any_timestamp_has_five_parts(timestamp in number()) {
        let key = envelope::object_key("topic", timestamp, Uuid::nil());
        let parts: Vec<&str> = key.split('/').collect();
        prop_assert_eq!(parts.len(), 5, "{}", key);
        let date: Vec<i64> = parts[1..4].iter().map(|part| part.parse().unwrap()).collect();
        let in_calendar = (1970..=9999).contains(&date[0])
            && (1..=12).contains(&date[1])
            && (1..=31).contains(&date[2]);
        let day_zero = date == [0, 0, 0];
        prop_assert!(in_calendar != day_zero, "{}", key);
        prop_assert_eq!(day_zero, !(0..253_402_300_800_000).contains(&timestamp), "{}", key);
    }
}

/// Whether a field of `metadata` takes 32 bits.
fn is_small(body: &[u8], field: &str) -> bool {
    let metadata = RawDocument::from_bytes(body)
        .and_then(|document| document.get("metadata"))
        .unwrap();
    let Some(RawBsonRef::Document(metadata)) = metadata else {
        panic!("metadata is a document");
    };
    match metadata.get(field).unwrap() {
        Some(RawBsonRef::Int32(_)) => true,
        Some(RawBsonRef::Int64(_)) => false,
        other => panic!("{field} is {other:?}"),
    }
}

#[test]
fn integers_take_32_bits_where_the_number_fits_and_64_elsewhere() {
    const WIDTH: i64 = 1 << 31;
    for (number, small) in [
        (i64::MIN, false),
        (-WIDTH - 1, false),
        (-WIDTH, true),
        (-1, true),
        (0, true),
        (WIDTH - 1, true),
        (WIDTH, false),
        (1_700_000_000_000, false),
        (i64::MAX, false),
    ] {
        let record = Record {
            timestamp: number,
            offset: number,
            ..simple()
        };
        let body = stored(&record);
        assert_eq!(is_small(&body, "timestamp"), small, "{number}");
        assert_eq!(is_small(&body, "offset"), small, "{number}");
        let document = envelope::decode(&body).unwrap();
        assert_eq!(document.timestamp, number);
        assert_eq!(document.offset, Some(number));
    }
}

#[test]
fn a_crc_above_31_bits_comes_back_as_it_was() {
    // The CRC-32 of "a" is e8b7be43: as a signed number it would be negative.
    let record = Record {
        value: Some(b"a".to_vec()),
        ..simple()
    };
    let document = envelope::decode(&stored(&record)).unwrap();
    assert_eq!(document.annotations.message_crc32, 0xe8b7_be43);
}

#[test]
fn the_fields_stand_in_the_published_order() {
    let record = Record {
        headers: vec![
            Header {
                name: b"\xff".to_vec(),
                value: None,
            },
            Header {
                name: b"_id".to_vec(),
                value: Some(vec![7; 16]),
            },
        ],
        ..simple()
    };
    let delivery = envelope::delivery(&record);
    // Somebody else's is the UUID that it asks for.
    let uuid = envelope::derived_uuid(&delivery, 0);
    let annotations = envelope::annotate(&record, delivery.digest, uuid, false);
    let document = envelope::encode_document(&record, &annotations);
    let names = |document: &RawDocument| -> Vec<String> {
        document
            .iter()
            .map(|field| field.unwrap().0.to_string())
            .collect()
    };
    assert_eq!(names(&document), ["message", "metadata", "annotations"]);
    assert_eq!(
        names(document.get_document("metadata").unwrap()),
        [
            "timestamp",
            "headers",
            "key",
            "topic",
            "partition",
            "offset",
            "timestamp_type"
        ]
    );
    assert_eq!(
        names(document.get_document("annotations").unwrap()),
        [
            "con_text_uuid",
            "con_is_client_uuid",
            "con_message_crc32",
            "public",
            "direct_upload",
            "media_type",
            "title",
            "sender",
            "file_name",
            "originator",
            "content_digest",
            "requested_uuid",
            "header_names_raw"
        ]
    );
}

#[test]
fn null_empty_and_bytes_are_three_different_things_everywhere() {
    let values = [None, Some(vec![]), Some(vec![0])];
    for value in &values {
        for key in &values {
            let record = Record {
                value: value.clone(),
                key: key.clone(),
                headers: values
                    .iter()
                    .map(|value| Header {
                        name: vec![],
                        value: value.clone(),
                    })
                    .collect(),
                ..simple()
            };
            let document = envelope::decode(&stored(&record)).unwrap();
            assert_eq!(&document.value, value);
            assert_eq!(&document.key, key);
            assert_eq!(document.headers, record.headers);
        }
    }
}
