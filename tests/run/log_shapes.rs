//! Logs that are not simply one record after another: cut off by retention,
//! made anew, compacted, transactional, with large records.

use std::time::{Duration, Instant};

use archive_ingest::record::Record;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Place};

/// Of the compacted topic.
const KEYS: usize = 7;

/// The defects that `verify --json` lists, as (kind, from, to), and its exit
/// code.
fn gaps_that_verify_reports(place: &Place) -> (Option<i32>, Vec<(String, i64, i64)>) {
    let ended = place.run(&["verify", "--json"]);
    let defects = ended
        .stdout
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let defect = line.get("defect")?.clone();
            let number = |name: &str| defect[name].as_i64().unwrap_or(-1);
            let kind = defect["kind"].as_str().expect("a kind").to_owned();
            Some((kind, number("from"), number("to")))
        })
        .collect();
    (ended.code, defects)
}

#[test]
fn what_retention_took_before_it_was_read_is_told_remembered_and_reported() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("short-lived", 1);
    let records = plain_records(&topic, 1, 20);
    broker.send(&records);
    let first = place
        .run(&["run", "--max-messages", "5", "--json"])
        .clean()
        .summary();
    assert_eq!((first.archived, first.lost.len()), (5, 0));
    broker.delete_records_before(&topic, 0, 12);

    let ended = place.run(&["run", "--until-eos", "--json"]).clean();
    let second = ended.summary();
    assert_eq!(second.archived, 8);
    let lost: Vec<_> = second
        .lost
        .iter()
        .map(|lost| (lost.topic.as_str(), lost.partition, lost.from, lost.to))
        .collect();
    assert_eq!(lost, [(topic.as_str(), 0, 5, 12)]);
    assert!(ended.stderr.contains("LOST"), "{ended}");

    let archived: Vec<Record> = [&records[..5], &records[12..]].concat();
    assert_exactly(&archived, &place.archived());
    let reported = gaps_that_verify_reports(&place);
    assert_eq!(reported, (Some(1), vec![("gap".to_owned(), 5, 12)]));
}

#[test]
fn a_log_that_lost_everything_unread_is_told_although_nothing_comes() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("emptied", 1);
    broker.send(&plain_records(&topic, 1, 10));
    place.run(&["run", "--max-messages", "4", "--json"]).clean();
    broker.delete_records_before(&topic, 0, 10);
    let summary = place.run_to_end();
    assert_eq!(summary.archived, 0);
    let lost: Vec<_> = summary.lost.iter().map(|l| (l.from, l.to)).collect();
    assert_eq!(lost, [(4, 10)]);
}

#[test]
fn a_topic_that_was_deleted_and_made_anew_gives_new_messages_from_offset_zero() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("reborn", 1);
    let mut all = plain_records(&topic, 1, 10);
    broker.send(&all);
    assert_eq!(place.run_to_end().archived, 10);
    broker.delete(&topic);
    broker.create("reborn", 1);
    let mut again = plain_records_from(&topic, 1, 100..104);
    for (offset, record) in again.iter_mut().enumerate() {
        record.offset = offset as i64;
    }
    broker.send(&again);
    let second = place.run_to_end();
    assert_eq!((second.archived, second.lost.len()), (4, 0));
    // Two incarnations have the same offsets: they are told apart by time.
    all.extend(again);
    let mut archived: Vec<Record> = place.archived().into_iter().map(|m| m.record).collect();
    archived.sort_by_key(|record| record.timestamp);
    assert_eq!(archived, all);
}

#[test]
fn aborted_transactions_are_never_archived_and_control_records_hold_no_end_up() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("transactions", 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", &topic)
        .create()
        .expect("a producer");
    let patience = Duration::from_secs(30);
    producer.init_transactions(patience).expect("begun");
    for (number, commit) in [true, false, true, false].into_iter().enumerate() {
        producer.begin_transaction().expect("begun");
        let value = if commit { "committed" } else { "aborted" };
        for _ in 0..3 {
            let key = number.to_string();
            let record = BaseRecord::to(&topic).partition(0).key(&key).payload(value);
            producer.send(record).expect("room in the queue");
        }
        producer.flush(patience).expect("acknowledged");
        match commit {
            true => producer.commit_transaction(patience).expect("committed"),
            false => producer.abort_transaction(patience).expect("aborted"),
        }
    }
    for expected in [6, 0] {
        let summary = place.run_to_end();
        assert_eq!((summary.archived, summary.duplicates), (expected, 0));
        assert_eq!(summary.lost.len(), 0);
    }
    let archived = place.archived();
    assert!(
        archived
            .iter()
            .all(|message| message.record.value.as_deref() == Some(b"committed"))
    );
    assert_eq!(gaps_that_verify_reports(&place), (Some(0), vec![]));
}

#[test]
fn a_compacted_topic_is_archived_with_all_that_compaction_left_and_its_end_is_reached() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let topic = broker.create_with("compacted", 1, &settings);
    let mut records = plain_records(&topic, 1, 90);
    for (number, record) in records.iter_mut().enumerate() {
        record.key = Some(format!("key {}", number % KEYS).into_bytes());
        // By their time the log begins a new segment with each batch.
        record.timestamp += 1000 * number as i64;
    }
    let (last, others) = records.split_last().expect("90 of them");
    for some in others.chunks(30) {
        broker.send(some);
    }
    broker.send(std::slice::from_ref(last));
    let left = offsets_after_compaction(&broker, &topic);
    let kept: Vec<Record> = records
        .iter()
        .filter(|record| left.contains(&record.offset))
        .cloned()
        .collect();
    for expected in [kept.len() as u64, 0] {
        let summary = place.run_to_end();
        assert_eq!((summary.archived, summary.duplicates), (expected, 0));
        assert_eq!(summary.lost.len(), 0);
    }
    assert_exactly(&kept, &place.archived());
    assert_eq!(gaps_that_verify_reports(&place), (Some(0), vec![]));
}

/// The offsets that are left when the log was compacted as far as it can be:
/// one for each key, and what was sent last.
fn offsets_after_compaction(broker: &Broker, topic: &str) -> Vec<i64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = broker.offsets(topic, 0);
        if left.len() == KEYS + 1 {
            return left;
        }
        assert!(Instant::now() < deadline, "never compacted: {left:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn records_of_fifty_megabytes_are_archived_like_any_other_and_within_the_memory_allowed() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create_with("large", 1, &[("max.message.bytes", "60000000")]);
    let mut records = plain_records(&topic, 1, 5);
    for number in [1, 3] {
        let bytes = (0..50_000_000u32).map(|n| ((n * 7) >> 3) as u8 ^ number as u8);
        records[number].value = Some(bytes.collect());
    }
    broker.send_large(&records, 60_000_000);
    let process = place.start(&["run"]);
    place.wait_for_rows(5);
    let peak = process.peak_memory();
    process.signal("TERM");
    process.ended().clean();
    assert!(peak <= 256 << 20, "{peak} bytes");
    assert_exactly(&records, &place.archived());
}
