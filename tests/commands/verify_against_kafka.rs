//! `verify --against-kafka`: what Kafka still holds against the archive; and
//! what is fetched from there again.

use std::sync::Arc;

use archive_ingest::record::Record;
use serde_json::Value;

use crate::archive::text;
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::program::Ended;
use crate::support::records::with_client_uuids;
use crate::support::{Broker, Place};

fn real() -> Option<(Broker, Place)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    Some((broker, place))
}

fn lines(ended: &Ended, name: &str) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| {
            serde_json::from_str::<Value>(line)
                .unwrap()
                .get(name)
                .cloned()
        })
        .collect()
}

/// Kind, partition and offset of each defect.
fn defects(ended: &Ended) -> Vec<(String, i64, i64)> {
    let mut found: Vec<_> = lines(ended, "defect")
        .iter()
        .map(|defect| {
            let number = |name: &str| defect[name].as_i64().unwrap_or(-1);
            (text(&defect["kind"]), number("partition"), number("offset"))
        })
        .collect();
    found.sort();
    found
}

fn compare(place: &Place, options: &[&str], code: i32) -> Ended {
    let all = [&["verify", "--json", "--against-kafka"], options].concat();
    let ended = place.run(&all);
    assert_eq!(ended.code, Some(code), "{ended}");
    ended
}

fn compared(ended: &Ended) -> Value {
    lines(ended, "summary")[0]["kafka_records"].clone()
}

#[test]
fn what_the_archive_has_of_kafka_is_clean_with_retries_and_contested_uuids() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("uuids", 3);
    let (records, retries) = with_client_uuids(&topic, 3, 400);
    assert!(retries > 0);
    broker.send(&records);
    place.run_to_end();
    let held = compare(&place, &[], 0);
    assert_eq!(compared(&held), 400);

    place.execute("DELETE FROM retries");
    let found = compare(&place, &[], 1);
    let (unrecorded, others): (Vec<_>, Vec<_>) = defects(&found)
        .into_iter()
        .partition(|(kind, ..)| kind == "retry_not_recorded");
    assert_eq!(unrecorded.len(), retries);
    // The catalogue alone says so too, of each partition.
    assert!(!others.is_empty() && others.iter().all(|(kind, ..)| kind == "unaccounted"));
    compare(&place, &["--repair"], 0);
    compare(&place, &[], 0);
}

#[test]
fn what_the_archive_lost_altogether_is_found_and_archived_again() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("lost", 2);
    let records = plain_records(&topic, 2, 40);
    broker.send(&records);
    place.run_to_end();
    let before = place.archived();
    // Row and object: only the archive's own positions and Kafka know of them.
    let objects = place.objects();
    for lost in [&before[3], &before[25]] {
        objects.delete(&lost.row.key);
        place.execute(&format!(
            "DELETE FROM messages WHERE uuid = '{}'",
            lost.row.uuid
        ));
    }
    let incomplete = place.run(&["verify", "--deep", "--json"]);
    assert_eq!(incomplete.code, Some(1), "{incomplete}");
    let unaccounted = |at: &Record| ("unaccounted".to_owned(), at.partition.into(), -1);
    let lost = [
        unaccounted(&before[3].record),
        unaccounted(&before[25].record),
    ];
    assert_eq!(defects(&incomplete), lost);
    let found = compare(&place, &[], 1);
    let missing = |at: &Record| ("not_archived".to_owned(), at.partition.into(), at.offset);
    let expected = [missing(&before[3].record), missing(&before[25].record)];
    assert_eq!(defects(&found), [expected, lost].concat());

    compare(&place, &["--repair", "--dry-run"], 1);
    assert_eq!(place.archived().len(), 38);
    compare(&place, &["--repair"], 0);
    compare(&place, &["--deep"], 0);
    let after = place.archived();
    let bodies = |all: &[crate::support::Archived]| -> Vec<Vec<u8>> {
        all.iter().map(|one| one.body.clone()).collect()
    };
    assert_eq!(bodies(&after), bodies(&before));
}

#[test]
fn a_missing_and_a_damaged_object_come_back_from_kafka_as_they_were() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("again", 2);
    broker.send(&plain_records(&topic, 2, 20));
    place.run_to_end();
    let before = place.archived();
    let objects = place.objects();
    let (gone, damaged) = (&before[2].row, &before[12].row);
    objects.delete(&gone.key);
    objects.write(&damaged.key, b"damaged");

    let repair = place
        .run(&["verify", "--deep", "--repair", "--json"])
        .clean();
    let how = lines(&repair, "repair");
    assert!(
        how.iter()
            .all(|one| text(&one["how"]).contains("from Kafka")),
        "{how:?}"
    );
    place
        .run(&["verify", "--deep", "--in-flight", "0s"])
        .clean();
    let after = place.archived();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.body, after.body);
    }
    assert_eq!(after[2].row.key, gone.key, "nothing lay there");
    assert_eq!(after[12].row.key, damaged.key.replace(".bson", "-2.bson"));
    assert_eq!(
        objects.read(&damaged.key),
        b"damaged",
        "nothing is replaced"
    );
}

#[test]
fn what_is_not_committed_or_vetoed_or_removed_from_kafka_is_no_defect() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("some", 1);
    let vetoed = broker.create("vetoed", 1);
    place.write("veto.list", &vetoed);
    broker.send(&plain_records(&topic, 1, 10));
    broker.send(&plain_records(&vetoed, 1, 10));
    place.run_to_end();
    // The archiver has not come so far yet.
    broker.send(&plain_records_from(&topic, 1, 10..15));
    broker.delete_records_before(&topic, 0, 4);
    assert_eq!(compared(&compare(&place, &[], 0)), 6);
}

#[test]
fn a_record_that_kafka_has_otherwise_is_told_with_both_sides() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("unlike", 1);
    broker.send(&plain_records(&topic, 1, 10));
    place.run_to_end();
    place.execute("UPDATE messages SET kafka_offset = 77 WHERE kafka_offset = 7");
    let found = compare(&place, &[], 1);
    let unaccounted = ("unaccounted".to_owned(), 0, -1);
    let unlike = ("unlike_kafka".to_owned(), 0, 7);
    assert_eq!(defects(&found), [unaccounted, unlike]);
    let defect = &lines(&found, "defect")[0];
    assert_eq!(
        (&defect["field"], &defect["catalogue"]),
        (&"offset".into(), &"77".into())
    );
    compare(&place, &["--deep", "--repair"], 0);
    compare(&place, &["--deep"], 0);
}

#[test]
fn parts_compare_each_partition_once() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic: Arc<str> = broker.create("parts", 8).into();
    broker.send(&plain_records(&topic, 8, 80));
    place.run_to_end();
    let mut records = 0;
    for part in ["1/3", "2/3", "3/3"] {
        let ended = compare(&place, &["--subset", part], 0);
        records += compared(&ended).as_i64().unwrap();
    }
    assert_eq!(records, 80);
}

#[test]
fn a_kafka_that_is_away_is_exit_3_and_no_defect() {
    let Some((broker, mut place)) = real() else {
        return;
    };
    let topic = broker.create("away", 1);
    broker.send(&plain_records(&topic, 1, 3));
    place.run_to_end();
    place.set("hop", "hop-hostname", "\"127.0.0.1:1\"");
    let ended = compare(&place, &[], 3);
    assert_eq!(defects(&ended), []);
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended}");
}

#[test]
fn every_record_of_many_topics_is_compared() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topics: Vec<String> = (0..12)
        .map(|number| broker.create(&format!("many-{number}"), 3))
        .collect();
    let records: Vec<Record> = topics
        .iter()
        .flat_map(|topic| plain_records(topic, 3, 7))
        .collect();
    broker.send(&records);
    place.run_to_end();
    assert_eq!(compared(&compare(&place, &[], 0)), 12 * 7);
    let first = ["--topic", topics[0].as_str()];
    assert_eq!(compared(&compare(&place, &first, 0)), 7);
}
