//! `status`: one screen that says what the archive has.

use serde_json::Value;

use crate::archive::Archive;
use crate::support::broker::plain_records_from;
use crate::support::{Broker, Place};

#[test]
fn status_counts_what_the_archive_has() {
    let archive = Archive::known();
    let status = &archive.run(&["status", "--json"]).clean().json_lines()[0];
    assert_eq!(status["messages"], 35);
    assert_eq!(status["topics"].as_array().unwrap().len(), 6);
    assert_eq!(status["gaps"], 0);
    assert_eq!(status["lag"], Value::Null);
    let rows = archive.rows();
    let is_last = |row: &&Value| row["uuid"] == status["last_archived"]["uuid"];
    assert!(rows.iter().any(|row| is_last(&row)));
    let shown = archive.run(&["status"]).clean();
    for text in [
        "known.values",
        "total",
        "LAST VERIFY",
        "never",
        "no Kafka is chosen",
    ] {
        let text_lower = text.to_lowercase();
        assert!(
            shown.text().to_lowercase().contains(&text_lower),
            "{text}: {shown:?}"
        );
    }
    let lines = shown.lines().len();
    assert!(lines <= 24, "{lines} lines are more than a screen");
}

#[test]
fn there_is_no_status_before_there_is_an_archive() {
    Archive::none()
        .run(&["status"])
        .refused(3, &["archive something first"]);
}

#[test]
fn status_tells_lag_and_the_last_hour_on_a_real_deployment() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("status", 2);
    let mut records = plain_records_from(&topic, 2, 0..10);
    let now = jiff::Timestamp::now().as_millisecond();
    for record in &mut records[..4] {
        record.timestamp = now - 60_000;
    }
    records[4].timestamp = now - 2 * 60 * 60 * 1000;
    broker.send(&records);
    place.run_to_end();
    broker.send(&plain_records_from(&topic, 2, 10..13));
    let status = place.run(&["status", "--json"]).clean();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    let of = |name: &str| status["topics"][0][name].clone();
    assert_eq!(of("messages"), 10);
    assert_eq!(of("last_24_hours"), 5);
    assert_eq!(of("last_hour"), 4);
    assert_eq!((of("lag"), &status["lag"]), (3.into(), &3.into()));

    // Nobody archives, and then somebody does.
    let members = || {
        let status = place.run(&["status", "--json"]).clean();
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        status["loops"]["archiver"]["members"].clone()
    };
    assert_eq!(members(), 0);
    let shown = place.run(&["status"]).clean().stdout;
    assert!(shown.contains("NOT RUNNING"), "{shown}");
    let running = place.start(&["run"]);
    place.wait_for_rows(13);
    assert_eq!(members(), 1);
    running.signal("TERM");
    running.ended().clean();
}

#[test]
fn a_kafka_that_is_away_leaves_the_rest_of_the_status() {
    let archive = Archive::known();
    let output = archive
        .command(&["status", "--json", "-H", "hop-local"])
        .env("HOP_PORT", "1")
        .env("HOP_PROPERTIES", "socket.connection.setup.timeout.ms=1000")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["messages"], 35);
    let why = status["lag_unknown"].as_str().unwrap();
    assert!(why.contains("127.0.0.1:1"), "{why}");
}
