//! Readers with a newer or an older schema.

use serde_json::{Value, json};

use super::scene::{
    READING, READING_2, READING_TEXT, Scene, assert_one_clear_line, events, values,
};
use crate::support::python::Python;

const OLD: &str = "{\"station\": \"Elbe\", \"level\": 7}\n";
const NEW: &str = "{\"station\": \"Oder\", \"level\": 8, \"unit\": \"mm\"}\n";

/// A topic with a reading of each schema.
fn both(scene: &Scene) -> String {
    let topic = scene.broker.create("readings", 1);
    scene.produce_lines(&topic, READING, OLD).clean();
    scene.produce_lines(&topic, READING_2, NEW).clean();
    topic
}

#[test]
fn a_reader_with_a_newer_schema_sees_older_events_with_its_defaults() {
    let Some(scene) = Scene::new() else { return };
    let topic = both(&scene);
    let schema = scene.file("newer.avsc", READING_2);
    let consumed = scene.consume(&topic, 2, &["--value-schema", &schema]);
    let expected = [
        json!({"station": "Elbe", "level": 7, "unit": "cm"}),
        json!({"station": "Oder", "level": 8, "unit": "mm"}),
    ];
    assert_eq!(values(&consumed), expected);
}

#[test]
fn a_reader_with_an_older_schema_sees_newer_events_without_what_it_does_not_know() {
    let Some(scene) = Scene::new() else { return };
    let topic = both(&scene);
    let schema = scene.file("older.avsc", READING);
    let consumed = scene.consume(&topic, 2, &["--value-schema", &schema]);
    let expected = [
        json!({"station": "Elbe", "level": 7}),
        json!({"station": "Oder", "level": 8}),
    ];
    assert_eq!(values(&consumed), expected);
    // Without a schema of its own the reader sees each as it was written.
    let plain = values(&scene.consume(&topic, 2, &[]));
    assert_eq!(
        plain[1],
        json!({"station": "Oder", "level": 8, "unit": "mm"})
    );
    let ids: Vec<Value> = scene
        .consume(&topic, 2, &[])
        .iter()
        .map(|event| event["value"]["schema_id"].clone())
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn confluent_kafkas_readers_read_them_with_either_schema() {
    let Some(scene) = Scene::new() else { return };
    let Some(python) = Python::of("TEST_PY_REGISTRY") else {
        return;
    };
    let topic = both(&scene);
    let read = |schema: &str| {
        let arguments = [
            "read-as",
            &scene.broker.address,
            &scene.registry,
            &topic,
            "2",
            schema,
        ];
        events(&python.run("registry_events.py", &arguments, &[]))
    };
    let newer = read(&scene.file("newer.avsc", READING_2));
    assert_eq!(
        newer[0],
        json!({"station": "Elbe", "level": 7, "unit": "cm"})
    );
    let older = read(&scene.file("older.avsc", READING));
    assert_eq!(older[1], json!({"station": "Oder", "level": 8}));
}

#[test]
fn a_schema_that_does_not_go_with_the_earlier_ones_is_refused_with_the_registrys_reason() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("strict", 1);
    scene.produce_lines(&topic, READING, OLD).clean();
    scene.set_compatibility(&format!("{topic}-value"), "BACKWARD");
    let text = "{\"station\": \"Elbe\", \"level\": \"high\"}\n";
    let refused = scene.produce_lines(&topic, READING_TEXT, text);
    assert_one_clear_line(&refused, 3, "refuses the schema of");
    assert!(
        refused.stderr.to_lowercase().contains("compatib"),
        "{refused}"
    );
    assert_eq!(scene.broker.offsets(&topic, 0), [0], "nothing was sent");
    // What goes with them is taken.
    scene.produce_lines(&topic, READING_2, NEW).clean();
}

#[test]
fn a_readers_schema_that_cannot_read_an_event_is_told_with_the_reason() {
    let Some(scene) = Scene::new() else { return };
    let topic = both(&scene);
    let schema = scene.file("text.avsc", READING_TEXT);
    let arguments = [
        "consume", "--topic", &topic, "--count", "1", "--format", "avro",
    ];
    let ended = scene.run(&[&arguments[..], &["--value-schema", schema.as_str()][..]].concat());
    assert_one_clear_line(&ended, 1, "not as the reader's schema");
}
