//! A topic that was deleted and made anew under its name is another topic,
//! however far its log has got.

use archive_ingest::record::Record;

use super::group_offsets::Group;
use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::{Archived, Broker, Place};

const PARTITIONS: i32 = 2;
const WARNING: &str = "was deleted and made anew";

/// Records of the second topic of that name, told by their time.
fn later_records(topic: &str, count: usize) -> Vec<Record> {
    let mut records = plain_records(topic, PARTITIONS, count);
    for record in &mut records {
        record.timestamp += 1_000_000;
    }
    records
}

/// Each topic's records are archived once, and nothing else is.
#[track_caller]
fn assert_both(archived: Vec<Archived>, old: &[Record], new: &[Record]) {
    let (after, before): (Vec<_>, Vec<_>) = archived
        .into_iter()
        .partition(|message| message.record.timestamp >= new[0].timestamp);
    assert_exactly(old, &before);
    assert_exactly(new, &after);
}

#[test]
fn a_topic_made_anew_and_filled_past_the_old_position_while_running_is_read_from_its_start() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("hop", "hop-topic-refresh-interval-seconds", "1");
    let topic = broker.create("remade", PARTITIONS);
    let kept = broker.create("kept", 1);
    let (old, mut others) = (
        plain_records(&topic, PARTITIONS, 40),
        plain_records(&kept, 1, 5),
    );
    broker.send(&old);
    broker.send(&others);
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(45);
    let group = Group::of(&broker);
    group.wait_for(&topic, 0, 20);

    // All of it between two looks of the worker.
    process.signal("STOP");
    broker.delete(&topic);
    assert_eq!(broker.create("remade", PARTITIONS), topic);
    let new = later_records(&topic, 200);
    broker.send(&new);
    process.signal("CONT");
    process.wait_for(WARNING);
    place.wait_for_rows(245);
    let more = plain_records(&kept, 1, 9).split_off(5);
    broker.send(&more);
    others.extend(more);
    place.wait_for_rows(249);
    group.wait_for(&topic, 0, 100);
    process.signal("TERM");
    let ended = process.ended().clean();
    assert_eq!(ended.stderr.matches(WARNING).count(), 1, "{ended}");
    assert_eq!(ended.summary().lost.len(), 0, "{ended}");

    // The group is where the new topic ends: the next run finds nothing to do.
    let next = place.run(&["run", "--until-eos", "--json"]).clean();
    let summary = next.summary();
    assert_eq!((summary.archived, summary.duplicates), (0, 0), "{next}");
    assert!(!next.stderr.contains("WARN"), "{next}");
    let archived = place.archived().into_iter();
    let (kept, remade): (Vec<_>, Vec<_>) =
        archived.partition(|message| *message.record.topic == *kept);
    assert_exactly(&others, &kept);
    assert_both(remade, &old, &new);
}

#[test]
fn an_offset_of_a_topic_that_is_no_more_is_not_taken_for_one_of_its_successor() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("remade", PARTITIONS);
    let old = plain_records(&topic, PARTITIONS, 40);
    broker.send(&old);
    assert_eq!(place.run_to_end().archived, 40);
    // What a worker that is slow to notice commits after the broker has
    // forgotten the group's offsets together with the topic.
    let group = Group::of(&broker);
    let committed = group.committed(&topic, PARTITIONS);
    broker.delete(&topic);
    assert_eq!(broker.create("remade", PARTITIONS), topic);
    let new = later_records(&topic, 200);
    broker.send(&new);
    group.commit(&committed);

    let ended = place.run(&["run", "--until-eos", "--json"]).clean();
    let summary = ended.summary();
    assert_eq!((summary.archived, summary.lost.len()), (200, 0), "{ended}");
    assert!(ended.stderr.contains(WARNING), "{ended}");
    assert_both(place.archived(), &old, &new);
    let next = place.run_to_end();
    assert_eq!((next.archived, next.duplicates), (0, 0));
}

#[test]
fn an_ordinary_restart_reads_nothing_again_and_warns_of_nothing() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("plain", PARTITIONS);
    let records = plain_records(&topic, PARTITIONS, 60);
    for some in records.chunks(20) {
        broker.send(some);
        let ended = place.run(&["run", "--until-eos", "--json"]).clean();
        let summary = ended.summary();
        assert_eq!((summary.archived, summary.duplicates), (20, 0), "{ended}");
        assert!(!ended.stderr.contains("WARN"), "{ended}");
    }
    let committed = Group::of(&broker).committed(&topic, PARTITIONS);
    for element in committed.elements() {
        assert!(element.metadata().starts_with("topic-id="), "{element:?}");
    }
    assert_exactly(&records, &place.archived());
}
