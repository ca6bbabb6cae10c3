//! Who a record is: its digest, its delivery, its UUIDs.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::record::{ContentDigest, Delivery, Header, Record};

/// The namespace of derived UUIDs. Fixed for ever: changing it would store
/// every redelivery a second time.
const DERIVED: Uuid = Uuid::from_u128(0x4dd07c11_22f8_576d_8fe2_fd061f8bf789);

/// How many UUIDs a delivery may ask for, one after another. A topic that is created
/// again and again with equal records needs one each time.
pub const MAX_UUID_ATTEMPTS: u32 = 10_000;

/// Written in place of a length where there is no value.
const NULL: [u8; 4] = [0xff; 4];

/// SHA-256 over key, value, the number of headers (4 bytes big-endian), then
/// each header's name and value; each of them as a 4-byte big-endian length
/// and its bytes, null as length `ff ff ff ff`.
pub fn content_digest(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> ContentDigest {
    let mut hash = Sha256::new();
    put(&mut hash, key);
    put(&mut hash, value);
    hash.update((headers.len() as u32).to_be_bytes());
    for header in headers {
        put(&mut hash, Some(&header.name));
        put(&mut hash, header.value.as_deref());
    }
    ContentDigest(hash.finalize().into())
}

fn put(hash: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        None => hash.update(NULL),
        Some(bytes) => {
            hash.update((bytes.len() as u32).to_be_bytes());
            hash.update(bytes);
        }
    }
}

/// The delivery that a consumer received as `record`.
pub fn delivery(record: &Record) -> Delivery {
    Delivery {
        topic: record.topic.clone(),
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        digest: content_digest(
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        ),
    }
}

/// The UUID that the client chose: the first header `_id` of exactly 16 bytes.
pub fn client_uuid(headers: &[Header]) -> Option<Uuid> {
    headers
        .iter()
        .filter(|header| header.name == b"_id")
        .find_map(|header| <[u8; 16]>::try_from(header.value.as_deref()?).ok())
        .map(Uuid::from_bytes)
}

/// The UUID of a delivery that has none of its own, always the same one: a
/// UUIDv5 over `topic\npartition\noffset\ntimestamp\ndigest`.
///
/// `attempt` 0 is that UUID. It may belong to another message: to an equal record
/// of an earlier topic of that name, or because a client chose it. Then the caller
/// asks for attempt 1, 2, …, which append `\n1`, `\n2`, … to the text.
pub fn derived_uuid(delivery: &Delivery, attempt: u32) -> Uuid {
    let Delivery {
        topic,
        partition,
        offset,
        timestamp,
        digest,
    } = delivery;
    let mut name = format!("{topic}\n{partition}\n{offset}\n{timestamp}\n{digest}");
    if attempt > 0 {
        name.push_str(&format!("\n{attempt}"));
    }
    Uuid::new_v5(&DERIVED, name.as_bytes())
}

/// The UUID that a delivery asks for with its attempt 0, 1, 2, …: the client's,
/// if there is one, then the derived ones.
pub fn wanted_uuid(client_uuid: Option<Uuid>, delivery: &Delivery, attempt: u32) -> Uuid {
    match (client_uuid, attempt) {
        (Some(client), 0) => client,
        (Some(_), later) => derived_uuid(delivery, later - 1),
        (None, attempt) => derived_uuid(delivery, attempt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TimestampType;

    fn header(name: &str, value: Option<&[u8]>) -> Header {
        Header {
            name: name.into(),
            value: value.map(<[u8]>::to_vec),
        }
    }

    fn record(topic: &str, partition: i32, offset: i64, timestamp: i64) -> Record {
        Record {
            topic: topic.into(),
            partition,
            offset,
            timestamp,
            timestamp_type: TimestampType::Create,
            key: None,
            value: None,
            headers: vec![],
        }
    }

    fn assert_identity(record: &Record, digest: &str, uuid: &str) {
        let delivery = delivery(record);
        assert_eq!(delivery.digest.to_string(), digest);
        assert_eq!(derived_uuid(&delivery, 0).to_string(), uuid);
    }

    /// The three vectors of the archive's specification.
    #[test]
    fn digest_and_derived_uuid_are_the_published_ones() {
        let mut first = record("alerts", 0, 0, 1_700_000_000_000);
        first.value = Some(b"hello".to_vec());
        assert_identity(
            &first,
            "6fb0890913bee9e131ba5d10d2326ead9a77c0d153b0436717f9b3cd4f8b0159",
            "0f0db3e6-8283-5bd8-bc95-23904c144fe1",
        );

        let mut second = record("alerts", 0, 1, 1_700_000_000_000);
        second.key = Some(vec![]);
        assert_identity(
            &second,
            "8af5bb32e48fb1b46c61a7328c11ba67f4149fb318fbf55ab557940d9d17d2d9",
            "f951f738-0775-59a3-beca-7353822654ba",
        );

        let mut third = record("gcn.circular", 2, 41, -1);
        third.key = Some(b"k".to_vec());
        third.value = Some(vec![]);
        third.headers = vec![
            header("a", Some(b"1")),
            header("a", None),
            header("b", Some(b"")),
        ];
        assert_identity(
            &third,
            "e1997bf00f592cf35568049184c31a8885f2bba0176e129e77f9051a6a4c8a37",
            "d4f0feeb-78e3-5dff-ab1d-cb4a03c4340f",
        );
    }

    #[test]
    fn a_taken_derived_uuid_has_successors_that_differ() {
        let delivery = delivery(&record("t", 0, 0, 0));
        assert_ne!(derived_uuid(&delivery, 0), derived_uuid(&delivery, 1));
        assert_ne!(derived_uuid(&delivery, 1), derived_uuid(&delivery, 2));
    }

    #[test]
    fn the_client_uuid_is_the_first_id_header_of_sixteen_bytes() {
        let headers = [
            header("_id", None),
            header("_id", Some(b"fifteen bytes!!")),
            header("_ID", Some(&[9; 16])),
            header("_id", Some(&[7; 16])),
            header("_id", Some(&[8; 16])),
        ];
        assert_eq!(client_uuid(&headers), Some(Uuid::from_bytes([7; 16])));
        assert_eq!(client_uuid(&headers[..3]), None);
    }
}
