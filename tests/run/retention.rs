//! What retention took before it was archived is recorded exactly, however the
//! group's offsets stand.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::proxy::Mode;
use crate::support::{Broker, Place};

/// The gaps that the archive has recorded, as (from, to).
fn gaps(place: &Place) -> Vec<(i64, i64)> {
    let gaps = place.catalogue().gaps().expect("gaps");
    gaps.into_iter().map(|gap| (gap.from, gap.to)).collect()
}

/// The archive's own position of the topic's only stream.
fn next_offset(place: &Place) -> i64 {
    let positions = place.catalogue().positions().all_positions();
    positions.expect("positions")[0].next
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn scene(name: &str) -> Option<(Broker, Place, String)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    let topic = broker.create(name, 1);
    Some((broker, place, topic))
}

#[test]
fn retention_after_the_group_was_deleted_is_a_gap() {
    let Some((broker, place, topic)) = scene("group-deleted") else {
        return;
    };
    let records = plain_records(&topic, 1, 250);
    broker.send(&records[..100]);
    assert_eq!(place.run_to_end().archived, 100);
    assert_eq!(next_offset(&place), 100);
    broker.delete_group(&broker.name("group"));
    broker.send(&records[100..]);
    broker.delete_records_before(&topic, 0, 200);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.duplicates), (50, 0));
    assert_eq!(gaps(&place), [(100, 200)]);
    assert_eq!(next_offset(&place), 250);
    assert_eq!(place.run(&["verify"]).code, Some(1));
}

#[test]
fn retention_with_a_random_group_is_a_gap() {
    let Some((broker, mut place, topic)) = scene("random-group") else {
        return;
    };
    place.set("hop", "hop-groupname", "\"random\"");
    let records = plain_records(&topic, 1, 40);
    broker.send(&records[..20]);
    assert_eq!(place.run_to_end().archived, 20);
    broker.send(&records[20..]);
    assert_eq!(gaps(&place), []);
    broker.delete_records_before(&topic, 0, 30);
    assert_eq!(place.run_to_end().archived, 10);
    assert_eq!(gaps(&place), [(20, 30)]);
}

#[test]
fn retention_of_archived_records_is_no_gap_after_offsets_were_set_back() {
    let Some((broker, place, topic)) = scene("set-back") else {
        return;
    };
    let records = plain_records(&topic, 1, 100);
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, 100);
    broker
        .group(&broker.name("group"), &topic, 1)
        .commit(&[Some(0)]);
    broker.delete_records_before(&topic, 0, 60);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.lost.len()), (0, 0));
    assert_eq!(gaps(&place), []);
    assert_eq!(place.run(&["verify"]).code, Some(0));
}

#[test]
fn offsets_that_somebody_else_committed_are_not_believed() {
    let Some((broker, place, topic)) = scene("set-ahead") else {
        return;
    };
    let records = plain_records(&topic, 1, 60);
    broker.send(&records[..20]);
    assert_eq!(place.run_to_end().archived, 20);
    broker.send(&records[20..]);
    broker
        .group(&broker.name("group"), &topic, 1)
        .commit(&[Some(60)]);
    assert_eq!(place.run_to_end().archived, 40);
    assert_eq!(gaps(&place), []);
    assert_exactly(&records, &place.archived());
}

#[test]
fn log_start_when_a_topic_is_first_seen_is_no_gap() {
    let Some((broker, place, topic)) = scene("first-seen") else {
        return;
    };
    let records = plain_records(&topic, 1, 30);
    broker.send(&records);
    broker.delete_records_before(&topic, 0, 10);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.lost.len()), (20, 0));
    let positions = place
        .catalogue()
        .positions()
        .all_positions()
        .expect("positions");
    assert_eq!((positions[0].first, positions[0].next), (10, 30));
}

#[test]
fn rows_and_objects_name_the_life_of_their_topic() {
    let Some((broker, place, topic)) = scene("topic-id") else {
        return;
    };
    broker.send(&plain_records(&topic, 1, 3));
    assert_eq!(place.run_to_end().archived, 3);
    let rows = place
        .catalogue()
        .rows(&Default::default(), None, 10, false)
        .expect("rows");
    let stream = place
        .catalogue()
        .positions()
        .all_positions()
        .expect("positions");
    let id = stream[0].key.topic_id;
    assert!(id.is_some());
    let ids: Vec<_> = rows
        .iter()
        .map(|row| row.row.origin.as_ref().and_then(|origin| origin.topic_id))
        .collect();
    assert_eq!(ids, [id; 3]);
    assert_eq!(place.run(&["verify", "--deep"]).code, Some(0));
}

/// The memory is full of records, and the partition paused, while retention
/// goes on.
#[test]
fn retention_while_the_store_is_away_is_one_gap() {
    let Some((broker, mut place, topic)) = scene("store-away") else {
        return;
    };
    let proxy = place.store_through_proxy();
    place.set("archive", "archive-memory-bytes", "8_388_608");
    let mut records = plain_records(&topic, 1, 410);
    for record in &mut records {
        record.value = Some(vec![record.offset as u8; 128 << 10]);
    }
    broker.send(&records[..10]);
    let process = place.start(&["run"]);
    place.wait_for_rows(10);
    proxy.set(Mode::Refuse);
    broker.send(&records[10..]);
    process.wait_for("trying again until it works");
    // The memory fills within a moment, which nothing outside shows.
    std::thread::sleep(Duration::from_secs(3));
    broker.delete_records_before(&topic, 0, 310);
    proxy.set(Mode::Pass);
    wait_until("archived", || next_offset(&place) == 410);
    process.signal("TERM");
    process.ended().clean();
    let gaps = gaps(&place);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let (from, to) = gaps[0];
    assert_eq!(to, 310);
    assert_eq!(place.archived().len() as i64, from + 100);
    assert_eq!(place.run(&["verify"]).code, Some(1));
}

/// A transaction's marker follows the last record, and nothing ever comes of it.
#[test]
fn lag_is_zero_behind_transaction_markers() {
    let Some((broker, place, topic)) = scene("markers") else {
        return;
    };
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", &topic)
        .create()
        .expect("a producer");
    let send = |value: &str| {
        let patience = Duration::from_secs(30);
        producer.begin_transaction().expect("begun");
        let record = BaseRecord::<(), str>::to(&topic)
            .partition(0)
            .payload(value);
        producer.send(record).expect("room in the queue");
        producer.commit_transaction(patience).expect("committed");
    };
    producer
        .init_transactions(Duration::from_secs(30))
        .expect("begun");
    let group = broker.group(&broker.name("group"), &topic, 1);
    send("one");
    assert_eq!(place.run_to_end().archived, 1);
    assert_eq!(group.offsets(), [Some(2)]);
    assert_eq!(next_offset(&place), 2);
    let process = place.start(&["run"]);
    send("two");
    wait_until("lag 0", || group.offsets() == [Some(4)]);
    process.signal("TERM");
    process.ended().clean();
    let stream = place
        .catalogue()
        .positions()
        .all_positions()
        .expect("positions");
    let intervals = place.catalogue().positions().read_intervals(&stream[0].key);
    let intervals = intervals.expect("intervals");
    assert_eq!(intervals.len(), 1, "{intervals:?}");
    assert_eq!((intervals[0].records, intervals[0].holes()), (2, 2));
}

/// The catalogue alone shows that a row is gone, wherever its object is.
#[test]
fn verify_finds_that_a_partition_is_not_complete() {
    let Some((broker, place, topic)) = scene("complete") else {
        return;
    };
    broker.send(&plain_records(&topic, 1, 30));
    assert_eq!(place.run_to_end().archived, 30);
    let ended = place.run(&["verify", "--json"]).clean();
    let last: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().last().expect("a summary")).expect("JSON");
    let complete = last
        .pointer("/summary/completeness")
        .or(last.get("completeness"));
    let complete = complete.unwrap_or_else(|| panic!("{last}"));
    assert_eq!(complete["partitions"], 1);
    assert_eq!(complete["offsets"], 30);
    place.execute("DELETE FROM messages WHERE kafka_offset = 7");
    let ended = place.run(&["verify", "--json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("\"unaccounted\""), "{ended}");
}
