//! Records whose client UUIDs are repeated and contested.

use archive_ingest::record::{Header, Record};
use uuid::Uuid;

use super::broker::plain_records;

/// Records dealt out to the partitions in turn; how many of them are retries.
///
/// Of each hundred, ten have a client UUID; one of those is repeated by the
/// next record, and one is asked for by another message. Both stand in another
/// partition, so that it is a matter of chance who is first.
pub fn with_client_uuids(topic: &str, partitions: i32, count: usize) -> (Vec<Record>, usize) {
    let mut records = plain_records(topic, partitions, count);
    let mut retries = 0;
    for number in (0..count).step_by(10) {
        records[number].headers = vec![client_uuid(number)];
        let (first, next) = (number, number + 1);
        if next >= count {
            continue;
        }
        if number % 100 == 0 {
            records[next].key = records[first].key.clone();
            records[next].value = records[first].value.clone();
            records[next].headers = vec![client_uuid(number)];
            retries += 1;
        } else if number % 100 == 50 {
            records[next].headers = vec![client_uuid(number)];
        }
    }
    (records, retries)
}

/// As [`with_client_uuids`], closer together: of each ten records one is
/// repeated by the next one, and one's UUID is asked for by another message.
pub fn crowded(topic: &str, partitions: i32, count: usize) -> (Vec<Record>, usize) {
    let mut records = plain_records(topic, partitions, count);
    for ten in records.chunks_exact_mut(10) {
        let number = ten[0].offset as usize * 100 + ten[0].partition as usize;
        ten[0].headers = vec![client_uuid(2 * number)];
        ten[1] = Record {
            partition: ten[1].partition,
            offset: ten[1].offset,
            timestamp: ten[1].timestamp,
            ..ten[0].clone()
        };
        ten[2].headers = vec![client_uuid(2 * number + 1)];
        ten[3].headers = ten[2].headers.clone();
    }
    (records, count / 10)
}

/// As [`asking_for`]. Every archive is private, so a number will do.
pub fn client_uuid(number: usize) -> Header {
    asking_for(Uuid::from_u128(number as u128))
}

/// A client UUID, as a header.
pub fn asking_for(uuid: Uuid) -> Header {
    Header {
        name: b"_id".to_vec(),
        value: Some(uuid.as_bytes().to_vec()),
    }
}
