//! A topic that was deleted and created again is restored as it was: all records
//! of the first topic, then all of the second.

use archive_ingest::record::Record;

use super::{assert_same_stream, real, restore};
use crate::support::broker::plain_records;
use crate::support::records::client_uuid;
use crate::support::{Broker, Place};

const PARTITIONS: i32 = 2;

/// Records with client UUIDs. `changed`: two of three have another content and time
/// than the record that has its UUID in other calls, the first of each partition
/// among them: after `rebuild-catalogue` their times alone give the order.
fn records(topic: &str, changed: bool) -> Vec<Record> {
    let mut records = plain_records(topic, PARTITIONS, 12);
    for (number, record) in records.iter_mut().enumerate() {
        record.headers = vec![client_uuid(number)];
        if changed && number % 3 < 2 {
            record.value = Some(format!("changed {number}").into_bytes());
            record.timestamp += 1;
        }
    }
    records
}

/// The second after the first, as one stream.
fn one_after_the_other(first: &[Record], second: &[Record]) -> Vec<Record> {
    let later = second.iter().map(|record| Record {
        offset: record.offset + 1_000,
        ..record.clone()
    });
    first.iter().cloned().chain(later).collect()
}

#[track_caller]
fn assert_restored(broker: &Broker, place: &Place, topic: &str, expected: &[Record]) {
    let target = broker.foreign_name("lives-restored");
    let options = ["--topic", topic, "--to", &target, "--create-topics"];
    let (_, report) = restore(place, &options, 0);
    assert_eq!(report["restored"], expected.len(), "{report}");
    assert_same_stream(expected, &broker.committed(&target));
}

fn restored_as_it_was(name: &str, is_changed: bool) {
    let Some((broker, mut place)) = real() else {
        return;
    };
    let topic = broker.create(name, PARTITIONS);
    let first = records(&topic, false);
    broker.send(&first);
    assert_eq!(place.run_to_end().archived, 12);
    broker.delete(&topic);
    assert_eq!(broker.create(name, PARTITIONS), topic);
    let second = records(&topic, is_changed);
    broker.send(&second);
    let summary = place.run_to_end();
    assert_eq!(summary.archived + summary.duplicates, 12);
    let expected = one_after_the_other(&first, &second);
    assert_restored(&broker, &place, &topic, &expected);

    // Retries have no object: what Kafka holds tells of them.
    place.use_another_database();
    place.run(&["rebuild-catalogue"]).clean();
    let repair = ["verify", "--against-kafka", "--repair"];
    place.run(&repair).clean();
    assert_restored(&broker, &place, &topic, &expected);
}

#[test]
fn recreated_topic_whose_records_repeat_is_restored_life_after_life() {
    restored_as_it_was("lives", false);
}

#[test]
fn recreated_topic_whose_client_uuids_repeat_is_restored_life_after_life() {
    restored_as_it_was("lives-changed", true);
}
