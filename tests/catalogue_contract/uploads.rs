//! Direct uploads, and retractions.

use archive_ingest::catalogue::{Claim, Row};
use archive_ingest::record::Delivery;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    an_upload_is_added_once_and_spends_its_claim,
    an_upload_without_its_own_claim_is_not_added,
    a_retraction_is_remembered_and_taken_back_and_changes_nothing_else,
);

/// An upload's row, and the delivery that claims its UUID.
fn upload(n: u64) -> (Row, Delivery) {
    let row = Row {
        direct_upload: true,
        origin: None,
        title: "a\0b".into(),
        ..on_topic("alerts+oversized", 1_700_000_000_000, n)
    };
    let delivery = Delivery {
        topic: row.topic.clone(),
        partition: -1,
        offset: -1,
        timestamp: 0,
        digest: origin(n).digest,
    };
    (row, delivery)
}

fn claim(place: &Place, row: &Row, delivery: &Delivery) {
    let claim = Claim {
        topic_id: None,
        uuid: row.uuid,
        delivery: delivery.clone(),
    };
    place.catalogue.claim(&[claim]).unwrap();
}

fn an_upload_is_added_once_and_spends_its_claim(place: &Place) {
    let (row, delivery) = upload(1);
    claim(place, &row, &delivery);
    assert!(place.catalogue.add_upload(&row, &delivery).unwrap());
    assert!(!place.catalogue.add_upload(&row, &delivery).unwrap());
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
    let stored = place.open().fetch(&[row.uuid]).unwrap();
    let expected = Row {
        title: "a\u{fffd}b".into(),
        ..row
    };
    assert_eq!(stored[0].row, expected);
    let counts = place.catalogue.count_by_topic(&Default::default()).unwrap();
    assert_eq!(counts[0].messages, 1);
}

fn an_upload_without_its_own_claim_is_not_added(place: &Place) {
    let (row, delivery) = upload(1);
    assert!(!place.catalogue.add_upload(&row, &delivery).unwrap());
    claim(place, &row, &delivery);
    let (_, mut other) = upload(2);
    assert!(!place.catalogue.add_upload(&row, &other).unwrap());
    other = delivery.clone();
    other.timestamp = 1;
    assert!(!place.catalogue.add_upload(&row, &other).unwrap());
    // The claim still stands for its own delivery.
    assert!(place.catalogue.add_upload(&row, &delivery).unwrap());
}

fn a_retraction_is_remembered_and_taken_back_and_changes_nothing_else(place: &Place) {
    let rows: Vec<Row> = (0..3).map(message).collect();
    archive(&*place.catalogue, &rows);
    let before = place.catalogue.count_by_topic(&Default::default()).unwrap();
    for retracted in [true, true, false] {
        let is_there = place.catalogue.set_retracted(rows[1].uuid, retracted);
        assert!(is_there.unwrap());
        let mut stored = place
            .catalogue
            .fetch(&[rows[0].uuid, rows[1].uuid])
            .unwrap();
        stored.sort_by_key(|stored| stored.row.uuid);
        assert_eq!(stored[0].row, rows[0]);
        let expected = Row {
            retracted,
            ..rows[1].clone()
        };
        assert_eq!(stored[1].row, expected);
    }
    assert!(
        !place
            .catalogue
            .set_retracted(message(9).uuid, true)
            .unwrap()
    );
    let after = place.catalogue.count_by_topic(&Default::default()).unwrap();
    assert_eq!(before, after);
}
