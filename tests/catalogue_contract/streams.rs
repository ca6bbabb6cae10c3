//! What was on the stream, in the order in which it was there.

use std::cell::Cell;

use archive_ingest::catalogue::{
    Appearance, Catalogue, Origin, Row, StreamExtent, StreamFilter, StreamPlace,
};
use archive_ingest::record::TimestampType;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    a_stream_comes_by_partition_and_offset_whatever_the_order_of_its_archiving,
    retries_appear_where_they_were_with_the_location_of_their_message,
    the_second_life_of_a_topic_comes_after_all_of_the_first,
    what_has_no_known_place_comes_first_by_time_and_direct_uploads_never,
    a_filter_holds_for_the_stream_and_for_its_extent,
    a_reader_that_wants_no_more_is_given_no_more,
);

fn at(n: u64, partition: i32, offset: i64) -> Row {
    Row {
        origin: Some(Origin {
            partition,
            offset,
            timestamp_type: TimestampType::Create,
            topic_id: None,
            ..origin(n)
        }),
        ..on_topic("alerts", 1_000 + n as i64, n)
    }
}

fn filter() -> StreamFilter {
    StreamFilter {
        topic: "alerts".into(),
        ..StreamFilter::default()
    }
}

fn read(
    catalogue: &dyn Catalogue,
    filter: &StreamFilter,
    after: StreamPlace,
    page: usize,
) -> Vec<Appearance> {
    let mut all = vec![];
    let mut receive = |read: Vec<Appearance>| {
        assert!(!read.is_empty() && read.len() <= page);
        all.extend(read);
        true
    };
    let streams = catalogue.streams();
    streams.read(filter, after, page, &mut receive).unwrap();
    all
}

fn places(read: &[Appearance]) -> Vec<(Option<i32>, Option<i64>)> {
    read.iter().map(|one| (one.partition, one.offset)).collect()
}

fn a_stream_comes_by_partition_and_offset_whatever_the_order_of_its_archiving(place: &Place) {
    let offsets = prop::collection::btree_set((0..3i32, 0..40i64), 0..30);
    let input = (offsets.prop_map(Vec::from_iter).prop_shuffle(), 1..9usize);
    let next = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(16));
    let run = runner.run(&input, |(offsets, page)| {
        place.execute("DELETE FROM messages");
        let rows: Vec<Row> = offsets
            .iter()
            .map(|(partition, offset)| {
                next.set(next.get() + 1);
                at(next.get(), *partition, *offset)
            })
            .collect();
        let catalogue = &*place.catalogue;
        archive(catalogue, &rows);
        let mut expected: Vec<_> = offsets.iter().map(|(p, o)| (Some(*p), Some(*o))).collect();
        expected.sort_unstable();
        let all = read(catalogue, &filter(), StreamPlace::START, page);
        prop_assert_eq!(places(&all), expected);
        for one in &all {
            let row = rows.iter().find(|row| row.uuid == one.uuid).unwrap();
            prop_assert_eq!(&one.location, &row.location());
            prop_assert_eq!((one.size, one.crc32), (row.size, row.crc32));
            prop_assert_eq!(one.timestamp, row.timestamp);
            prop_assert_eq!(one.timestamp_type, Some(TimestampType::Create));
        }
        // From each place it goes on behind it.
        for (number, one) in all.iter().enumerate() {
            let rest = read(catalogue, &filter(), one.place, page);
            prop_assert_eq!(&rest[..], &all[number + 1..]);
        }
        Ok(())
    });
    run.unwrap();
}

fn retries_appear_where_they_were_with_the_location_of_their_message(place: &Place) {
    let rows = [at(1, 0, 0), at(2, 0, 2)];
    let catalogue = &*place.catalogue;
    archive(catalogue, &rows);
    catalogue.add(&[], &[retry_of(&rows[0], 1)]).unwrap();
    let all = read(catalogue, &filter(), StreamPlace::START, 10);
    assert_eq!(
        places(&all),
        [0, 1, 2].map(|offset| (Some(0), Some(offset)))
    );
    let retry = &all[1];
    assert!(retry.is_retry && !all[0].is_retry);
    assert_eq!((retry.uuid, retry.timestamp), (rows[0].uuid, 1_006));
    assert_eq!(retry.location, rows[0].location());
    let rest = read(catalogue, &filter(), all[0].place, 10);
    assert_eq!(rest, all[1..]);
    let extent = catalogue.streams().extent(&filter()).unwrap();
    assert_eq!((extent.messages, extent.retries), (2, 1));
    assert_eq!((extent.earliest, extent.latest), (1_001, 1_006));
}

fn the_second_life_of_a_topic_comes_after_all_of_the_first(place: &Place) {
    // The second one is longer, as its later offsets are new.
    let lives = [(0..3), (0..6)];
    let mut n = 0;
    for offsets in &lives {
        let rows: Vec<Row> = offsets
            .clone()
            .map(|offset| {
                n += 1;
                at(n, 0, offset)
            })
            .collect();
        archive(&*place.catalogue, &rows);
    }
    let all = read(&*place.catalogue, &filter(), StreamPlace::START, 4);
    let expected: Vec<_> = lives
        .into_iter()
        .flatten()
        .map(|o| (Some(0), Some(o)))
        .collect();
    assert_eq!(places(&all), expected);
    let lives: Vec<i64> = all.iter().map(|one| one.place.life).collect();
    assert_eq!(lives, [1, 1, 1, 2, 2, 2, 2, 2, 2]);
}

fn what_has_no_known_place_comes_first_by_time_and_direct_uploads_never(place: &Place) {
    let catalogue = &*place.catalogue;
    archive(catalogue, &[at(1, 0, 0)]);
    for (n, timestamp) in [(2, 900), (3, 800)] {
        place.execute(&foreign_insert(&on_topic("alerts", timestamp, n)));
    }
    let upload = Row {
        direct_upload: true,
        ..on_topic("alerts", 1, 4)
    };
    place.execute(&foreign_insert(&upload));
    let all = read(catalogue, &filter(), StreamPlace::START, 10);
    let times: Vec<i64> = all.iter().map(|one| one.timestamp).collect();
    assert_eq!(times, [800, 900, 1_001]);
    assert_eq!(places(&all)[..2], [(None, None); 2]);
    assert_eq!(read(catalogue, &filter(), all[0].place, 10), all[1..]);
    let extent = catalogue.streams().extent(&filter()).unwrap();
    assert_eq!((extent.messages, extent.without_place), (3, 2));
    assert_eq!(extent.direct_uploads, 1);
}

fn a_filter_holds_for_the_stream_and_for_its_extent(place: &Place) {
    let mut rows: Vec<Row> = (1..=10).map(|n| at(n, (n % 2) as i32, n as i64)).collect();
    rows[4].timestamp = 0;
    rows[5].origin.as_mut().unwrap().timestamp_type = TimestampType::LogAppend;
    let catalogue = &*place.catalogue;
    archive(catalogue, &rows);
    archive(catalogue, &[on_topic("other", 1_000, 99)]);
    let extent = |filter: &StreamFilter| catalogue.streams().extent(filter).unwrap();
    let all = extent(&filter());
    let newest = all.newest;
    assert_eq!(
        all,
        StreamExtent {
            messages: 10,
            earliest: 0,
            latest: 1_010,
            largest: 1_010,
            bytes: rows.iter().map(|row| row.size as u64).sum(),
            log_append: 1,
            at_zero: 1,
            partitions: 2,
            newest,
            ..StreamExtent::default()
        }
    );
    let uuids = vec![rows[7].uuid, rows[2].uuid];
    let first = newest - 10;
    for (narrowed, expected) in [
        (
            StreamFilter {
                since: Some(1_003),
                until: Some(1_008),
                ..filter()
            },
            vec![3, 4, 6, 7],
        ),
        (
            StreamFilter {
                uuids: Some(uuids),
                ..filter()
            },
            vec![3, 8],
        ),
        (
            StreamFilter {
                added: Some((first, first)),
                ..filter()
            },
            vec![],
        ),
        (
            StreamFilter {
                uuids: Some(vec![]),
                ..filter()
            },
            vec![],
        ),
    ] {
        let read = read(catalogue, &narrowed, StreamPlace::START, 3);
        let mut offsets: Vec<i64> = read.iter().filter_map(|one| one.offset).collect();
        offsets.sort_unstable();
        assert_eq!(offsets, expected, "{narrowed:?}");
        assert_eq!(extent(&narrowed).messages, expected.len() as u64);
        assert_eq!(extent(&narrowed).partitions, 2);
    }
    let later = StreamFilter {
        added: Some((newest, newest + 100)),
        ..filter()
    };
    assert_eq!(extent(&later).messages, 0);
    assert_eq!(extent(&StreamFilter::default()), StreamExtent::default());
}

fn a_reader_that_wants_no_more_is_given_no_more(place: &Place) {
    let rows: Vec<Row> = (1..=10).map(|n| at(n, 0, n as i64)).collect();
    archive(&*place.catalogue, &rows);
    let mut pages = 0;
    let mut receive = |_| {
        pages += 1;
        false
    };
    let streams = place.catalogue.streams();
    streams
        .read(&filter(), StreamPlace::START, 3, &mut receive)
        .unwrap();
    assert_eq!(pages, 1);
    // The connection is as good as before.
    assert_eq!(
        read(&*place.catalogue, &filter(), StreamPlace::START, 3).len(),
        10
    );
}
