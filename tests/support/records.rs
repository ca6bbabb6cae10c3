//! Records whose client UUIDs are repeated and contested.

use archive_ingest::record::{Header, Record};

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

/// A client UUID, as a header. Every archive is private, so a number will do.
pub fn client_uuid(number: usize) -> Header {
    let id = (number as u128).to_be_bytes();
    Header {
        name: b"_id".to_vec(),
        value: Some(id.to_vec()),
    }
}
