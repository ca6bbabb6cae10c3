//! Offsets without a record: counted, and confirmed.

use std::sync::Arc;

use archive_ingest::catalogue::{ArchivedCount, ReadInterval, ReadSpan, Retry, StreamKey};
use archive_ingest::record::TopicId;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    intervals_are_replaced_by_confirmed_ones,
    intervals_that_changed_are_not_replaced,
    rows_and_retries_of_offsets_are_counted,
);

const A: u128 = 0xa;

fn key() -> StreamKey {
    StreamKey {
        topic: "alerts".into(),
        partition: 0,
        topic_id: TopicId::new(A),
    }
}

/// Reads [from, to) of the stream, with a record at its last offset or none.
fn read(place: &Place, from: i64, to: i64, holds_record: bool) {
    let span = ReadSpan {
        stream: Arc::new(key()),
        from,
        to,
        holds_record,
        row: None,
    };
    place.catalogue.add_read(&[], &[], &[span]).unwrap();
}

fn interval(from: i64, to: i64, records: i64, holes_confirmed: i64) -> ReadInterval {
    ReadInterval {
        from,
        to,
        records,
        holes_confirmed,
    }
}

fn intervals(place: &Place) -> Vec<ReadInterval> {
    place.catalogue.positions().read_intervals(&key()).unwrap()
}

fn next(place: &Place) -> i64 {
    place.catalogue.positions().positions(&[key()]).unwrap()[0].next
}

fn intervals_are_replaced_by_confirmed_ones(place: &Place) {
    let positions = place.catalogue.positions();
    read(place, 0, 10, true);
    let before = [interval(0, 10, 1, 0)];
    assert_eq!(intervals(place), before);
    let after = [interval(0, 4, 0, 0), interval(4, 10, 1, 5)];
    assert!(positions.confirm_holes(&key(), &before, &after).unwrap());
    assert_eq!(intervals(place), after);

    // What is read later is an interval of its own, until it is confirmed.
    read(place, 10, 12, true);
    read(place, 12, 13, false);
    let later = [after[0], after[1], interval(10, 13, 1, 0)];
    assert_eq!((intervals(place), next(place)), (later.to_vec(), 13));
    let merged = [after[0], interval(4, 13, 2, 7)];
    assert!(positions.confirm_holes(&key(), &later, &merged).unwrap());
    assert_eq!((intervals(place), next(place)), (merged.to_vec(), 13));
    let unread = positions.unread(&key(), 0..13).unwrap();
    assert_eq!(unread, []);
}

fn intervals_that_changed_are_not_replaced(place: &Place) {
    let positions = place.catalogue.positions();
    read(place, 0, 10, true);
    let before = intervals(place);
    read(place, 10, 12, true);
    let grown = intervals(place);
    let after = [interval(0, 10, 1, 9)];
    assert!(!positions.confirm_holes(&key(), &before, &after).unwrap());
    assert_eq!(intervals(place), grown);
    let other = StreamKey {
        topic: "others".into(),
        ..key()
    };
    assert!(!positions.confirm_holes(&other, &before, &after).unwrap());
}

fn rows_and_retries_of_offsets_are_counted(place: &Place) {
    let catalogue = &*place.catalogue;
    let rows = [
        of_life(1, 0, A),
        of_life(2, 3, A),
        of_life(3, 4, 0),
        of_life(4, 5, 0xb),
    ];
    archive(catalogue, &rows);
    let retry = |offset: i64| Retry {
        topic_id: TopicId::new(A),
        ..retry_of(&rows[0], offset)
    };
    let retries = [retry(6), retry(7), retry(20)];
    catalogue.add(&[], &retries).unwrap();
    let counted = |from, to| {
        let positions = catalogue.positions();
        positions.count_archived(&key(), from..to).unwrap()
    };
    // Rows without a topic id may be of any life; those of another are not.
    let expected = ArchivedCount {
        offsets: 5,
        rows: 3,
    };
    assert_eq!(counted(0, 10), expected);
    let expected = ArchivedCount {
        offsets: 1,
        rows: 0,
    };
    assert_eq!(counted(7, 20), expected);
}
