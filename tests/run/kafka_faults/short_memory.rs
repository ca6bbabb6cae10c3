//! A rebalance while memory is short.

use archive_ingest::record::Record;

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::skip::service;
use crate::support::{Broker, Link, Place, Process};

const LARGE: usize = 12;

/// Records of about a megabyte, the next ones of a topic that has some.
fn large_records(topic: &str, from: usize) -> Vec<Record> {
    let mut records = plain_records_from(topic, 2, from..from + 2 * LARGE);
    for (number, record) in records.iter_mut().enumerate() {
        record.value = Some(vec![number as u8; 900_000]);
    }
    records
}

#[test]
fn a_record_that_waits_for_room_while_its_partition_moves_away_is_archived_once() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let Some(store) = service("TEST_S3_ENDPOINT") else {
        return;
    };
    place.set("archive", "archive-memory-bytes", "8_388_608");
    place.set("archive", "archive-batch-bytes", "1_048_576");
    place.set("log", "log-level", "\"debug\"");
    let topic = broker.create("moving", 2);
    let mut records = plain_records(&topic, 2, 4);
    broker.send(&records);
    let link = Link::new();
    link.lead_to(store.trim_start_matches("http://"));
    let mut command = place.command(&["run"]);
    command.env(
        "STORE_ENDPOINT_URL",
        format!("http://127.0.0.1:{}", link.port),
    );
    let first = Process::start(command);
    place.wait_for_rows(4);

    // Its way to the store is cut, so what it reads fills its memory.
    link.cut();
    let large = large_records(&topic, 4);
    broker.send(&large);
    records.extend(large);
    first.wait_for("the byte budget is full");
    let second = place.start(&["run"]);
    second.wait_for("reading 1 partitions more");
    place.wait_for_rows((4 + LARGE) as u64);
    link.mend();
    place.wait_for_rows(records.len() as u64);
    for worker in [first, second] {
        worker.signal("TERM");
        worker.ended().clean();
    }
    let archived = place.archived();
    assert_exactly(&records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
    let next = place.run_to_end();
    assert_eq!((next.archived, next.duplicates), (0, 0));
}
