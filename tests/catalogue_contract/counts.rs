//! The counts a topic.

use std::cell::Cell;
use std::collections::BTreeMap;

use archive_ingest::catalogue::{RowFilter, TopicSummary};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    topics_hold_what_a_recount_gives_after_any_writes,
    counts_by_time_are_those_of_the_rows_between,
    a_sample_is_of_rows_that_match_and_no_row_twice,
    every_row_is_in_a_sample_as_large_as_all,
);

/// What the archiver and what other programs do to `messages`.
#[derive(Clone, Debug)]
enum Write {
    Archive(Vec<(u8, i64)>),
    Insert(u8, i64),
    Delete(u8),
    Move { n: u8, topic: u8, timestamp: i64 },
    Retract(u8),
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let timestamp = prop_oneof![0..10i64, Just(i64::MIN), Just(i64::MAX)];
    let message = (0..3u8, timestamp.clone());
    let write = prop_oneof![
        prop::collection::vec(message.clone(), 0..6).prop_map(Write::Archive),
        message.prop_map(|(topic, timestamp)| Write::Insert(topic, timestamp)),
        (0..12u8).prop_map(Write::Delete),
        (0..12u8, 0..3u8, timestamp).prop_map(|(n, topic, timestamp)| Write::Move {
            n,
            topic,
            timestamp
        }),
        (0..12u8).prop_map(Write::Retract),
    ];
    prop::collection::vec(write, 1..8)
}

fn topics_hold_what_a_recount_gives_after_any_writes(place: &Place) {
    let next = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(24));
    let run = runner.run(&writes(), |writes| {
        place.execute("DELETE FROM messages");
        for write in &writes {
            apply(place, write, &next);
        }
        let counted = place
            .catalogue
            .count_by_topic(&RowFilter::default())
            .unwrap();
        prop_assert_eq!(counted, recount(place));
        Ok(())
    });
    run.unwrap();
    place.execute("DELETE FROM messages");
    assert_eq!(place.number("SELECT count(*) FROM topics"), 0);
}

fn apply(place: &Place, write: &Write, next: &Cell<u64>) {
    let new = |topic: u8, timestamp| {
        next.set(next.get() + 1);
        on_topic(&format!("topic {topic}"), timestamp, next.get())
    };
    // The nth of the rows that are there, if there are so many.
    let nth = |n: &u8| format!("id = (SELECT id FROM messages ORDER BY id LIMIT 1 OFFSET {n})");
    match write {
        Write::Archive(batch) => {
            let rows: Vec<_> = batch
                .iter()
                .map(|(topic, time)| new(*topic, *time))
                .collect();
            archive(&*place.catalogue, &rows);
        }
        Write::Insert(topic, timestamp) => place.execute(&foreign_insert(&new(*topic, *timestamp))),
        Write::Delete(n) => place.execute(&format!("DELETE FROM messages WHERE {}", nth(n))),
        Write::Move {
            n,
            topic,
            timestamp,
        } => place.execute(&format!(
            "UPDATE messages SET topic = 'topic {topic}', timestamp = {timestamp} WHERE {}",
            nth(n)
        )),
        Write::Retract(n) => place.execute(&format!(
            "UPDATE messages SET retracted = NOT retracted WHERE {}",
            nth(n)
        )),
    }
}

fn recount(place: &Place) -> Vec<TopicSummary> {
    let rows = place
        .catalogue
        .rows(&RowFilter::default(), None, usize::MAX, false)
        .unwrap();
    let mut topics: BTreeMap<String, TopicSummary> = BTreeMap::new();
    for stored in rows {
        let timestamp = stored.row.timestamp;
        let topic = stored.row.topic.to_string();
        let summary = topics.entry(topic.clone()).or_insert(TopicSummary {
            topic,
            messages: 0,
            earliest: timestamp,
            latest: timestamp,
        });
        summary.messages += 1;
        summary.latest = timestamp;
    }
    topics.into_values().collect()
}

fn counts_by_time_are_those_of_the_rows_between(place: &Place) {
    let rows: Vec<_> = (0..30u64)
        .map(|n| on_topic(["a", "b", "c"][n as usize % 3], n as i64, n))
        .collect();
    archive(&*place.catalogue, &rows);
    let filter = RowFilter {
        topics: Some(vec!["a".into(), "c".into(), "none".into()]),
        since: Some(6),
        until: Some(12),
        ..RowFilter::default()
    };
    let summary = |topic: &str, earliest, latest| TopicSummary {
        topic: topic.into(),
        messages: 2,
        earliest,
        latest,
    };
    let counted = place.catalogue.count_by_topic(&filter).unwrap();
    assert_eq!(counted, [summary("a", 6, 9), summary("c", 8, 11)]);
    assert_eq!(place.catalogue.count(&filter).unwrap(), 4);
    assert_eq!(place.catalogue.count(&RowFilter::default()).unwrap(), 30);
    let of_b = RowFilter {
        topics: Some(vec!["b".into()]),
        ..RowFilter::default()
    };
    assert_eq!(place.catalogue.count(&of_b).unwrap(), 10);
}

fn a_sample_is_of_rows_that_match_and_no_row_twice(place: &Place) {
    let rows: Vec<_> = (0..300u64)
        .map(|n| on_topic(["a", "b"][n as usize % 2], n as i64, n))
        .collect();
    archive(&*place.catalogue, &rows);
    let filter = RowFilter {
        topics: Some(vec!["b".into()]),
        since: Some(100),
        ..RowFilter::default()
    };
    let sample = |n| place.catalogue.sample(&filter, n).unwrap();
    for n in [0, 1, 20] {
        let mut chosen = sample(n);
        assert_eq!(chosen.len(), n);
        assert!(
            chosen
                .iter()
                .all(|one| &*one.row.topic == "b" && one.row.timestamp >= 100)
        );
        chosen.sort_by_key(|one| one.id);
        chosen.dedup_by_key(|one| one.id);
        assert_eq!(chosen.len(), n);
    }
    // Two samples of 20 out of 100 are alike once in 10^20 times.
    let ids = |mut rows: Vec<archive_ingest::catalogue::StoredRow>| {
        rows.sort_by_key(|one| one.id);
        rows.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_ne!(ids(sample(20)), ids(sample(20)));
}

fn every_row_is_in_a_sample_as_large_as_all(place: &Place) {
    let rows: Vec<_> = (0..50).map(message).collect();
    archive(&*place.catalogue, &rows);
    for n in [50, 51, usize::MAX] {
        let mut chosen = place.catalogue.sample(&RowFilter::default(), n).unwrap();
        chosen.sort_by_key(|one| one.row.uuid);
        let chosen: Vec<_> = chosen.into_iter().map(|one| one.row).collect();
        assert_eq!(chosen, rows);
    }
}
