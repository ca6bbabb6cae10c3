//! A run that is killed at any moment loses nothing and leaves nothing behind.

use std::time::Duration;

use archive_ingest::catalogue::{Claim, RowFilter};
use archive_ingest::envelope;
use rand::Rng;

use crate::support::broker::plain_records;
use crate::support::compare::{assert_each_once, assert_no_orphan};
use crate::support::records::{client_uuid, with_client_uuids};
use crate::support::{Broker, Place};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 4_000;
const KILLS: usize = 4;

#[test]
fn after_kill_9_at_random_moments_every_record_is_there_exactly_once() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("crash", PARTITIONS);
    let (records, retries) = with_client_uuids(&topic, PARTITIONS, RECORDS);
    broker.send(&records);
    // Slow enough that each kill finds something under way.
    place.set("archive", "archive-batch-records", "100");
    place.set("archive", "archive-put-concurrency", "4");
    let mut rows = vec![];
    for _ in 0..KILLS {
        let process = place.start(&["run"]);
        process.wait_for("reading 4 partitions more");
        let moment = rand::rng().random_range(0..800);
        std::thread::sleep(Duration::from_millis(moment));
        process.kill();
        let count = place.catalogue().count(&RowFilter::default());
        rows.push((moment, count.expect("a readable catalogue")));
    }
    let last = place.run_to_end();
    eprintln!("rows after kills at (ms): {rows:?}; then {last:?}");
    assert!(last.archived > 0, "the kills came too late: {rows:?}");
    let archived = place.archived();
    assert_each_once(&records, retries, &archived, &*place.catalogue());
    assert_no_orphan(&archived, &place.object_keys());
}

/// What a killed worker leaves: the claim of a message that is read again, but
/// later than the retries of it, which wait for it in earlier batches.
#[test]
fn claims_of_a_killed_worker_hold_up_nothing_that_they_depend_on() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("claims", 1);
    let mut records = plain_records(&topic, 1, 40);
    for number in 0..20 {
        let (retry, message) = (number, number + 20);
        records[retry].headers = vec![client_uuid(number)];
        records[message].headers = records[retry].headers.clone();
        records[message].key = records[retry].key.clone();
        records[message].value = records[retry].value.clone();
    }
    broker.send(&records);
    let claims: Vec<Claim> = records[20..]
        .iter()
        .map(|record| Claim {
            topic_id: None,
            uuid: envelope::client_uuid(&record.headers).expect("just made"),
            delivery: envelope::delivery(record),
        })
        .collect();
    let catalogue = place.catalogue();
    catalogue.migrate().expect("an empty database");
    catalogue.claim(&claims).expect("nobody has claimed them");
    place.set("archive", "archive-batch-records", "1");
    assert_eq!(place.run_to_end().archived, 20);
    let archived = place.archived();
    assert_each_once(&records, 20, &archived, &*catalogue);
    assert_no_orphan(&archived, &place.object_keys());
}
