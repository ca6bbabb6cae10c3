//! The registry or Kafka away: told clearly, and nothing half written.

use std::time::{Duration, Instant};

use serde_json::json;

use super::scene::{READING, Scene, assert_one_clear_line};

/// A port where nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

const LINE: &str = "{\"station\": \"Elbe\", \"level\": 7}\n";

#[test]
fn with_the_registry_away_nothing_is_sent() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let topic = scene.broker.create("unsent", 1);
    let registry = scene.registry.clone();
    scene
        .place
        .set("registry", "registry-url", &format!("{NOBODY:?}"));
    let ended = scene.produce_lines(&topic, READING, LINE);
    assert_one_clear_line(&ended, 3, "registry-url");
    assert!(scene.broker.offsets(&topic, 0).is_empty());
    // Another URL is tried where the first does not answer.
    let both = format!("{NOBODY},{registry}");
    scene
        .place
        .set("registry", "registry-url", &format!("{both:?}"));
    scene.produce_lines(&topic, READING, LINE).clean();
    assert_eq!(scene.broker.offsets(&topic, 0), [0]);
}

#[test]
fn with_the_registry_away_a_consumer_ends_and_the_event_is_there_for_the_next() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let topic = scene.broker.create("waiting", 1);
    let group = scene.broker.name("readers");
    scene.produce_lines(&topic, READING, LINE).clean();
    let registry = scene.registry.clone();
    scene
        .place
        .set("registry", "registry-url", &format!("{NOBODY:?}"));
    let arguments = [
        "consume", "--topic", &topic, "--group", &group, "--count", "1",
    ];
    let ended = scene.run(&arguments);
    assert_one_clear_line(&ended, 3, "schema registry http://127.0.0.1:9");
    assert_eq!(ended.stdout, "");
    // As bytes it needs nobody, and commits.
    assert_eq!(scene.broker.group(&group, &topic, 1).offsets(), [None]);
    scene
        .place
        .set("registry", "registry-url", &format!("{registry:?}"));
    let next = scene.consume(&topic, 1, &["--group", &group]);
    assert_eq!(
        next[0]["value"]["data"],
        json!({"station": "Elbe", "level": 7})
    );
    assert_eq!(scene.broker.group(&group, &topic, 1).offsets(), [Some(1)]);
}

#[test]
fn a_server_that_is_no_registry_is_told_as_that() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let topic = scene.broker.create("elsewhere", 1);
    let wrong = scene.registry.replace("/apis/ccompat/v7", "/nowhere");
    scene
        .place
        .set("registry", "registry-url", &format!("{wrong:?}"));
    let ended = scene.produce_lines(&topic, READING, LINE);
    assert_one_clear_line(&ended, 3, "/nowhere");
    assert!(scene.broker.offsets(&topic, 0).is_empty());
}

#[test]
fn with_kafka_away_the_line_names_it_and_no_schema_is_registered() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let topic = scene.broker.name("nowhere");
    scene.place.set("hop", "hop-hostname", "\"127.0.0.1:9\"");
    let began = Instant::now();
    let ended = scene.produce_lines(&topic, READING, LINE);
    assert_one_clear_line(&ended, 3, "kafka 127.0.0.1:9");
    assert!(began.elapsed() < Duration::from_secs(90), "{ended}");
    let subjects = std::process::Command::new("curl")
        .args([
            "-sf",
            "--noproxy",
            "*",
            &format!("{}/subjects", scene.registry),
        ])
        .output()
        .expect("curl");
    assert!(!String::from_utf8_lossy(&subjects.stdout).contains(&topic));
    let ended = scene.run(&["consume", "--topic", &topic]);
    assert_one_clear_line(&ended, 3, "kafka 127.0.0.1:9");
}

#[test]
fn a_topic_that_is_not_there_is_told() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.name("missing");
    let ended = scene.run(&["consume", "--topic", &topic]);
    assert_one_clear_line(&ended, 3, "there is no topic");
}
