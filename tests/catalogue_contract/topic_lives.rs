//! Topics that were deleted and created again: their lives, told apart by topic
//! id, and deliveries that have two rows.

use archive_ingest::catalogue::{
    Appearance, Catalogue, IndexPlace, Retry, Row, StreamFilter, StreamPlace,
};
use archive_ingest::record::TopicId;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    lives_follow_each_other_by_topic_id,
    a_life_of_retries_alone_comes_after_the_life_of_their_messages,
    a_retry_of_each_life_is_recorded,
    a_retry_known_without_its_topic_id_is_not_recorded_again,
    rows_without_a_topic_id_are_before_the_lives_that_have_one,
    the_life_in_which_topic_ids_became_known_is_one,
    lives_of_a_rebuilt_catalogue_are_in_the_order_of_their_times,
    reading_continues_after_every_place,
    a_delivery_with_two_rows_is_found,
    retries_after_a_message_in_another_part_are_selected_by_when_they_came,
);

const A: u128 = 0xa;
const B: u128 = 0xb;

fn retry(of: &Row, offset: i64, topic_id: u128) -> Retry {
    Retry {
        topic_id: TopicId::new(topic_id),
        ..retry_of(of, offset)
    }
}

fn filter() -> StreamFilter {
    StreamFilter {
        topic: "alerts".into(),
        ..StreamFilter::default()
    }
}

fn read_after(
    catalogue: &dyn Catalogue,
    filter: &StreamFilter,
    after: StreamPlace,
    page: usize,
) -> Vec<Appearance> {
    let mut all = vec![];
    let mut receive = |page| {
        all.extend(page);
        true
    };
    let streams = catalogue.streams();
    streams.read(filter, after, page, &mut receive).unwrap();
    all
}

/// The numbers of the rows, and their offsets.
fn order(catalogue: &dyn Catalogue) -> Vec<(u64, i64)> {
    let all = read_after(catalogue, &filter(), StreamPlace::START, 4);
    all.iter().map(number_and_offset).collect()
}

fn number_and_offset(one: &Appearance) -> (u64, i64) {
    (one.uuid.as_u64_pair().1 & 0xffff, one.offset.unwrap())
}

fn lives_follow_each_other_by_topic_id(place: &Place) {
    let catalogue = &*place.catalogue;
    // The second life is archived after the first, and has the smaller id and
    // the earlier times.
    archive(
        catalogue,
        &[of_life(11, 0, B), of_life(12, 1, B), of_life(13, 2, B)],
    );
    archive(
        catalogue,
        &[of_life(2, 1, A), of_life(1, 0, A), of_life(3, 2, A)],
    );
    let expected = [(11, 0), (12, 1), (13, 2), (1, 0), (2, 1), (3, 2)];
    assert_eq!(order(catalogue), expected);
}

fn a_life_of_retries_alone_comes_after_the_life_of_their_messages(place: &Place) {
    let catalogue = &*place.catalogue;
    let rows = [of_life(1, 0, B), of_life(2, 1, B), of_life(3, 2, B)];
    archive(catalogue, &rows);
    let again: Vec<Retry> = rows
        .iter()
        .zip(0..)
        .map(|(row, offset)| retry(row, offset, A))
        .collect();
    assert_eq!(catalogue.add(&[], &again).unwrap().retries, 3);
    archive(catalogue, &[of_life(4, 3, A)]);
    let expected = [(1, 0), (2, 1), (3, 2), (1, 0), (2, 1), (3, 2), (4, 3)];
    assert_eq!(order(catalogue), expected);
    let extent = catalogue.streams().extent(&filter()).unwrap();
    assert_eq!((extent.messages, extent.retries), (4, 3));
}

fn a_retry_of_each_life_is_recorded(place: &Place) {
    let catalogue = &*place.catalogue;
    let first = of_life(1, 0, A);
    archive(catalogue, std::slice::from_ref(&first));
    let again = [retry(&first, 5, A), retry(&first, 5, B)];
    assert_eq!(catalogue.add(&[], &again).unwrap().retries, 2);
    assert_eq!(catalogue.add(&[], &again).unwrap().retries, 0);
    let mut found = catalogue.retries("alerts", 0, 0..10).unwrap();
    found.sort_by_key(|retry| retry.topic_id);
    assert_eq!(found, again);
}

fn a_retry_known_without_its_topic_id_is_not_recorded_again(place: &Place) {
    let catalogue = &*place.catalogue;
    let first = of_life(1, 0, A);
    archive(catalogue, std::slice::from_ref(&first));
    let old = retry(&first, 5, 0);
    assert_eq!(catalogue.add(&[], &[old]).unwrap().retries, 1);
    let same = retry(&first, 5, A);
    assert_eq!(catalogue.add(&[], &[same]).unwrap().retries, 0);
}

fn rows_without_a_topic_id_are_before_the_lives_that_have_one(place: &Place) {
    let catalogue = &*place.catalogue;
    archive(catalogue, &[of_life(1, 0, 0), of_life(2, 1, 0)]);
    archive(
        catalogue,
        &[of_life(3, 0, 0), of_life(4, 1, 0), of_life(5, 2, 0)],
    );
    archive(catalogue, &[of_life(6, 0, A), of_life(7, 1, A)]);
    let expected = [(1, 0), (2, 1), (3, 0), (4, 1), (5, 2), (6, 0), (7, 1)];
    assert_eq!(order(catalogue), expected);
}

fn the_life_in_which_topic_ids_became_known_is_one(place: &Place) {
    let catalogue = &*place.catalogue;
    archive(catalogue, &[of_life(1, 0, 0), of_life(2, 2, 0)]);
    archive(catalogue, &[of_life(3, 1, A), of_life(4, 3, A)]);
    archive(catalogue, &[of_life(5, 0, B)]);
    let expected = [(1, 0), (3, 1), (2, 2), (4, 3), (5, 0)];
    assert_eq!(order(catalogue), expected);
}

fn lives_of_a_rebuilt_catalogue_are_in_the_order_of_their_times(place: &Place) {
    let catalogue = &*place.catalogue;
    // A rebuild adds rows in the order of keys, which is none of the lives'.
    let rebuilt = [
        of_life(21, 0, B),
        of_life(2, 1, A),
        of_life(1, 0, A),
        of_life(22, 1, B),
    ];
    catalogue.upkeep().adopt(&rebuilt).unwrap();
    place.execute("UPDATE catalogue_state SET rebuilt_through = (SELECT max(id) FROM messages)");
    // What is archived after it comes after it, whatever its times.
    archive(catalogue, &[of_life(3, 0, 0xc)]);
    let expected = [(1, 0), (2, 1), (21, 0), (22, 1), (3, 0)];
    assert_eq!(order(catalogue), expected);
}

fn reading_continues_after_every_place(place: &Place) {
    let catalogue = &*place.catalogue;
    let first: Vec<Row> = (0..5).map(|n| of_life(n + 1, n as i64, 0)).collect();
    archive(catalogue, &first);
    archive(catalogue, &[of_life(11, 0, A), of_life(12, 2, A)]);
    let again = [retry(&first[0], 1, A), retry(&first[3], 5, 0)];
    assert_eq!(catalogue.add(&[], &again).unwrap().retries, 2);
    archive(catalogue, &[of_life(13, 0, B)]);
    let all = read_after(catalogue, &filter(), StreamPlace::START, 3);
    assert_eq!(all.len(), 10);
    for page in 1..5 {
        for (number, one) in all.iter().enumerate() {
            let rest = read_after(catalogue, &filter(), one.place, page);
            assert_eq!(&rest[..], &all[number + 1..]);
        }
    }
    // The same life and order where only some UUIDs are asked for.
    let some = StreamFilter {
        uuids: Some(vec![all[8].uuid, first[1].uuid, all[9].uuid]),
        ..filter()
    };
    let chosen = read_after(catalogue, &some, StreamPlace::START, 2);
    let chosen: Vec<_> = chosen.iter().map(number_and_offset).collect();
    assert_eq!(chosen, [(2, 1), (12, 2), (13, 0)]);
}

fn a_delivery_with_two_rows_is_found(place: &Place) {
    let catalogue = &*place.catalogue;
    let doubled = |catalogue: &dyn Catalogue| {
        let page = catalogue.streams().doubled("alerts", IndexPlace::START);
        page.unwrap().found
    };
    // Another life, another offset, another partition: no such delivery.
    archive(
        catalogue,
        &[of_life(1, 0, A), of_life(2, 1, A), of_life(3, 0, B)],
    );
    archive(catalogue, &[of_life(4, 7, 0), of_life(5, 7, 0)]);
    assert_eq!(doubled(catalogue), []);
    let second = of_life(6, 0, A);
    archive(catalogue, std::slice::from_ref(&second));
    let found = doubled(catalogue);
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.partition, found.offset), (0, 0));
    assert_eq!(found.topic_id, TopicId::new(A));
    assert_eq!(
        (found.first, found.second),
        (of_life(1, 0, A).uuid, second.uuid)
    );
    // Without a topic id: the same time and content at the same offset.
    let mut third = of_life(7, 7, 0);
    third.timestamp = of_life(4, 7, 0).timestamp;
    third.origin = of_life(4, 7, 0).origin;
    archive(catalogue, std::slice::from_ref(&third));
    assert_eq!(doubled(catalogue).len(), 2);
    // A page that begins between the rows compares with the one before it.
    let page = catalogue.streams().doubled("alerts", IndexPlace::START);
    let last = page.unwrap().next.unwrap();
    assert_eq!(last.offset, 7);
    let rest = catalogue.streams().doubled("alerts", last).unwrap();
    assert_eq!((rest.found.len(), rest.next), (0, None));
}

fn retries_after_a_message_in_another_part_are_selected_by_when_they_came(place: &Place) {
    let catalogue = &*place.catalogue;
    let first = of_life(1, 0, A);
    archive(catalogue, std::slice::from_ref(&first));
    let before = catalogue.streams().extent(&filter()).unwrap().newest;
    catalogue.add(&[], &[retry(&first, 1, A)]).unwrap();
    archive(catalogue, &[of_life(2, 2, A)]);
    let newest = catalogue.streams().extent(&filter()).unwrap().newest;
    let part = |added| StreamFilter {
        added: Some(added),
        ..filter()
    };
    let offsets = |filter: &StreamFilter| -> Vec<i64> {
        let part = read_after(catalogue, filter, StreamPlace::START, 9);
        part.iter().filter_map(|one| one.offset).collect()
    };
    assert_eq!(offsets(&part((0, before))), [0]);
    assert_eq!(offsets(&part((before, newest))), [1, 2]);
}
