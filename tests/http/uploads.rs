//! Direct uploads and retractions.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, doc};
use uuid::Uuid;

use crate::http::{self, Answer};
use crate::scene::{PASSWORD, Serving, USER, basic};
use crate::support::{Broker, Place};

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    })
}

fn upload(serving: &Serving, topic: &str, document: &bson::Document) -> Answer {
    let body = document.to_vec().expect("BSON");
    post(serving, topic, &body)
}

fn post(serving: &Serving, topic: &str, body: &[u8]) -> Answer {
    let path = format!("/topic/{}", topic.replace('+', "%2B"));
    http::ask(
        serving.address,
        "POST",
        &path,
        &[&basic(USER, PASSWORD)],
        Some(body),
    )
}

fn message(uuid: Uuid, value: &[u8]) -> bson::Document {
    doc! {
        "message": binary(value),
        "headers": [["_id", binary(uuid.as_bytes())], ["title", binary(b"A title")], ["_format", binary(b"blob")]],
        "key": binary(b"k"),
    }
}

fn what_is_uploaded_is_archived_once(serving: &Serving) {
    let uuid = Uuid::from_bytes(rand::random());
    let value = vec![7; 1_500_000];
    let document = message(uuid, &value);
    for _ in 0..2 {
        let answer = upload(serving, "open+oversized", &document)
            .with(201)
            .bson();
        assert_eq!(
            answer.get_str("archive_uuid").expect("text"),
            uuid.to_string()
        );
        assert_eq!(answer.get_bool("is_client_uuid").ok(), Some(true));
    }
    // Its topic is public, and so is it.
    let stored = serving.get(&format!("/msg/{uuid}")).with(200).bson();
    let annotations = stored.get_document("annotations").expect("there");
    assert_eq!(annotations.get_bool("direct_upload").ok(), Some(true));
    assert_eq!(annotations.get_str("title").ok(), Some("A title"));
    let metadata = stored.get_document("metadata").expect("there");
    assert_eq!(metadata.get_str("topic").ok(), Some("open+oversized"));
    assert!(!metadata.contains_key("offset"));
    assert_eq!(
        serving
            .get(&format!("/msg/{uuid}/raw_file/f"))
            .with(200)
            .body,
        value
    );
    let listed = serving
        .get("/topic/open%2Boversized?meta=1")
        .with(200)
        .bson();
    assert_eq!(listed.get_array("messages").expect("an array").len(), 1);
    // The same UUID is nobody else's.
    let other = message(uuid, b"other");
    let refused = upload(serving, "open+oversized", &other).with(422);
    assert!(refused.text().contains(&uuid.to_string()));
    upload(serving, "elsewhere+oversized", &document).with(422);
    let verified = serving.place.run(&["verify", "--deep"]);
    assert_eq!(verified.code, Some(0), "{verified}");
}

#[test]
fn an_upload_is_archived_once_and_keeps_its_uuid_on_the_embedded_services() {
    what_is_uploaded_is_archived_once(&Serving::with_credential());
}

#[test]
fn an_upload_is_archived_once_and_keeps_its_uuid_on_real_services() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("hop", "hop-public-topics", "[\"open\"]");
    crate::scene::give_credential(&mut place);
    // It makes the archive where there is none.
    what_is_uploaded_is_archived_once(&Serving::of(place));
}

#[test]
fn an_upload_without_a_uuid_gets_one_each_time() {
    let serving = Serving::with_credential();
    let document = doc! {"message": binary(b"v")};
    let mut uuids = vec![];
    for _ in 0..2 {
        let answer = upload(&serving, "t", &document).with(201).bson();
        assert_eq!(answer.get_bool("is_client_uuid").ok(), Some(false));
        uuids.push(answer.get_str("archive_uuid").expect("text").to_owned());
    }
    assert_ne!(uuids[0], uuids[1]);
}

#[test]
fn uploads_at_once_of_one_message_end_in_one_message() {
    let serving = Serving::with_credential();
    let uuid = Uuid::from_bytes(rand::random());
    let document = message(uuid, &[1; 100_000]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| upload(&serving, "t+oversized", &document).with(201));
        }
    });
    let listed = serving
        .get_known("/topic/t%2Boversized?meta=1")
        .with(200)
        .bson();
    assert_eq!(listed.get_array("messages").expect("an array").len(), 1);
    let verified = serving.place.run(&["verify", "--deep"]);
    assert_eq!(verified.code, Some(0), "{verified}");
}

#[test]
fn uploads_are_mended_and_their_rows_rebuilt_like_any_message() {
    let mut place = Place::embedded();
    place.run_to_end();
    crate::scene::give_credential(&mut place);
    let serving = Serving::of(place);
    let chosen = Uuid::from_u128(0x6b6e6f776e2d64617461);
    upload(&serving, "big", &message(chosen, b"with a UUID")).with(201);
    let without = doc! { "message": binary(b"without one"), "headers": [] };
    upload(&serving, "big", &without).with(201);
    serving.process.signal("TERM");
    serving.process.ended().clean();
    let mut place = serving.place;
    let rows = |place: &Place| {
        let listed = place.run(&["list-archive", "--json"]).clean().stdout;
        let mut rows: Vec<String> = listed.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    let expected = rows(&place);

    place.execute("DELETE FROM messages WHERE direct_upload");
    let repair = ["verify", "--deep", "--in-flight", "0s", "--repair"];
    // Nothing but a person can confirm an upload: it never was on Kafka.
    place
        .run(&[&repair[..], &["--adopt-orphans"]].concat())
        .clean();
    assert_eq!(rows(&place), expected);

    let objects = place.objects();
    let copy = objects.back_up(&place.object_keys());
    let uploads = place
        .object_keys()
        .into_iter()
        .filter(|key| key.starts_with("big/"));
    for (number, key) in uploads.enumerate() {
        objects.delete(&key);
        if number > 0 {
            objects.write(&key, b"damaged");
        }
    }
    place
        .run(&[&repair[..], &["--backup-bucket", &copy]].concat())
        .clean();
    place.run(&["verify", "--deep"]).clean();
    let mended = rows(&place);
    assert_eq!(mended.len(), expected.len());

    place.use_another_database();
    place.run(&["rebuild-catalogue"]).clean();
    assert_eq!(rows(&place), mended);
}

#[test]
fn what_is_malformed_too_large_or_not_permitted_is_refused_and_archives_nothing() {
    let mut place = Place::embedded();
    crate::scene::give_credential(&mut place);
    place.set("listen", "api-upload-bytes", "1000");
    let serving = Serving::of(place);
    for document in [
        doc! {"headers": []},
        doc! {"message": 5},
        doc! {"message": binary(b"v"), "headers": 5},
        doc! {"message": binary(b"v"), "headers": [["a", 5]]},
        doc! {"message": binary(b"v"), "more": 5},
        doc! {"message": binary(b"v"), "key": 5},
    ] {
        upload(&serving, "t", &document).with(400);
    }
    post(&serving, "t", b"no BSON").with(400);
    post(&serving, "t", b"").with(400);
    upload(&serving, "no%20topic", &doc! {"message": binary(b"v")}).with(422);
    upload(&serving, "..", &doc! {"message": binary(b"v")}).with(422);
    upload(&serving, "t", &doc! {"message": binary(&[0; 1000])}).with(413);
    let body = doc! {"message": binary(b"v")}.to_vec().expect("BSON");
    http::ask(serving.address, "POST", "/topic/t", &[], Some(&body)).with(401);
    let count = serving.get_known("/messages/count").with(200).bson();
    assert_eq!(count.get_i32("count").ok(), Some(0));
}

#[test]
fn a_retraction_is_seen_and_the_message_stays() {
    let serving = Serving::with_credential();
    let public = serving
        .archived()
        .into_iter()
        .find(|m| m.row.public)
        .expect("one");
    let uuid = public.row.uuid;
    let put = |query: &str, headers: &[&str]| {
        let path = format!("/msg/{uuid}/retraction{query}");
        http::ask(serving.address, "PUT", &path, headers, Some(b""))
    };
    let known = basic(USER, PASSWORD);
    put("", &[]).with(401);
    let count = |query: &str| {
        let document = serving
            .get(&format!("/messages/count{query}"))
            .with(200)
            .bson();
        document.get_i32("count").expect("a number")
    };
    let all = count("");
    for (query, retracted) in [("", 1), ("?retracted=true", 1), ("?retracted=false", 0)] {
        assert_eq!(put(query, &[&known]).with(200).bson(), doc! {});
        assert_eq!(count(""), all);
        assert_eq!(count("?include_retracted=false"), all - retracted);
        serving.get(&format!("/msg/{uuid}")).with(200);
    }
    put("?retracted=x", &[&known]).with(400);
    let nobody = "/msg/00000000-0000-4000-8000-000000000000/retraction";
    http::ask(serving.address, "PUT", nobody, &[&known], None).with(404);
}
