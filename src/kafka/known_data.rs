//! The known test data: what a live system produces rarely or never.
//!
//! Every byte and timestamp is fixed, so that a second run on it finds only
//! redeliveries. Never change a record; add new ones at the end of a topic.

use sha2::{Digest, Sha256};

use crate::record::{Header, Record, TimestampType};

/// Heartbeats, which the shipped veto list excludes.
pub const HEARTBEAT_TOPIC: &str = "sys.heartbeat";

/// 2023-11-14T22:13:20Z.
const BASE: i64 = 1_700_000_000_000;

const FIRST_UUID: &[u8; 16] = b"known-data-uuid1";
const SECOND_UUID: &[u8; 16] = b"known-data-uuid2";
const REPEATED_UUID: &[u8; 16] = b"known-data-twice";
const CONTESTED_UUID: &[u8; 16] = b"known-data-claim";

/// All of it, with the offsets that it gets on an empty broker.
pub fn known_records() -> Vec<Record> {
    let mut known = Known::default();
    values(&mut known);
    headers(&mut known);
    uuids(&mut known);
    early_clients(&mut known);
    keys(&mut known);
    times(&mut known);
    for beat in 0..3 {
        known.value(HEARTBEAT_TOPIC, format!("{{\"beat\": {beat}}}").as_bytes());
    }
    known.records
}

fn values(known: &mut Known) {
    const TOPIC: &str = "known.values";
    known.value(TOPIC, b"");
    known.value(TOPIC, b"[]");
    known.value(TOPIC, b"{}");
    known.value(TOPIC, &looks_random(750_000));
    known.add(TOPIC, |record| record.value = None);
    known.value(TOPIC, "a line of text, grüße\n".as_bytes());
}

fn headers(known: &mut Known) {
    const TOPIC: &str = "known.headers";
    known.headers(
        TOPIC,
        (0..50)
            .map(|n| header(format!("header-{n}"), Some(format!("value {n}").as_bytes())))
            .collect(),
    );
    known.headers(
        TOPIC,
        vec![
            header("again", Some(b"first")),
            header("other", Some(b"between")),
            header("again", Some(b"second")),
            header("again", Some(b"first")),
        ],
    );
    known.headers(TOPIC, vec![header("none", None), header("empty", Some(b""))]);
    known.headers(
        TOPIC,
        vec![
            header(b"caf\xe9", Some(b"a name in Latin-1")),
            header("plain", Some(b"a name in UTF-8")),
            header(b"\xff\xfe", None),
        ],
    );
    known.headers(
        TOPIC,
        vec![header(b"nul\0inside", Some(b"v")), header("", Some(b"no name"))],
    );
    known.headers(
        TOPIC,
        vec![
            header("title", Some(b"\xff not text")),
            header("title", Some(b"A title")),
            header("_sender", Some(b"somebody")),
            header("file_name", Some(b"table.csv")),
            header("originator", Some(b"an observatory")),
            header("_format", Some(b"blob")),
            header("_format", Some(b"json")),
        ],
    );
}

fn uuids(known: &mut Known) {
    const TOPIC: &str = "known.uuids";
    for id in [
        &b""[..],
        b"fifteen bytes!!",
        b"seventeen bytes!!",
        b"01234567-89ab-cdef-0123-456789abcdef",
    ] {
        known.headers(TOPIC, vec![header("_id", Some(id))]);
    }
    known.headers(TOPIC, vec![header("_id", Some(FIRST_UUID))]);
    known.headers(
        TOPIC,
        vec![
            header("_id", Some(b"too short")),
            header("_id", Some(SECOND_UUID)),
            header("_id", Some(FIRST_UUID)),
        ],
    );
    for _ in 0..2 {
        known.add(TOPIC, |record| {
            record.value = Some(b"received twice".to_vec());
            record.timestamp = BASE;
            record.headers = vec![header("_id", Some(REPEATED_UUID))];
        });
    }
    for content in [&b"the first to claim it"[..], b"another message"] {
        known.add(TOPIC, |record| {
            record.value = Some(content.to_vec());
            record.headers = vec![header("_id", Some(CONTESTED_UUID))];
        });
    }
}

/// Before version 1.8 hop-client wrote no `_id`, and wrapped JSON.
fn early_clients(known: &mut Known) {
    const TOPIC: &str = "known.early-clients";
    known.value(TOPIC, br#"{"format": "json", "content": {"a": 1}}"#);
    known.value(
        TOPIC,
        br#"{"format": "circular", "content": {"header": {"title": "GCN CIRCULAR"}, "body": "text"}}"#,
    );
}

fn keys(known: &mut Known) {
    const TOPIC: &str = "known.keys";
    for key in [None, Some(&b""[..]), Some(b"\0\xff\x01binary")] {
        known.add(TOPIC, |record| record.key = key.map(<[u8]>::to_vec));
    }
    for partition in 0..3 {
        known.add(TOPIC, |record| record.partition = partition);
    }
}

fn times(known: &mut Known) {
    const TOPIC: &str = "known.times";
    const YEAR_2100: i64 = 4_102_444_800_000;
    for timestamp in [-1, 1, BASE, YEAR_2100] {
        known.add(TOPIC, |record| record.timestamp = timestamp);
    }
    // Without a UUID of their own, equal content at the same time is still two
    // messages.
    for _ in 0..2 {
        known.add(TOPIC, |record| record.timestamp = BASE + 7);
    }
}

/// Bytes that no compressor shrinks, always the same ones.
fn looks_random(length: usize) -> Vec<u8> {
    (0u64..)
        .flat_map(|block| Sha256::digest(block.to_be_bytes()))
        .take(length)
        .collect()
}

fn header(name: impl AsRef<[u8]>, value: Option<&[u8]>) -> Header {
    Header {
        name: name.as_ref().to_vec(),
        value: value.map(<[u8]>::to_vec),
    }
}

#[derive(Default)]
struct Known {
    records: Vec<Record>,
}

impl Known {
    fn value(&mut self, topic: &str, value: &[u8]) {
        self.add(topic, |record| record.value = Some(value.to_vec()));
    }

    fn headers(&mut self, topic: &str, headers: Vec<Header>) {
        self.add(topic, |record| record.headers = headers);
    }

    /// Each record of a topic has a time of its own unless `change` gives it
    /// another.
    fn add(&mut self, topic: &str, change: impl FnOnce(&mut Record)) {
        let before = self.records.iter().filter(|r| &*r.topic == topic).count() as i64;
        let mut record = Record {
            topic: topic.into(),
            partition: 0,
            offset: 0,
            timestamp: BASE + 1000 * before,
            timestamp_type: TimestampType::Create,
            key: None,
            value: Some(b"value".to_vec()),
            headers: vec![],
        };
        change(&mut record);
        let alike = |other: &&Record| {
            other.topic == record.topic && other.partition == record.partition
        };
        record.offset = self.records.iter().filter(alike).count() as i64;
        self.records.push(record);
    }
}
