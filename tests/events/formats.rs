//! Every format of `consume`, over everything that a topic may hold.

use archive_ingest::produce::{Codec, ContainerWriter, Limits};
use archive_ingest::record::{Record, TimestampType};
use archive_ingest::registry::wire;
use serde_json::{Value, json};

use super::scene::{READING, Scene, assert_one_clear_line, events};

const READING_JSON: &str = "{\"station\": \"Elbe\", \"level\": 7}";

fn container() -> Vec<u8> {
    let mut writer = ContainerWriter::new(READING, Codec::Deflate, Limits::default()).unwrap();
    for _ in 0..2 {
        let mut encoded = vec![];
        writer.encode(READING_JSON, &mut encoded).unwrap();
        writer.push(&encoded);
    }
    writer.finish().unwrap().unwrap()
}

/// A topic whose first event is a reading of the registry, and then these.
fn filled(scene: &Scene, rest: &[Option<Vec<u8>>]) -> String {
    let topic = scene.broker.create("mixed", 1);
    scene.produce_lines(&topic, READING, READING_JSON).clean();
    let record = |value: &Option<Vec<u8>>| Record {
        topic: topic.as_str().into(),
        partition: 0,
        offset: 0,
        timestamp: 1_700_000_000_000,
        timestamp_type: TimestampType::Create,
        key: None,
        value: value.clone(),
        headers: vec![],
    };
    scene
        .broker
        .send(&rest.iter().map(record).collect::<Vec<_>>());
    topic
}

fn everything() -> Vec<Option<Vec<u8>>> {
    vec![
        Some(container()),
        Some(READING_JSON.into()),
        Some(b"plain words".to_vec()),
        Some(vec![0xff, 0x00]),
        Some(vec![]),
        None,
        Some(wire::join(u32::MAX, b"of no schema".to_vec())),
        Some(b"Obj\x01 and no container".to_vec()),
    ]
}

#[test]
fn whatever_a_topic_holds_is_shown_as_what_it_is() {
    let Some(scene) = Scene::new() else { return };
    let topic = filled(&scene, &everything());
    let events = scene.consume(&topic, 9, &[]);
    let reading = json!({"station": "Elbe", "level": 7});
    let shown: Vec<(&str, Value)> = events
        .iter()
        .map(|event| {
            let value = &event["value"];
            (value["format"].as_str().unwrap(), value["data"].clone())
        })
        .collect();
    let expected = [
        ("registry", reading.clone()),
        ("container", json!([reading, reading])),
        ("json", reading),
        ("text", json!("plain words")),
        ("bytes", json!("ff00")),
        ("text", json!("")),
        ("null", json!(null)),
        ("bytes", json!("00ffffffff6f66206e6f20736368656d61")),
        ("bytes", json!(hex::encode("Obj\x01 and no container"))),
    ];
    assert_eq!(shown, expected);
    assert_eq!(events[7]["value"]["schema_id"], json!(u32::MAX));
    assert_eq!(events[1]["timestamp"], json!(1_700_000_000_000_u64));
}

#[test]
fn a_value_that_is_not_of_the_format_is_printed_as_bytes_and_told() {
    let Some(scene) = Scene::new() else { return };
    let rest = [Some(container()), Some(READING_JSON.into()), None];
    let topic = filled(&scene, &rest);
    let consume = |format: &str| {
        let arguments = ["consume", "--json", "--topic", &topic, "--count", "4"];
        scene.run(&[&arguments[..], &["--format", format][..]].concat())
    };
    let formats = |ended: &str| -> Vec<Value> {
        events(ended)
            .iter()
            .map(|event| event["value"]["format"].clone())
            .collect()
    };
    let avro = consume("avro");
    assert_one_clear_line(&avro, 1, &format!("{topic}/0/2 is shown as bytes"));
    assert_eq!(
        formats(&avro.stdout),
        ["registry", "container", "bytes", "null"]
    );
    let json = consume("json");
    assert_eq!(json.code, Some(1), "{json}");
    assert_eq!(formats(&json.stdout), ["bytes", "bytes", "json", "null"]);
    let hex = consume("hex").clean();
    assert_eq!(formats(&hex.stdout), ["bytes", "bytes", "bytes", "null"]);
}

#[test]
fn without_a_registry_its_events_are_bytes_with_their_schemas_id() {
    let Some(scene) = Scene::new() else { return };
    let topic = filled(&scene, &[Some(READING_JSON.into())]);
    let arguments = ["event", "consume", "--topic", &topic, "--count", "2"];
    let ended = scene.place.run(&arguments).clean();
    assert!(
        ended
            .stdout
            .contains(&format!("{topic}/0/0  null  (schema ")),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("no schema registry is chosen"),
        "{ended}"
    );
    assert!(ended.stdout.contains("\"station\":\"Elbe\""), "{ended}");
}

#[test]
fn consuming_begins_where_it_is_asked_to() {
    let Some(scene) = Scene::new() else { return };
    let topic = filled(&scene, &[Some(b"1".to_vec()), Some(b"2".to_vec())]);
    let offsets = |more: &[&str], count| -> Vec<u64> {
        let events = scene.consume(&topic, count, more);
        events
            .iter()
            .map(|event| event["offset"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(offsets(&[], 3), [0, 1, 2]);
    // The first event is of now, the others of 2023.
    assert_eq!(offsets(&["--from", "2023-11-01"], 1), [0]);
    assert_eq!(offsets(&["--from", "0"], 3), [0, 1, 2]);
    let end = scene.start(&[
        "consume", "--json", "--topic", &topic, "--from", "end", "--count", "1",
    ]);
    let later = scene.start(&[
        "consume",
        "--json",
        "--topic",
        &topic,
        "--from",
        "2200-01-01",
        "--count",
        "1",
    ]);
    // They must have begun; each says so.
    end.wait_for("consuming");
    later.wait_for("consuming");
    scene.produce_lines(&topic, READING, READING_JSON).clean();
    for process in [end, later] {
        let ended = process.ended().clean();
        assert_eq!(events(&ended.stdout)[0]["offset"], json!(3), "{ended}");
    }
}
