//! Archived messages of a registry, shown by `fetch-uuid`.

use serde_json::{Value, json};

use super::scene::Scene;

/// An archive with one enrolment; the message's UUID.
fn archived(scene: &Scene) -> String {
    let topic = scene.broker.create("kept", 1);
    scene.produce_enrolments(&topic, "Ada", 1);
    assert_eq!(scene.place.run_to_end().archived, 1);
    let listed = scene.place.run(&["list-archive", "--json"]).clean();
    let row: Value = serde_json::from_str(listed.stdout.trim()).expect("one line");
    row["uuid"].as_str().expect("a UUID").to_owned()
}

fn fetch(scene: &Scene, more: &[&str]) -> (String, String) {
    let ended = scene
        .place
        .run(&[&["fetch-uuid"][..], more].concat())
        .clean();
    (ended.stdout, ended.stderr)
}

#[test]
fn an_archived_message_of_the_registry_is_shown_decoded() {
    let Some(scene) = Scene::new() else { return };
    let uuid = archived(&scene);
    let (shown, _) = fetch(&scene, &["-R", "registry", &uuid]);
    assert!(shown.contains("decoded with schema "), "{shown}");
    assert!(shown.contains("\n  \"user\": \"Ada\"\n}"), "{shown}");
    assert!(shown.contains("{\"course_key\":\"edX+0\"}"), "{shown}");

    let (json, _) = fetch(&scene, &["-R", "registry", "--json", &uuid]);
    let json: Value = serde_json::from_str(&json).expect("a line");
    let expected = json!({"course_key": "edX+0", "is_enroll": true, "user": "Ada"});
    assert_eq!(json["value"]["decoded"], expected);
    assert!(json["value"]["schema_id"].is_u64());
    assert_eq!(
        json["metadata"]["key"]["decoded"],
        json!({"course_key": "edX+0"})
    );
    // Whoever wants the bytes gets the bytes.
    let (payload, _) = fetch(&scene, &["-R", "registry", "--payload", &uuid]);
    assert!(payload.starts_with('\0') && payload.ends_with("Ada"));
}

#[test]
fn with_the_registry_away_it_is_shown_as_bytes_with_its_schemas_id() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let uuid = archived(&scene);
    scene
        .place
        .set("registry", "registry-url", "\"http://127.0.0.1:9\"");
    let (shown, told) = fetch(&scene, &["-R", "registry", &uuid]);
    assert!(shown.contains(" bytes, of schema "), "{shown}");
    assert!(shown.contains("00000000: 00"), "{shown}");
    let notes = told
        .lines()
        .filter(|line| line.starts_with("note: "))
        .count();
    assert_eq!(notes, 1, "told once, for key and value: {told}");

    let (json, _) = fetch(&scene, &["-R", "registry", "--json", &uuid]);
    let json: Value = serde_json::from_str(&json).expect("a line");
    assert!(json["value"]["schema_id"].is_u64());
    assert!(json["value"].get("decoded").is_none());

    // Without a registry nobody claims that it is one's message.
    let (shown, told) = fetch(&scene, &[&uuid]);
    assert!(
        !shown.contains("schema ") && told.is_empty(),
        "{shown}{told}"
    );
}
