//! What others write is shown, and what is produced others read.

use serde_json::{Value, json};

use super::scene::{Scene, enrolment, events, values};
use crate::support::python::Python;

#[test]
fn ten_produced_events_are_the_ten_that_are_consumed() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("enrolments", 1);
    let arguments = [
        "produce",
        "--type",
        "course-enrollment",
        "--student",
        "Ada Lovelace",
    ];
    let sent = scene
        .run(&[&arguments[..], &["--topic", topic.as_str()][..]].concat())
        .clean();
    assert_eq!(sent.stdout, format!("10 events sent to {topic}\n"));

    let consumed = scene.consume(&topic, 10, &["--format", "avro"]);
    let expected: Vec<Value> = (0..10).map(|n| enrolment(n, "Ada Lovelace")).collect();
    assert_eq!(values(&consumed), expected);
    for (number, event) in consumed.iter().enumerate() {
        assert_eq!(
            event["key"]["data"],
            json!({"course_key": format!("edX+{number}")})
        );
        assert_eq!(event["offset"], json!(number));
    }

    let shown = scene
        .run(&["consume", "--topic", &topic, "--count", "2"])
        .clean();
    let expected = "edX+0  Ada Lovelace enrolled\nedX+1  Ada Lovelace unenrolled\n";
    assert_eq!(shown.stdout, expected);
}

#[test]
fn confluent_kafka_decodes_what_is_produced_to_the_same() {
    let Some(scene) = Scene::new() else { return };
    let Some(python) = Python::of("TEST_PY_REGISTRY") else {
        return;
    };
    let topic = scene.broker.create("to-python", 3);
    scene.produce_enrolments(&topic, "Ada", 12);
    let arguments = ["read", &scene.broker.address, &scene.registry, &topic, "12"];
    let mut read = events(&python.run("registry_events.py", &arguments, &[]));
    // Of three partitions, in any order.
    read.sort_by_key(|pair| {
        pair[0]["course_key"]
            .as_str()
            .map(|key| key[4..].parse::<u64>().unwrap())
    });
    let expected: Vec<Value> = (0..12)
        .map(|n| json!([{"course_key": format!("edX+{n}")}, enrolment(n, "Ada")]))
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn what_confluent_kafka_writes_is_decoded_to_the_same() {
    let Some(scene) = Scene::new() else { return };
    let Some(python) = Python::of("TEST_PY_REGISTRY") else {
        return;
    };
    let topic = scene.broker.create("from-python", 1);
    let arguments = [
        "write",
        &scene.broker.address,
        &scene.registry,
        &topic,
        "10",
    ];
    python.run("registry_events.py", &arguments, &[]);
    let consumed = scene.consume(&topic, 10, &["--format", "avro"]);
    let expected: Vec<Value> = (0..10).map(|n| enrolment(n, "Grace")).collect();
    assert_eq!(values(&consumed), expected);
    assert_eq!(consumed[3]["key"]["data"], json!({"course_key": "edX+3"}));
    // Both know the schemas by the same ids.
    let own = scene.broker.create("own", 1);
    scene.produce_enrolments(&own, "Ada", 1);
    let own = scene.consume(&own, 1, &[]);
    assert_eq!(own[0]["value"]["format"], json!("registry"));
}
