//! The catalogue's identity, and what a rebuild promises.

use archive_ingest::catalogue::{CatalogueError, Claim};

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    a_new_catalogue_is_complete_and_keeps_its_id,
    nothing_is_claimed_until_every_part_of_a_rebuild_has_ended,
    a_rebuild_that_adds_rows_gives_the_catalogue_another_id,
    a_rebuild_begun_again_after_a_stop_completes_the_catalogue,
    position_of_a_rebuild_is_kept_for_its_part_until_it_ends,
    signing_begins_once,
    rows_without_a_valid_signature_are_unconfirmed,
);

fn claim_of(n: u64) -> Claim {
    let row = message(n);
    Claim {
        uuid: row.uuid,
        delivery: row.delivery().expect("a delivery"),
        topic_id: row.topic_id(),
    }
}

fn a_new_catalogue_is_complete_and_keeps_its_id(place: &Place) {
    let state = place.catalogue.upkeep().state().unwrap();
    assert!(state.is_complete, "{state:?}");
    assert_eq!(state.incomplete(), None);
    assert_eq!((state.signed_after, state.unconfirmed), (None, 0));
    place.catalogue.migrate().unwrap();
    assert_eq!(place.open().upkeep().state().unwrap(), state);
    let other = Place::sqlite();
    assert_ne!(other.catalogue.upkeep().state().unwrap().id, state.id);
}

fn nothing_is_claimed_until_every_part_of_a_rebuild_has_ended(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    archive(&*place.catalogue, &[message(1)]);
    let id = upkeep.state().unwrap().id;
    upkeep.begin_rebuild((1, 2)).unwrap();
    assert!(!upkeep.end_rebuild((1, 2)).unwrap());
    let state = upkeep.state().unwrap();
    assert_eq!(state.missing_parts, ["2/2"]);
    let refused = place.open().claim(&[claim_of(1), claim_of(2)]);
    assert!(matches!(refused, Err(CatalogueError::Unavailable { .. })));
    // What is known to have an owner has it.
    assert_eq!(place.catalogue.claim(&[claim_of(1)]).unwrap().len(), 1);
    upkeep.begin_rebuild((2, 2)).unwrap();
    assert!(upkeep.end_rebuild((2, 2)).unwrap());
    assert_eq!(place.catalogue.claim(&[claim_of(2)]).unwrap().len(), 1);
    let state = upkeep.state().unwrap();
    assert!(state.is_complete && state.missing_parts.is_empty());
    // No row was added: serial numbers mean what they meant.
    assert_eq!(state.id, id);
}

fn a_rebuild_that_adds_rows_gives_the_catalogue_another_id(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    let id = upkeep.state().unwrap().id;
    upkeep.begin_rebuild((1, 1)).unwrap();
    upkeep.adopt(&[message(1)]).unwrap();
    assert!(upkeep.end_rebuild((1, 1)).unwrap());
    assert_ne!(upkeep.state().unwrap().id, id);
}

fn a_rebuild_begun_again_after_a_stop_completes_the_catalogue(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    let id = upkeep.state().unwrap().id;
    upkeep.begin_rebuild((2, 3)).unwrap();
    upkeep.adopt(&[message(1)]).unwrap();
    // It was killed, and the next one does all in one part and adds nothing.
    upkeep.begin_rebuild((1, 1)).unwrap();
    assert!(upkeep.end_rebuild((1, 1)).unwrap());
    let state = upkeep.state().unwrap();
    assert!(state.is_complete && state.missing_parts.is_empty());
    assert_ne!(state.id, id);
}

fn position_of_a_rebuild_is_kept_for_its_part_until_it_ends(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    assert_eq!(upkeep.begin_rebuild((1, 2)).unwrap(), None);
    upkeep.save_rebuild((1, 2), "one").unwrap();
    upkeep.save_rebuild((1, 2), "two").unwrap();
    assert_eq!(upkeep.begin_rebuild((2, 2)).unwrap(), None);
    assert_eq!(upkeep.begin_rebuild((1, 1)).unwrap(), None);
    let again = place.open();
    assert_eq!(
        again.upkeep().begin_rebuild((1, 2)).unwrap().as_deref(),
        Some("two")
    );
    assert!(!upkeep.end_rebuild((1, 2)).unwrap());
    // Run again, a part that has ended begins at its start.
    assert_eq!(upkeep.begin_rebuild((1, 2)).unwrap(), None);
    assert!(upkeep.end_rebuild((1, 1)).unwrap());
    upkeep.save_rebuild((1, 2), "late").unwrap();
    assert_eq!(upkeep.begin_rebuild((1, 2)).unwrap(), None);
}

fn signing_begins_once(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    archive(&*place.catalogue, &[message(1)]);
    let last = place.catalogue.fetch(&[message(1).uuid]).unwrap()[0].id;
    assert!(upkeep.begin_signing().unwrap());
    archive(&*place.catalogue, &[message(2)]);
    assert!(!upkeep.begin_signing().unwrap());
    assert_eq!(upkeep.state().unwrap().signed_after, Some(last));
}

fn rows_without_a_valid_signature_are_unconfirmed(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    archive(&*place.catalogue, &[message(1)]);
    let adopted = upkeep.adopt_unconfirmed(&[message(1), message(2)]).unwrap();
    assert_eq!(adopted, [message(2).uuid]);
    let all = [message(1).uuid, message(2).uuid];
    assert_eq!(upkeep.which_unconfirmed(&all).unwrap(), [message(2).uuid]);
    assert_eq!(upkeep.state().unwrap().unconfirmed, 1);
    upkeep.confirm(message(2).uuid).unwrap();
    assert_eq!(upkeep.state().unwrap().unconfirmed, 0);
}
