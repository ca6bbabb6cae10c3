//! Whose a UUID is.

use archive_ingest::catalogue::{Claim, Owner};
use archive_ingest::record::TopicId;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    a_claim_of_a_free_uuid_is_ones_own,
    a_claim_made_again_after_a_crash_is_still_ones_own,
    whoever_claims_second_is_told_of_the_first,
    a_uuid_with_a_row_cannot_be_claimed_and_no_claim_of_it_stays,
    a_row_outranks_a_claim_that_a_crash_left_beside_it,
    uuids_that_nobody_owns_are_left_out,
    a_claim_tells_its_age,
    a_claim_tells_the_topic_id_that_it_was_made_with,
    nothing_asked_is_nothing_answered,
);

fn a_claim_of_a_free_uuid_is_ones_own(place: &Place) {
    let rows = [message(1), message(2)];
    let owners = place
        .catalogue
        .claim(&rows.each_ref().map(claim_of))
        .unwrap();
    assert_eq!(owners.len(), 2);
    for (uuid, owner) in &owners {
        let row = rows.iter().find(|row| row.uuid == *uuid).unwrap();
        assert_eq!(claimant(owner), &delivery(row));
    }
    let read: Vec<_> = place.open().owners(&[rows[0].uuid]).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(claimant(&read[0].1), &delivery(&rows[0]));
}

fn a_claim_made_again_after_a_crash_is_still_ones_own(place: &Place) {
    let claim = claim_of(&message(1));
    place.catalogue.claim(std::slice::from_ref(&claim)).unwrap();
    let owners = place.open().claim(std::slice::from_ref(&claim)).unwrap();
    assert_eq!(claimant(&owners[0].1), &claim.delivery);
}

fn whoever_claims_second_is_told_of_the_first(place: &Place) {
    let (first, free) = (message(1), message(2));
    place.catalogue.claim(&[claim_of(&first)]).unwrap();
    let second = rival(&first);
    let owners = place
        .open()
        .claim(&[claim_of(&second), claim_of(&free)])
        .unwrap();
    let owner_of = |uuid| &owners.iter().find(|(of, _)| *of == uuid).unwrap().1;
    assert_eq!(claimant(owner_of(first.uuid)), &delivery(&first));
    assert_eq!(claimant(owner_of(free.uuid)), &delivery(&free));
}

fn a_uuid_with_a_row_cannot_be_claimed_and_no_claim_of_it_stays(place: &Place) {
    let row = message(1);
    archive(&*place.catalogue, std::slice::from_ref(&row));
    let owners = place.catalogue.claim(&[claim_of(&rival(&row))]).unwrap();
    assert_eq!(owning_row(&owners[0].1), &row);
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
}

fn a_row_outranks_a_claim_that_a_crash_left_beside_it(place: &Place) {
    let row = message(1);
    place.catalogue.claim(&[claim_of(&rival(&row))]).unwrap();
    place.execute(&foreign_insert(&row));
    let owners = place.catalogue.owners(&[row.uuid]).unwrap();
    assert_eq!(owning_row(&owners[0].1).uuid, row.uuid);
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 1);

    let owners = place.catalogue.claim(&[claim_of(&rival(&row))]).unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owning_row(&owners[0].1).uuid, row.uuid);
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
}

fn uuids_that_nobody_owns_are_left_out(place: &Place) {
    let (claimed, archived, free) = (message(1), message(2), message(3));
    archive(&*place.catalogue, std::slice::from_ref(&archived));
    place.catalogue.claim(&[claim_of(&claimed)]).unwrap();
    let asked = [free.uuid, archived.uuid, claimed.uuid];
    let mut owners = place.catalogue.owners(&asked).unwrap();
    owners.sort_by_key(|(uuid, _)| *uuid);
    assert_eq!(owners.len(), 2);
    assert_eq!(claimant(&owners[0].1), &delivery(&claimed));
    assert_eq!(owning_row(&owners[1].1), &archived);
}

fn a_claim_tells_its_age(place: &Place) {
    let age = |place: &Place| match &place.catalogue.owners(&[message(1).uuid]).unwrap()[0].1 {
        Owner::Claim { age_ms, .. } => *age_ms,
        Owner::Row(_) => panic!("a row"),
    };
    place.catalogue.claim(&[claim_of(&message(1))]).unwrap();
    assert!((0..60_000).contains(&age(place)), "{}", age(place));
    place.execute(match place.config {
        archive_ingest::config::DatabaseConfig::Sqlite(_) => {
            "UPDATE uuid_claims SET claimed_at = claimed_at - 3600000"
        }
        _ => "UPDATE uuid_claims SET claimed_at = claimed_at - interval '1 hour'",
    });
    assert!(
        (3_600_000..3_660_000).contains(&age(place)),
        "{}",
        age(place)
    );
}

fn a_claim_tells_the_topic_id_that_it_was_made_with(place: &Place) {
    let claim = |topic_id| Claim {
        topic_id,
        ..claim_of(&message(1))
    };
    let id_of = |owner: &Owner| match owner {
        Owner::Claim { topic_id, .. } => *topic_id,
        Owner::Row(_) => panic!("a row"),
    };
    let (first, second) = (TopicId::new(1), TopicId::new(2));
    for asked in [first, second, None] {
        let owners = place.catalogue.claim(&[claim(asked)]).unwrap();
        assert_eq!(id_of(&owners[0].1), first, "asked with {asked:?}");
    }
    let owners = place.open().owners(&[message(1).uuid]).unwrap();
    assert_eq!(id_of(&owners[0].1), first);
}

fn nothing_asked_is_nothing_answered(place: &Place) {
    assert_eq!(place.catalogue.claim(&[]).unwrap(), []);
    assert_eq!(place.catalogue.owners(&[]).unwrap(), []);
    assert_eq!(place.catalogue.fetch(&[]).unwrap(), []);
    assert_eq!(place.catalogue.foreign_rows(&[]).unwrap(), []);
    assert_eq!(place.catalogue.add(&[], &[]).unwrap(), Default::default());
}
