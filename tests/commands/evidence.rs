//! What was archived is evidence: whoever can write to the store cannot make the
//! archive say something else.

use std::collections::BTreeSet;

use archive_ingest::catalogue::Claim;
use archive_ingest::envelope::{self, Annotations};
use archive_ingest::record::{Record, TimestampType};
use serde_json::Value;

use crate::archive::text;
use crate::damage::{Scene, beside, key, lines};
use crate::support::Place;

/// A message whose client chose its UUID: its object does not prove itself.
fn chosen(scene: &Scene) -> Value {
    let is_chosen = |row: &&Value| {
        row["is_client_uuid"] == true && row["partition"].is_i64() && row["message_crc32"] != 0
    };
    scene.rows.iter().find(is_chosen).expect("one").clone()
}

/// An object like this one, whole, with another value and all its sums right.
fn forged(bytes: &[u8], public: bool, value: &[u8]) -> Vec<u8> {
    let notes = envelope::decode(bytes).expect("a document").annotations;
    let record = Record {
        value: Some(value.to_vec()),
        ..record(bytes)
    };
    let digest = envelope::delivery(&record).digest;
    let notes = Annotations {
        topic_id: notes.topic_id,
        signature: notes.signature,
        ..envelope::annotate(&record, digest, notes.uuid, public)
    };
    envelope::encode(&record, &notes)
}

/// The record that an object archives.
fn record(bytes: &[u8]) -> Record {
    let document = envelope::decode(bytes).expect("a document");
    Record {
        topic: document.topic,
        partition: document.partition.expect("a partition"),
        offset: document.offset.expect("an offset"),
        timestamp: document.timestamp,
        timestamp_type: document.timestamp_type.unwrap_or(TimestampType::None),
        key: document.key,
        value: document.value,
        headers: document.headers,
    }
}

fn set(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|&kind| kind.to_owned()).collect()
}

fn a_forged_object_never_rewrites_its_row(place: Place) {
    let scene = Scene::new(place);
    let row = chosen(&scene);
    let original = scene.objects.read(&key(&row));
    let forgery = forged(&original, false, b"forged");
    scene.objects.write(&key(&row), &forgery);
    assert!(scene.kinds().contains("wrong_digest"));

    let without_copy = scene.verify(&["--repair"]);
    assert_eq!(without_copy.code, Some(1), "{without_copy}");
    let repair = &lines(&without_copy, "repair")[0];
    assert_eq!(repair["mended"], false, "{without_copy}");
    assert_eq!(scene.now(&row), row, "the forgery has changed the row");

    let with_copy = scene.verify(&["--repair", "--backup-bucket", &scene.backup]);
    assert_eq!(with_copy.code, Some(0), "{with_copy}");
    assert_eq!(scene.objects.read(&key(&scene.now(&row))), original);
    assert_eq!(scene.objects.read(&key(&row)), forgery, "it is kept");
    assert_eq!(scene.kinds(), BTreeSet::new());
}

#[test]
fn a_forged_object_never_rewrites_its_row_on_sqlite_and_a_directory() {
    a_forged_object_never_rewrites_its_row(Place::embedded());
}

#[test]
fn a_forged_object_never_rewrites_its_row_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        a_forged_object_never_rewrites_its_row(place);
    }
}

#[test]
fn a_replaced_and_a_deleted_object_come_back_from_their_versions() {
    let Some(place) = Place::mock_on_services() else {
        return;
    };
    let scene = Scene::new(place);
    scene.objects.keep_versions();
    let (row, other) = scene.victims(0);
    let originals = [&row, &other].map(|row| scene.objects.read(&key(row)));
    scene.objects.write(&key(&row), b"");
    scene.objects.delete(&key(&other));
    assert!(scene.kinds().contains("missing_object"));
    let repair = scene.verify(&["--repair"]);
    assert_eq!(repair.code, Some(0), "{repair}");
    for (row, original) in [&row, &other].into_iter().zip(originals) {
        assert_eq!(scene.objects.read(&key(&scene.now(row))), original);
    }
    assert_eq!(scene.kinds(), BTreeSet::new());
}

#[test]
fn an_object_without_a_row_needs_a_claim_or_the_word_of_a_person() {
    let scene = Scene::new(Place::embedded());
    let (row, _) = scene.victims(0);
    let uuid = text(&row["uuid"]);
    let delete = format!("DELETE FROM messages WHERE uuid = '{uuid}'");
    scene.place.execute(&delete);
    let unconfirmed = scene.verify(&["--repair"]);
    assert_eq!(unconfirmed.code, Some(1), "{unconfirmed}");
    let how = text(&lines(&unconfirmed, "repair")[0]["how"]);
    assert!(how.contains("--adopt-orphans"), "{how}");
    assert_eq!(scene.listed().len(), 34);

    let claim = Claim {
        topic_id: None,
        uuid: uuid.parse().expect("a UUID"),
        delivery: envelope::delivery(&record(&scene.objects.read(&key(&row)))),
    };
    scene
        .place
        .catalogue()
        .claim(&[claim])
        .expect("a catalogue");
    let claimed = scene.verify(&["--repair"]);
    assert_eq!(claimed.code, Some(0), "{claimed}");
    assert_eq!(scene.now(&row), row);
}

#[test]
fn an_adopted_object_is_public_only_if_the_configuration_says_so() {
    let scene = Scene::new(Place::embedded());
    let (row, _) = scene.victims(0);
    let uuid = text(&row["uuid"]);
    let original = scene.objects.read(&key(&row));
    let document = envelope::decode(&original).expect("a document");
    let value = document.value.expect("a value");
    scene
        .objects
        .write(&key(&row), &forged(&original, true, &value));
    let delete = format!("DELETE FROM messages WHERE uuid = '{uuid}'");
    scene.place.execute(&delete);
    let adopted = scene.verify(&["--repair", "--adopt-orphans"]);
    assert_eq!(adopted.code, Some(0), "{adopted}");
    assert_eq!(scene.now(&row)["public"], false);
    assert_eq!(scene.kinds(), BTreeSet::new());
}

fn another_messages_object_gets_its_row_or_its_place(place: Place) {
    let scene = Scene::new(place);
    let (row, other) = scene.victims(0);
    let bytes = scene.objects.read(&key(&other));
    let stray = beside(&row, 5);

    // Its own object is gone: the one in the wrong place is the only copy.
    scene.objects.write(&stray, &bytes);
    scene.objects.delete(&key(&other));
    assert_eq!(scene.kinds(), set(&["missing_object", "orphan_object"]));
    let repair = scene.verify(&["--repair"]);
    assert!(
        lines(&repair, "repair")
            .iter()
            .any(|one| one["mended"] == true)
    );
    assert_eq!(scene.objects.read(&key(&scene.now(&other))), bytes);
    assert_eq!(scene.kinds(), BTreeSet::new());

    // Its row is gone too.
    let uuid = text(&other["uuid"]);
    let stray = beside(&row, 6);
    scene.objects.write(&stray, &bytes);
    scene.objects.delete(&key(&scene.now(&other)));
    let delete = format!("DELETE FROM messages WHERE uuid = '{uuid}'");
    scene.place.execute(&delete);
    assert_eq!(scene.verify(&["--repair"]).code, Some(1));
    assert_eq!(scene.objects.read(&stray), bytes);
    assert_eq!(scene.listed().len(), 34, "set aside or adopted unconfirmed");
    let adopted = scene.verify(&["--repair", "--adopt-orphans"]);
    assert_eq!(adopted.code, Some(0), "{adopted}");
    assert_eq!(scene.objects.read(&key(&scene.now(&other))), bytes);
    assert_eq!(scene.kinds(), BTreeSet::new());
}

#[test]
fn another_messages_object_gets_its_row_or_its_place_on_sqlite_and_a_directory() {
    another_messages_object_gets_its_row_or_its_place(Place::embedded());
}

#[test]
fn another_messages_object_gets_its_row_or_its_place_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        another_messages_object_gets_its_row_or_its_place(place);
    }
}

#[test]
fn a_rebuild_gives_a_row_to_a_message_under_another_ones_key() {
    let mut scene = Scene::new(Place::embedded());
    let (row, other) = scene.victims(0);
    let bytes = scene.objects.read(&key(&other));
    scene.objects.write(&beside(&row, 5), &bytes);
    scene.objects.delete(&key(&other));
    scene.place.use_another_database();
    scene.place.run(&["rebuild-catalogue"]).clean();
    assert_eq!(scene.listed().len(), 35);
    assert_eq!(scene.objects.read(&key(&scene.now(&other))), bytes);
    assert_eq!(scene.kinds(), BTreeSet::new());
}
