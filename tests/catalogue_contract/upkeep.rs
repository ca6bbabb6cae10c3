//! What verifying and mending rely on.

use std::collections::BTreeMap;

use archive_ingest::catalogue::{Cursor, Gap, Row, RowFilter, SetAside, Verification};
use uuid::Uuid;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    rows_are_adopted_without_a_claim_and_never_over_a_row,
    a_mended_row_says_all_that_it_was_told_and_keeps_its_number,
    a_row_that_was_changed_meanwhile_is_not_mended,
    a_row_is_not_given_the_uuid_of_another,
    a_topic_counted_anew_has_the_counts_of_its_rows,
    an_acknowledged_gap_is_still_there_and_says_since_when,
    objects_set_aside_are_known_by_bucket_and_key,
    a_verification_is_kept_as_it_was_last_saved,
    the_newest_row_is_the_one_that_was_added_last,
);

fn rows_are_adopted_without_a_claim_and_never_over_a_row(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    archive(&*place.catalogue, &[message(1)]);
    let foreign = Row {
        origin: None,
        ..message(3)
    };
    let other = Row {
        title: "another".to_owned(),
        ..message(1)
    };
    let adopted = upkeep.adopt(&[other, message(2), foreign.clone()]).unwrap();
    let mut expected = [message(2).uuid, foreign.uuid];
    expected.sort();
    let mut adopted = adopted;
    adopted.sort();
    assert_eq!(adopted, expected);
    let rows = place
        .catalogue
        .rows(&RowFilter::default(), None, 10, false)
        .unwrap();
    let rows: Vec<Row> = rows.into_iter().map(|stored| stored.row).collect();
    assert_eq!(rows, [message(1), message(2), foreign]);
    let counts = place.catalogue.count_by_topic(&RowFilter::default());
    assert_eq!(counts.unwrap()[0].messages, 3);
    assert_eq!(upkeep.adopt(&[]).unwrap(), Vec::<Uuid>::new());
}

fn a_mended_row_says_all_that_it_was_told_and_keeps_its_number(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    archive(&*place.catalogue, &[message(1), message(2)]);
    let before = place.catalogue.fetch(&[message(2).uuid]).unwrap().remove(0);
    let wanted = Row {
        retracted: true,
        direct_upload: true,
        object_offset: Some(7),
        ..on_topic("circulars", 5, 9)
    };
    assert!(upkeep.mend(&before, &wanted).unwrap());
    let after = place.catalogue.fetch(&[wanted.uuid]).unwrap().remove(0);
    assert_eq!((after.id, &after.row), (before.id, &wanted));
    let without_origin = Row {
        origin: None,
        ..wanted
    };
    assert!(upkeep.mend(&after, &without_origin).unwrap());
    let mut after = place.catalogue.fetch(&[without_origin.uuid]).unwrap();
    assert_eq!(after[0].row, without_origin);
    let counts = place.catalogue.count_by_topic(&RowFilter::default());
    let counts: Vec<_> = counts
        .unwrap()
        .into_iter()
        .map(|topic| (topic.topic, topic.messages))
        .collect();
    assert_eq!(
        counts,
        [("alerts".to_owned(), 1), ("circulars".to_owned(), 1)]
    );
    after[0].id += 100;
    assert!(!upkeep.mend(&after[0], &message(5)).unwrap());
}

fn a_row_that_was_changed_meanwhile_is_not_mended(place: &Place) {
    archive(&*place.catalogue, &[message(1)]);
    let fetch = || place.catalogue.fetch(&[message(1).uuid]).unwrap().remove(0);
    let read = fetch();
    let wanted = Row {
        title: "another".to_owned(),
        ..message(1)
    };
    assert!(place.catalogue.set_retracted(wanted.uuid, true).unwrap());
    assert!(!place.catalogue.upkeep().mend(&read, &wanted).unwrap());
    assert!(fetch().row.retracted, "the retraction was overwritten");
    assert_eq!(fetch().row.title, message(1).title);
}

fn a_row_is_not_given_the_uuid_of_another(place: &Place) {
    archive(&*place.catalogue, &[message(1), message(2)]);
    let read = place.catalogue.fetch(&[message(2).uuid]).unwrap().remove(0);
    assert!(!place.catalogue.upkeep().mend(&read, &message(1)).unwrap());
    let row = place.catalogue.fetch(&[message(2).uuid]).unwrap().remove(0);
    assert_eq!(row.row, message(2));
}

fn a_topic_counted_anew_has_the_counts_of_its_rows(place: &Place) {
    archive(
        &*place.catalogue,
        &[message(1), message(2), on_topic("circulars", -1, 3)],
    );
    let right = place
        .catalogue
        .count_by_topic(&RowFilter::default())
        .unwrap();
    place.execute("UPDATE topics SET n_messages = 7, e_timestamp = 0 WHERE topic = 'alerts'");
    place.execute("DELETE FROM topics WHERE topic = 'circulars'");
    place.execute("INSERT INTO topics VALUES ('gone', 1, 2, 3)");
    for topic in ["alerts", "circulars", "gone"] {
        place.catalogue.upkeep().recount(topic).unwrap();
    }
    let counts = place.catalogue.count_by_topic(&RowFilter::default());
    assert_eq!(counts.unwrap(), right);
    archive(&*place.catalogue, &[message(4)]);
    let counts = place.catalogue.count_by_topic(&RowFilter::default());
    assert_eq!(counts.unwrap()[0].messages, 3);
}

fn an_acknowledged_gap_is_still_there_and_says_since_when(place: &Place) {
    let gap = |topic: &str| Gap {
        topic: topic.into(),
        partition: 0,
        from: 3,
        to: 9,
        found_at: 0,
        acknowledged_at: None,
        topic_id: None,
        reason: archive_ingest::catalogue::GapReason::Retention,
    };
    let gaps = [gap("alerts"), gap("circulars")];
    place.catalogue.add_gaps(&gaps).unwrap();
    let upkeep = place.catalogue.upkeep();
    let circulars = ["circulars".to_owned()];
    assert_eq!(upkeep.acknowledge_gaps(Some(&circulars)).unwrap(), 1);
    let known = |place: &Place| -> Vec<bool> {
        let gaps = place.catalogue.gaps().unwrap();
        gaps.iter()
            .map(|gap| gap.acknowledged_at.is_some_and(|at| at >= gap.found_at))
            .collect()
    };
    assert_eq!(known(place), [false, true]);
    assert_eq!(upkeep.acknowledge_gaps(None).unwrap(), 1);
    assert_eq!(upkeep.acknowledge_gaps(None).unwrap(), 0);
    assert_eq!(known(place), [true, true]);
}

fn objects_set_aside_are_known_by_bucket_and_key(place: &Place) {
    let object = |key: &str| SetAside {
        bucket: "archive".to_owned(),
        key: key.to_owned(),
        reason: "damaged".to_owned(),
    };
    let upkeep = place.catalogue.upkeep();
    upkeep.set_aside(&[object("a"), object("b")]).unwrap();
    upkeep.set_aside(&[object("a")]).unwrap();
    let keys = ["a", "b", "c"].map(str::to_owned);
    let mut known = upkeep.which_set_aside("archive", &keys).unwrap();
    known.sort();
    assert_eq!(known, ["a", "b"]);
    let none = upkeep.which_set_aside("other", &keys).unwrap();
    assert_eq!(none, Vec::<String>::new());
}

fn a_verification_is_kept_as_it_was_last_saved(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    let mut first = Verification {
        asked: "deep".to_owned(),
        started_at: 5,
        saved_at: 6,
        place: Some("{}".to_owned()),
        ..Verification::default()
    };
    first.id = upkeep.save_verification(&first).unwrap();
    first.finished_at = Some(9);
    first.place = None;
    first.messages = i64::MAX;
    first.defects = BTreeMap::from([("gap".to_owned(), 2)]);
    first.mended = 1;
    assert_eq!(upkeep.save_verification(&first).unwrap(), first.id);
    let second = Verification::default();
    let id = upkeep.save_verification(&second).unwrap();
    let second = Verification { id, ..second };
    assert_eq!(upkeep.verifications(10).unwrap(), [second.clone(), first]);
    assert_eq!(upkeep.verifications(1).unwrap(), [second]);
}

fn the_newest_row_is_the_one_that_was_added_last(place: &Place) {
    let newest = || place.catalogue.upkeep().newest_row().unwrap();
    assert_eq!(newest(), None);
    archive(&*place.catalogue, &[message(5)]);
    archive(&*place.catalogue, &[message(2)]);
    assert_eq!(newest().map(|stored| stored.row), Some(message(2)));
    let last = Cursor {
        timestamp: message(5).timestamp,
        id: 0,
    };
    assert!(newest().unwrap().cursor() < last);
}
