//! Lists of rows, page after page.

use std::cell::Cell;

use archive_ingest::catalogue::{Cursor, Row, RowFilter, StoredRow};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    pages_in_either_direction_are_all_matching_rows_in_order,
    rows_of_the_first_and_of_the_last_millisecond_are_listed,
);

fn timestamps() -> impl Strategy<Value = i64> {
    // Few of them, so that many rows share one.
    prop_oneof![8 => -2..6i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

/// Of whether messages are public, and whether they were retracted.
type Marks = (bool, bool);

fn filters() -> impl Strategy<Value = RowFilter> {
    let topics = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..3);
    (
        prop::option::of(topics),
        prop::option::of(timestamps()),
        prop::option::of(timestamps()),
        any::<Marks>(),
    )
        .prop_map(|(topics, since, until, marks)| RowFilter {
            topics: topics.map(|names| names.into_iter().map(String::from).collect()),
            since,
            until,
            only_public: marks.0,
            without_retracted: marks.1,
        })
}

fn pages_in_either_direction_are_all_matching_rows_in_order(place: &Place) {
    let messages = prop::collection::vec((0..3usize, timestamps(), any::<Marks>()), 0..40);
    let input = (messages, filters(), 1..7usize, any::<bool>());
    let next = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(32));
    let run = runner.run(&input, |(messages, filter, limit, reverse)| {
        place.execute("DELETE FROM messages");
        let rows: Vec<_> = messages
            .iter()
            .map(|(topic, timestamp, (public, retracted))| {
                next.set(next.get() + 1);
                Row {
                    public: *public,
                    retracted: *retracted,
                    ..on_topic(["a", "b", "c"][*topic], *timestamp, next.get())
                }
            })
            .collect();
        archive(&*place.catalogue, &rows);
        let uuids: Vec<_> = rows.iter().map(|row| row.uuid).collect();
        let mut model: Vec<_> = place.catalogue.fetch(&uuids).unwrap();
        model.retain(|stored| matches(&filter, stored));
        model.sort_by_key(StoredRow::cursor);
        if reverse {
            model.reverse();
        }
        prop_assert_eq!(place.catalogue.count(&filter).unwrap(), model.len() as u64);
        prop_assert_eq!(
            place.catalogue.sample(&filter, 50).unwrap().len(),
            model.len()
        );
        prop_assert_eq!(all_pages(place, &filter, limit, reverse), model);
        Ok(())
    });
    run.unwrap();
}

fn matches(filter: &RowFilter, stored: &StoredRow) -> bool {
    let row = &stored.row;
    let topics = filter.topics.as_ref();
    topics.is_none_or(|topics| topics.iter().any(|topic| **topic == *row.topic))
        && filter.since.is_none_or(|since| row.timestamp >= since)
        && filter.until.is_none_or(|until| row.timestamp < until)
        && (row.public || !filter.only_public)
        && !(row.retracted && filter.without_retracted)
}

fn all_pages(place: &Place, filter: &RowFilter, limit: usize, reverse: bool) -> Vec<StoredRow> {
    let mut all = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = place
            .catalogue
            .rows(filter, cursor, limit, reverse)
            .unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else {
            return all;
        };
        cursor = Some(last.cursor());
        all.extend(page);
    }
}

fn rows_of_the_first_and_of_the_last_millisecond_are_listed(place: &Place) {
    let rows = [
        on_topic("a", i64::MIN, 1),
        on_topic("a", -1, 2),
        on_topic("a", i64::MAX, 3),
    ];
    archive(&*place.catalogue, &rows);
    for reverse in [false, true] {
        assert_eq!(all_pages(place, &RowFilter::default(), 1, reverse).len(), 3);
    }
    let until_the_end = RowFilter {
        until: Some(i64::MAX),
        ..RowFilter::default()
    };
    assert_eq!(all_pages(place, &until_the_end, 9, false).len(), 2);
}
