//! A run that is told to stop finishes and commits what it has received.

use archive_ingest::catalogue::RowFilter;

use crate::support::broker::plain_records;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Broker, Place};

const RECORDS: usize = 6_000;

fn a_busy_run_ends_in_good_order_with(signal: &str) {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("busy", 4);
    let records = plain_records(&topic, 4, RECORDS);
    broker.send(&records);
    // So little at once that most is still on Kafka when the signal comes.
    place.set("archive", "archive-memory-bytes", "8_388_608");
    place.set("archive", "archive-batch-bytes", "1_048_576");
    place.set("archive", "archive-batch-records", "100");
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(1);
    process.signal(signal);
    let first = process.ended().clean().summary();
    assert!((1..RECORDS as u64).contains(&first.archived), "{first:?}");
    let rows = place.catalogue().count(&RowFilter::default());
    assert_eq!(rows.expect("a readable catalogue"), first.archived);

    let second = place.run_to_end();
    assert_eq!(first.archived + second.archived, RECORDS as u64);
    assert_eq!((first.duplicates, second.duplicates), (0, 0));
    let archived = place.archived();
    assert_exactly(&records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}

#[test]
fn sigterm_in_a_busy_run_exits_0_and_nothing_is_read_twice() {
    a_busy_run_ends_in_good_order_with("TERM");
}

#[test]
fn sigint_in_a_busy_run_exits_0_and_nothing_is_read_twice() {
    a_busy_run_ends_in_good_order_with("INT");
}
