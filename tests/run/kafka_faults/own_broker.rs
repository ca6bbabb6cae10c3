//! A broker that goes and comes back, or stops answering.

use std::time::Duration;

use archive_ingest::record::Record;

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Broker, OwnKafka, Place};

const PARTITIONS: i32 = 3;
const STEP: usize = 300;

#[test]
fn a_broker_that_restarts_or_is_killed_holds_a_run_up_and_no_more() {
    let Some(mut kafka) = OwnKafka::start(1) else {
        return;
    };
    let broker = Broker::at(&kafka.address);
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("archive", "archive-batch-records", "20");
    place.set("hop", "hop-topic-refresh-interval-seconds", "1");
    let topic = broker.create("held-up", PARTITIONS);
    let other = broker.create("other", PARTITIONS);
    let mut sent = plain_records(&topic, PARTITIONS, STEP);
    broker.send(&sent);
    let mut process = place.start(&["run"]);
    for kill in [false, true] {
        // In the middle of it.
        place.wait_for_rows((sent.len() - STEP / 2) as u64);
        match kill {
            false => kafka.stop(0),
            true => kafka.kill(0),
        }
        kafka.begin(0);
        kafka.wait_for_nodes(1);
        let more = plain_records_from(&topic, PARTITIONS, sent.len()..sent.len() + STEP);
        broker.send(&more);
        sent.extend(more);
    }
    let few = plain_records(&other, PARTITIONS, 6);
    broker.send(&few);
    sent.extend(few);
    place.wait_for_rows(sent.len() as u64);

    // The leader epochs of a new topic are lower than those of the old one,
    // whether the worker sees that it is gone or not.
    let mut new = remade(
        &broker,
        "held-up",
        2 * sent.len(),
        |deleted| match deleted {
            true => {}
            false => process.signal("STOP"),
        },
    );
    process.signal("CONT");
    place.wait_for_rows((sent.len() + new.len()) as u64);
    new.extend(remade(&broker, "other", STEP, |deleted| {
        if deleted {
            process.wait_for("reading 1 topics");
        }
    }));
    place.wait_for_rows((sent.len() + new.len()) as u64);
    assert!(process.is_running());
    process.signal("TERM");
    process.ended().clean();
    let (after, before): (Vec<_>, Vec<_>) = place
        .archived()
        .into_iter()
        .partition(|message| message.record.timestamp >= new[0].timestamp);
    assert_exactly(&sent, &before);
    assert_exactly(&new, &after);
    assert_no_orphan(&place.archived(), &place.object_keys());
}

/// Deletes the topic, makes it anew and fills it with these records. `at` is
/// called before it is deleted (`false`) and after (`true`).
fn remade(broker: &Broker, name: &str, count: usize, at: impl Fn(bool)) -> Vec<Record> {
    at(false);
    broker.delete(&broker.name(name));
    at(true);
    let topic = broker.create(name, PARTITIONS);
    let mut records = plain_records(&topic, PARTITIONS, count);
    for record in &mut records {
        record.timestamp += 1_000_000;
    }
    broker.send(&records);
    records
}

#[test]
fn sigterm_ends_a_run_in_time_while_the_broker_answers_nothing() {
    let Some(kafka) = OwnKafka::start(1) else {
        return;
    };
    let broker = Broker::at(&kafka.address);
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("archive", "archive-shutdown-seconds", "2");
    let topic = broker.create("frozen", PARTITIONS);
    let records = plain_records(&topic, PARTITIONS, 6000);
    broker.send(&records);
    place.set("archive", "archive-batch-records", "20");
    place.set("archive", "archive-put-concurrency", "2");
    let process = place.start(&["run"]);
    place.wait_for_rows(100);
    kafka.freeze(0);
    let told = std::time::Instant::now();
    process.signal("TERM");
    let ended = process.ended();
    let took = told.elapsed();
    kafka.thaw(0);
    // What was archived last could not be committed.
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(took < Duration::from_secs(2 + 10 + 3), "{took:?}: {ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    assert!(
        ended.stderr.contains("read again by the next run"),
        "{ended}"
    );
    place.run_to_end();
    let archived = place.archived();
    assert_exactly(&records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}
