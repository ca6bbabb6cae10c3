//! The bridge's key where none is configured, web pages, and how much `/consume`
//! costs.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;

use serde_json::json;

use crate::http;
use crate::scene::Scene;
use crate::support::skip::service;
use crate::support::{Broker, Process};
use crate::topic;

#[test]
fn key_is_made_once_in_a_file_of_its_owner() {
    let Some(kafka) = service("TEST_KAFKA") else {
        return;
    };
    let mut scene = Scene::on(&kafka);
    scene.remove_variable("BRIDGE_API_KEY");
    let bridge = scene.start();
    let file = scene.path("archive/bridge-api-key");
    assert!(bridge.log().contains("archive/bridge-api-key"));
    assert_eq!(file.metadata().expect("made").mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).expect("text");
    let key = key.trim();
    assert!(key.len() >= 32, "{key}");
    assert!(!bridge.log().contains(key), "the key itself is not told");
    for path in ["/status", "/topics", "/kafka/stop", "/consume?topic=t"] {
        http::get(scene.address, path).with(401);
    }
    let shown = format!("x-api-key: {key}");
    http::ask(scene.address, "GET", "/status", &[&shown], None).with(200);
    drop(bridge);
    let _bridge = scene.start();
    http::ask(scene.address, "GET", "/status", &[&shown], None).with(200);
}

#[test]
fn key_file_that_others_may_read_or_that_holds_nothing_is_refused() {
    let Some(kafka) = service("TEST_KAFKA") else {
        return;
    };
    let mut scene = Scene::on(&kafka);
    scene.remove_variable("BRIDGE_API_KEY");
    let file = scene.path("archive/bridge-api-key");
    std::fs::create_dir(file.parent().expect("a folder")).expect("a folder of ours");
    for (content, mode) in [("secret\n", 0o644), ("\n", 0o600)] {
        std::fs::write(&file, content).expect("a folder of ours");
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("a file of ours");
        let ended = Process::start(scene.command()).ended();
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(ended.stderr.contains("bridge-key-file"), "{ended}");
    }
}

#[test]
fn page_of_another_site_and_head_neither_start_nor_stop_nor_send() {
    let Some(kafka) = service("TEST_KAFKA") else {
        return;
    };
    let scene = Scene::on(&kafka);
    let _bridge = scene.start();
    let key = scene.key();
    for (method, path) in [
        ("GET", "/kafka/stop"),
        ("POST", "/kafka/stop"),
        ("POST", "/produce?topic=never-made"),
        ("POST", "/topic/hook"),
    ] {
        let headers = [key.as_str(), "Origin: https://evil.example"];
        http::ask(scene.address, method, path, &headers, Some(b"{}")).with(403);
    }
    http::ask(scene.address, "HEAD", "/kafka/stop", &[&key], None).with(405);
    assert_eq!(scene.status()["running"], true);
    scene.get("/kafka/stop").with(200);
    assert_eq!(scene.status()["running"], false);
}

#[test]
fn sixty_calls_of_consume_at_once_cost_no_more_than_a_few() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let topic = broker.create("consumed", 1);
    let text = "x".repeat(900_000);
    for part in 0..8 {
        let values = (0..2).map(|n| (0, json!({ "n": part * 2 + n, "text": text }).to_string()));
        topic::send(&broker.address, &topic, values);
    }
    let scene = Scene::on(&broker.address);
    let bridge = scene.start();
    let path = format!("/consume?topic={topic}");
    let whole = scene.get(&path).with(200).json();
    let numbers: Vec<_> = whole
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| v["n"].clone())
        .collect();
    assert_eq!(numbers, (0..16).map(|n| json!(n)).collect::<Vec<_>>());
    let most_threads = thread::scope(|scope| {
        let calls: Vec<_> = (0..60)
            .map(|_| scope.spawn(|| scene.get(&path).status))
            .collect();
        let mut most = 0;
        while !calls.iter().all(|call| call.is_finished()) {
            most = most.max(bridge.threads());
            thread::sleep(std::time::Duration::from_millis(20));
        }
        let statuses: Vec<u16> = calls
            .into_iter()
            .map(|call| call.join().expect("a status"))
            .collect();
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(
            statuses.iter().all(|status| [200, 503].contains(status)),
            "{statuses:?}"
        );
        most
    });
    assert!(most_threads < 60, "{most_threads} threads");
    assert!(bridge.peak_memory() < 256 << 20, "{}", bridge.peak_memory());
    scene.get(&path).with(200);
}
