//! Gaps and rows of workers that know nothing of each other: an offset is
//! archived or missing, never both.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Barrier};
use std::thread;

use archive_ingest::catalogue::{
    Catalogue, Gap, GapReason, Origin, ReadSpan, Row, StreamKey, StreamStart,
};
use archive_ingest::record::TopicId;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    gap_shrinks_when_a_part_of_it_is_archived_late,
    gap_vanishes_when_all_of_it_is_archived_late,
    gap_is_recorded_without_what_is_archived,
    gap_of_a_truncated_log_stays_as_it_is,
    gap_of_another_life_of_the_topic_stays_as_it_is,
    gap_and_rows_that_are_written_at_the_same_time_share_no_offset,
);

fn stream(partition: i32) -> StreamKey {
    StreamKey {
        topic: "alerts".into(),
        partition,
        topic_id: TopicId::new(7),
    }
}

fn begin(place: &Place, partition: i32) {
    let start = StreamStart {
        key: stream(partition),
        first: 0,
        has_rows_without_id: false,
    };
    place.catalogue.positions().begin_streams(&[start]).unwrap();
}

fn gap(partition: i32, offsets: Range<i64>, reason: GapReason) -> Gap {
    Gap {
        topic: "alerts".into(),
        partition,
        from: offsets.start,
        to: offsets.end,
        found_at: 0,
        acknowledged_at: None,
        topic_id: TopicId::new(7),
        reason,
    }
}

fn row(partition: i32, offset: i64) -> Row {
    let n = ((partition as u64) << 32) | offset as u64;
    Row {
        origin: Some(Origin {
            partition,
            offset,
            topic_id: TopicId::new(7),
            ..origin(n)
        }),
        ..on_topic("alerts", 1_000 + offset, n)
    }
}

/// What a worker does with records that it has in memory. Returns how many
/// offsets are in no gap any more.
fn archive(catalogue: &dyn Catalogue, partition: i32, offsets: Range<i64>) -> u64 {
    let rows: Vec<Row> = offsets.map(|at| row(partition, at)).collect();
    let claims: Vec<_> = rows.iter().map(claim_of).collect();
    catalogue.claim(&claims).unwrap();
    let stream = Arc::new(stream(partition));
    let span = |row: &Row| {
        let offset = row.origin.as_ref().unwrap().offset;
        ReadSpan {
            stream: stream.clone(),
            from: offset,
            to: offset + 1,
            holds_record: true,
            row: Some(row.uuid),
        }
    };
    let spans: Vec<ReadSpan> = rows.iter().map(span).collect();
    let added = catalogue.add_read(&rows, &[], &spans).unwrap();
    assert_eq!(added.rows.len(), rows.len());
    added.offsets_recovered
}

fn gaps(place: &Place, partition: i32) -> Vec<(i64, i64)> {
    let gaps = place.catalogue.gaps().unwrap().into_iter();
    gaps.filter(|gap| gap.partition == partition)
        .map(|gap| (gap.from, gap.to))
        .collect()
}

fn next(place: &Place, partition: i32) -> i64 {
    let positions = place.catalogue.positions();
    positions.positions(&[stream(partition)]).unwrap()[0].next
}

fn gap_shrinks_when_a_part_of_it_is_archived_late(place: &Place) {
    begin(place, 0);
    let catalogue = &*place.catalogue;
    for reason in [GapReason::Retention, GapReason::Skipped] {
        let from = next(place, 0);
        catalogue
            .add_gaps(&[gap(0, from..from + 20, reason)])
            .unwrap();
        catalogue.upkeep().acknowledge_gaps(None).unwrap();
        let known = catalogue.gaps().unwrap().pop().unwrap();
        assert_eq!(archive(catalogue, 0, from + 5..from + 8), 3);
        let left: Vec<Gap> = catalogue.gaps().unwrap();
        let part = |from, to| Gap {
            from,
            to,
            ..known.clone()
        };
        let expected = [part(from, from + 5), part(from + 8, from + 20)];
        assert_eq!(left[left.len() - 2..], expected);
        assert_eq!(next(place, 0), from + 20);
    }
}

fn gap_vanishes_when_all_of_it_is_archived_late(place: &Place) {
    begin(place, 0);
    let lost = gap(0, 2..6, GapReason::Retention);
    place.catalogue.add_gaps(&[lost]).unwrap();
    assert_eq!(archive(&*place.catalogue, 0, 0..9), 4);
    assert_eq!(gaps(place, 0), []);
    assert_eq!(next(place, 0), 9);
    let unread = place.catalogue.positions().unread(&stream(0), 0..12);
    assert_eq!(unread.unwrap(), vec![9..12]);
}

fn gap_is_recorded_without_what_is_archived(place: &Place) {
    begin(place, 0);
    archive(&*place.catalogue, 0, 3..5);
    archive(&*place.catalogue, 0, 7..8);
    let lost = gap(0, 0..10, GapReason::Retention);
    let recorded = place.catalogue.add_gaps(std::slice::from_ref(&lost));
    let recorded = recorded.unwrap();
    let recorded: Vec<_> = recorded.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(recorded, [(0, 3), (5, 7), (8, 10)]);
    assert_eq!(gaps(place, 0), recorded);
    assert_eq!(next(place, 0), 10);
    assert_eq!(place.catalogue.add_gaps(&[lost]).unwrap(), []);
}

/// It is about a branch of the log whose records were archived.
fn gap_of_a_truncated_log_stays_as_it_is(place: &Place) {
    begin(place, 0);
    archive(&*place.catalogue, 0, 0..6);
    let lost = gap(0, 4..6, GapReason::Truncated);
    assert_eq!(place.catalogue.add_gaps(&[lost]).unwrap().len(), 1);
    assert_eq!(archive(&*place.catalogue, 0, 6..8), 0);
    assert_eq!(gaps(place, 0), [(4, 6)]);
}

fn gap_of_another_life_of_the_topic_stays_as_it_is(place: &Place) {
    begin(place, 0);
    let lost = Gap {
        topic_id: TopicId::new(8),
        ..gap(0, 0..10, GapReason::Retention)
    };
    place.catalogue.add_gaps(&[lost]).unwrap();
    assert_eq!(archive(&*place.catalogue, 0, 0..10), 0);
    assert_eq!(gaps(place, 0), [(0, 10)]);
}

/// One worker has records in memory, another one finds that the log no longer has
/// them.
fn gap_and_rows_that_are_written_at_the_same_time_share_no_offset(place: &Place) {
    for round in 0..12 {
        begin(place, round);
        let (one, other) = (place.open(), place.open());
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                for from in (0..40).step_by(5) {
                    archive(&*one, round, from..from + 4);
                }
            });
            scope.spawn(|| {
                barrier.wait();
                for to in [10, 30, 40] {
                    let lost = gap(round, 0..to, GapReason::Retention);
                    other.add_gaps(&[lost]).unwrap();
                }
            });
        });
        let archived = |at: &i64| at % 5 < 4;
        let missing: BTreeSet<i64> = (0..40).filter(|at| !archived(at)).collect();
        let ranges = gaps(place, round).into_iter();
        let recorded: Vec<i64> = ranges.flat_map(|(from, to)| from..to).collect();
        assert_eq!(recorded.len(), missing.len());
        assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), missing);
        assert_eq!(next(place, round), 40);
    }
}
