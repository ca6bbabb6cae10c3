//! Offsets without a record: `verify --against-kafka` confirms them with the second
//! reader, or finds that they hold one.

use std::time::{Duration, Instant};

use archive_ingest::catalogue::ReadInterval;
use archive_ingest::record::{Record, TopicId};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::program::Ended;
use crate::support::records::client_uuid;
use crate::support::{Broker, Place};

const PATIENCE: Duration = Duration::from_secs(60);

fn real(name: &str, settings: &[(&str, &str)]) -> Option<(Broker, Place, String)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    let topic = broker.create_with(name, 1, settings);
    Some((broker, place, topic))
}

/// A transaction with `count` records: they and its marker are offsets.
fn transaction(broker: &Broker, topic: &str, count: usize, commit: bool) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", topic)
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("begun");
    producer.begin_transaction().expect("begun");
    for _ in 0..count {
        let record = BaseRecord::<(), str>::to(topic).partition(0).payload("x");
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("acknowledged");
    match commit {
        true => producer.commit_transaction(PATIENCE).expect("committed"),
        false => producer.abort_transaction(PATIENCE).expect("aborted"),
    }
}

fn verify(place: &Place, options: &[&str], code: i32) -> Ended {
    let ended = place.run(&[&["verify", "--json"], options].concat());
    assert_eq!(ended.code, Some(code), "{ended}");
    ended
}

fn lines(ended: &Ended, name: &str) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            line.get(name).cloned()
        })
        .collect()
}

/// Offsets without a record, confirmed and not.
fn holes(ended: &Ended) -> (i64, i64) {
    let found = &lines(ended, "summary")[0]["completeness"];
    let number = |name: &str| found[name].as_i64().expect("a number");
    (number("holes_confirmed"), number("holes_unconfirmed"))
}

fn intervals(place: &Place) -> Vec<ReadInterval> {
    let catalogue = place.catalogue();
    let positions = catalogue.positions().all_positions().expect("positions");
    let stream = &positions[0].key;
    catalogue
        .positions()
        .read_intervals(stream)
        .expect("intervals")
}

#[test]
fn holes_of_transactions_are_confirmed_once_and_stay_so() {
    let Some((broker, place, topic)) = real("transactions", &[]) else {
        return;
    };
    // Markers at 3 and 8, aborted records from 4 to 7.
    transaction(&broker, &topic, 3, true);
    transaction(&broker, &topic, 4, false);
    broker.send(&plain_records(&topic, 1, 2));
    assert_eq!(place.run_to_end().archived, 5);
    assert_eq!(holes(&verify(&place, &[], 0)), (0, 6));
    assert_eq!(holes(&verify(&place, &["--against-kafka"], 0)), (6, 0));
    assert_eq!(holes(&verify(&place, &[], 0)), (6, 0));

    // What comes later is not confirmed by that, nor what retention removes first.
    transaction(&broker, &topic, 1, true);
    transaction(&broker, &topic, 1, true);
    assert_eq!(place.run_to_end().archived, 2);
    assert_eq!(holes(&verify(&place, &[], 0)), (6, 2));
    broker.delete_records_before(&topic, 0, 13);
    assert_eq!(holes(&verify(&place, &["--against-kafka"], 0)), (7, 1));
    assert_eq!(holes(&verify(&place, &["--against-kafka"], 0)), (7, 1));
    transaction(&broker, &topic, 1, true);
    assert_eq!(place.run_to_end().archived, 1);
    assert_eq!(holes(&verify(&place, &["--against-kafka"], 0)), (8, 1));
    let kept = intervals(&place);
    assert!(kept.len() <= 3, "{kept:?}");
    let all: i64 = kept.iter().map(|one| one.records).sum();
    assert_eq!((kept[0].from, kept[kept.len() - 1].to, all), (0, 17, 8));
}

#[test]
fn holes_of_compaction_are_confirmed() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let Some((broker, place, topic)) = real("compaction", &settings) else {
        return;
    };
    let mut records = plain_records_from(&topic, 1, 0..40);
    for (number, record) in records.iter_mut().enumerate() {
        record.key = Some(vec![number as u8 % 5]);
        record.timestamp += 1000 * number as i64;
    }
    for some in records.chunks(10) {
        broker.send(some);
    }
    let deadline = Instant::now() + PATIENCE;
    let left = loop {
        let left = broker.committed(&topic).len();
        if left < 40 {
            break left;
        }
        assert!(Instant::now() < deadline, "never compacted");
        std::thread::sleep(Duration::from_millis(300));
    };
    let archived = place.run_to_end().archived;
    assert!(archived > 0 && archived <= left as u64, "{archived}");
    let missing = 40 - archived as i64;
    assert_eq!(holes(&verify(&place, &[], 0)), (0, missing));
    assert_eq!(
        holes(&verify(&place, &["--against-kafka"], 0)),
        (missing, 0)
    );
}

/// As if the archiver's client had taken a record for none.
#[test]
fn hole_with_a_committed_record_is_a_loss_and_is_archived_again() {
    let Some((broker, place, topic)) = real("lost", &[]) else {
        return;
    };
    broker.send(&plain_records(&topic, 1, 10));
    transaction(&broker, &topic, 2, true);
    assert_eq!(place.run_to_end().archived, 12);
    let before = place.archived();
    let of_offset = |offset: i64| {
        let is_there = |one: &&crate::support::archived::Archived| one.record.offset == offset;
        before.iter().find(is_there).expect("archived")
    };
    let lost = of_offset(4);
    place.objects().delete(&lost.row.key);
    place.execute("DELETE FROM messages WHERE kafka_offset = 4");
    place.execute("UPDATE read_intervals SET records = records - 1");

    // The catalogue alone takes the client's word for it.
    assert_eq!(holes(&verify(&place, &[], 0)), (0, 2));
    let found = verify(&place, &["--against-kafka"], 1);
    let defects = lines(&found, "defect");
    assert_eq!(defects.len(), 1, "{found}");
    assert_eq!(defects[0]["kind"], "not_archived");
    assert_eq!(defects[0]["offset"], 4);
    assert_eq!(holes(&found), (0, 2));
    verify(&place, &["--against-kafka", "--repair", "--dry-run"], 1);
    assert_eq!(holes(&verify(&place, &[], 0)), (0, 2));

    let repaired = verify(&place, &["--against-kafka", "--repair"], 0);
    assert_eq!(holes(&repaired), (1, 0));
    assert_eq!(place.archived().len(), 12);
    assert_eq!(holes(&verify(&place, &["--against-kafka"], 0)), (1, 0));

    // It counts as a record now: its loss would be seen without Kafka.
    place.execute("DELETE FROM messages WHERE kafka_offset = 4");
    let ended = verify(&place, &[], 1);
    let kinds: Vec<Value> = lines(&ended, "defect")
        .iter()
        .map(|defect| defect["kind"].clone())
        .collect();
    assert!(kinds.contains(&json!("unaccounted")), "{ended}");
}

/// Rows of an archiver that kept no positions.
#[test]
fn messages_archived_before_positions_are_counted_and_no_defect() {
    let Some((broker, place, topic)) = real("older", &[]) else {
        return;
    };
    broker.send(&plain_records(&topic, 1, 10));
    assert_eq!(place.run_to_end().archived, 10);
    let not_recorded = |ended: &Ended| {
        let summary = &lines(ended, "summary")[0];
        assert_eq!(summary["held"], true, "{ended}");
        summary["completeness"]["not_recorded"].clone()
    };
    assert_eq!(not_recorded(&verify(&place, &[], 0)), 0);
    place.execute("DELETE FROM read_intervals; DELETE FROM streams");
    assert_eq!(not_recorded(&verify(&place, &[], 0)), 10);
    let text = place.run(&["verify"]).clean().stdout;
    assert!(text.contains("not recorded: 10 messages"), "{text}");
}

fn topic_id(place: &Place) -> Vec<TopicId> {
    let positions = place.catalogue().positions().all_positions();
    let positions = positions.expect("positions").into_iter();
    positions.filter_map(|at| at.key.topic_id).collect()
}

/// The same records in two lives of a topic: a retry each time, at one offset.
#[test]
fn retry_of_another_life_of_the_topic_does_not_count() {
    let Some((broker, place, topic)) = real("lives", &[]) else {
        return;
    };
    let mut records: Vec<Record> = plain_records(&topic, 1, 2);
    records[1] = Record {
        offset: 1,
        ..records[0].clone()
    };
    for record in &mut records {
        record.headers = vec![client_uuid(7)];
    }
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, 1);
    let first = topic_id(&place);
    broker.delete(&topic);
    broker.create_named(&topic, 1, &[]);
    broker.send(&records);
    let again = place.run_to_end();
    assert_eq!((again.archived, again.duplicates), (0, 2));
    verify(&place, &["--against-kafka"], 0);
    let second = topic_id(&place)
        .into_iter()
        .find(|id| !first.contains(id))
        .expect("a second life");
    place.execute(&format!(
        "DELETE FROM retries WHERE kafka_offset = 1 AND topic_id = '{}'",
        second.as_uuid()
    ));
    let missing = |ended: &Ended| -> Vec<Value> {
        let defects = lines(ended, "defect").into_iter();
        defects
            .filter(|defect| defect["kind"] == "retry_not_recorded")
            .map(|defect| defect["offset"].clone())
            .collect()
    };
    let found = verify(&place, &["--against-kafka"], 1);
    assert_eq!(missing(&found), [json!(1)], "{found}");
    verify(&place, &["--against-kafka", "--repair"], 0);
    verify(&place, &["--against-kafka"], 0);
}
