//! Signatures of rows and objects: what a change without the key comes to.

use serde_json::Value;

use crate::archive::text;
use crate::support::Place;
use crate::support::program::Ended;

const FIRST: &str = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SECOND: &str = "k2:1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";

fn signed(mut place: Place) -> Place {
    place.write("veto.list", "sys.heartbeat");
    place.variable("ARCHIVE_SIGNING_KEY", FIRST);
    place.run_to_end();
    place
}

fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn defects(ended: &Ended) -> Vec<String> {
    let lines = lines(ended).into_iter();
    let kinds = lines.filter_map(|line| line.get("defect").map(|of| text(&of["kind"])));
    kinds.collect()
}

fn summary(ended: &Ended) -> Value {
    lines(ended).last().unwrap()["summary"].clone()
}

#[track_caller]
fn verify(place: &Place, options: &[&str], found: &[&str]) -> Value {
    let ended = place.run(&[&["verify", "--json"], options].concat());
    assert_eq!(defects(&ended), found, "{ended}");
    assert_eq!(ended.code, Some(i32::from(!found.is_empty())), "{ended}");
    summary(&ended)
}

fn a_row_that_was_changed_without_the_key_is_found(place: Place) {
    let mut place = signed(place);
    let found = verify(&place, &["--deep"], &[]);
    assert_eq!(found["signatures"]["valid"], 35);
    // Rotated: rows stay valid as long as the old key is known.
    place.variable("ARCHIVE_SIGNING_KEY", SECOND);
    place.variable("ARCHIVE_SIGNING_KEYS_OLD", FIRST);
    assert_eq!(verify(&place, &[], &[])["signatures"]["valid"], 35);
    place.variable("ARCHIVE_SIGNING_KEYS_OLD", "");
    verify(&place, &[], &["signature_key_unknown"; 35]);
    place.variable("ARCHIVE_SIGNING_KEY", "");
    assert_eq!(verify(&place, &[], &[])["signatures"]["not_checked"], 35);

    place.variable("ARCHIVE_SIGNING_KEY", FIRST);
    let rows = place.archived();
    let (one, other) = (rows[0].row.uuid, rows[1].row.uuid);
    let is_public = !rows[0].row.public;
    place.execute(&format!(
        "UPDATE messages SET public = {is_public} WHERE uuid = '{one}'"
    ));
    verify(&place, &[], &["signature_invalid"]);
    place.execute(&format!(
        "UPDATE messages SET signature = NULL, signing_key = NULL WHERE uuid = '{other}'"
    ));
    let ended = place.run(&["verify", "--json"]);
    let mut found = defects(&ended);
    found.sort();
    assert_eq!(found, ["signature_invalid", "signature_missing"], "{ended}");
}

#[test]
fn a_row_that_was_changed_without_the_key_is_found_on_sqlite() {
    a_row_that_was_changed_without_the_key_is_found(Place::embedded());
}

#[test]
fn a_row_that_was_changed_without_the_key_is_found_on_postgresql() {
    if let Some(place) = Place::mock_on_services() {
        a_row_that_was_changed_without_the_key_is_found(place);
    }
}

#[test]
fn what_was_archived_before_signing_began_is_no_defect() {
    let mut place = Place::embedded();
    place.write("veto.list", "sys.heartbeat");
    place.run_to_end();
    place.variable("ARCHIVE_SIGNING_KEY", FIRST);
    place.run_to_end();
    assert_eq!(
        verify(&place, &["--deep"], &[])["signatures"]["unsigned"],
        35
    );
}

fn a_rebuild_does_not_believe_an_object_without_a_valid_signature(place: Place) {
    let mut place = signed(place);
    // The same message as somebody without the key writes it, made public.
    let row = place.archived()[0].row.clone();
    let bytes = place.objects().read(&row.key);
    let document = archive_ingest::envelope::decode(&bytes).unwrap();
    let record = place.archived()[0].record.clone();
    let digest = document.annotations.digest.unwrap();
    let mut forged = archive_ingest::envelope::annotate(&record, digest, row.uuid, true);
    forged.topic_id = document.annotations.topic_id;
    let forged = archive_ingest::envelope::encode(&record, &forged);
    assert!(!row.public && forged != bytes);
    place.objects().delete(&row.key);
    place.objects().write(&row.key, &forged);

    place.use_another_database();
    let rebuilt = place.run(&["rebuild-catalogue", "--json"]);
    assert_eq!(rebuilt.code, Some(1), "{rebuilt}");
    assert_eq!(defects(&rebuilt), ["unconfirmed_object"]);
    let told = summary(&rebuilt);
    assert_eq!(
        (&told["unconfirmed"], &told["rows_added"]),
        (&1.into(), &35.into())
    );
    let stored = place.catalogue().fetch(&[row.uuid]).unwrap().remove(0).row;
    assert!(!stored.public && stored.signature.is_none());
    let found = verify(&place, &["--deep"], &[]);
    assert_eq!(found["signatures"]["valid"], 34);

    // Without a key nothing is checked, and it says so.
    place.use_another_database();
    place.variable("ARCHIVE_SIGNING_KEY", "");
    let rebuilt = place.run(&["rebuild-catalogue", "--json"]).clean();
    assert_eq!(summary(&rebuilt)["signatures_checked"], false);
    let stored = place.catalogue().fetch(&[row.uuid]).unwrap().remove(0).row;
    assert!(stored.public);
}

#[test]
fn a_rebuild_does_not_believe_an_object_without_a_valid_signature_on_a_directory() {
    a_rebuild_does_not_believe_an_object_without_a_valid_signature(Place::embedded());
}

#[test]
fn a_rebuild_does_not_believe_an_object_without_a_valid_signature_on_s3() {
    if let Some(place) = Place::mock_on_services() {
        a_rebuild_does_not_believe_an_object_without_a_valid_signature(place);
    }
}
