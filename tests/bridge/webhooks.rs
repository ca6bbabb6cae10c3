//! An agent without the plugin, which tells its events by webhook; and what
//! else may come to the same address.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::agent::Agent;
use crate::http;
use crate::receiver::Receiver;
use crate::scene::{Scene, eventually};
use crate::support::{Broker, OwnKafka, skip::service, unique};
use crate::topic;

#[test]
fn a_webhook_is_answered_when_it_is_on_kafka_under_the_events_name() {
    let Some(kafka) = service("TEST_KAFKA") else {
        return;
    };
    let mut scene = Scene::on(&kafka);
    scene.variable("BRIDGE_API_KEY", "the key");
    let _bridge = scene.start();
    let name = format!("hook{}", unique());
    for n in 0..20 {
        let body = json!({ "n": n, "text": "ü\u{2028}" }).to_string();
        for prefix in ["", "/any/path"] {
            http::ask(
                scene.address,
                "POST",
                &format!("{prefix}/topic/{name}/"),
                &["x-api-key: the key"],
                Some(body.as_bytes()),
            )
            .with(200);
        }
    }
    let records = topic::read(&kafka, &format!("acapy-webhook-{name}"));
    let numbers: Vec<_> = records
        .iter()
        .map(|record| record.json()["n"].clone())
        .collect();
    let sent: Vec<_> = (0..20).flat_map(|n| [json!(n), json!(n)]).collect();
    assert_eq!(numbers, sent);
    assert!(records.iter().all(|record| record.key.is_none()));
}

#[test]
fn a_thousand_malformed_webhooks_get_the_right_status_and_harm_nothing() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let kafka = broker.address.clone();
    let name = format!("good{}", unique());
    let receiver = Receiver::start();
    let mut scene = Scene::on(&kafka);
    scene.variable("BRIDGE_API_KEY", "the key");
    scene.set("bridge-webhook-topics", &format!("[\"{name}\"]"));
    scene.set(
        "bridge-agent-url",
        &format!("\"http://{}\"", receiver.address),
    );
    scene.set(
        "bridge-inbound-topics",
        &format!("'acapy-inbound-.*{}'", broker.suffix),
    );
    let bridge = scene.start_with_agent();
    let inbound = broker.create("acapy-inbound-test", 1);
    let good = format!("/topic/{name}/");
    let key = "x-api-key: the key";
    let long = "a".repeat(300);
    let cases: [(&str, &str, &[u8], u16); 16] = [
        (&good, key, b"{", 400),
        (&good, key, b"", 400),
        (&good, key, b"{\"a\": \"\xff\"}", 400),
        (&good, key, b"{} trailing", 400),
        (&good, "x-api-key: wrong", b"{}", 401),
        (&good, "x-other: none", b"{}", 401),
        ("/topic/unknown/", key, b"{}", 404),
        (&format!("/topic/{long}/"), key, b"{}", 404),
        ("/topic/../topic/x/", key, b"{}", 400),
        ("/topic/%2e%2e/", key, b"{}", 400),
        ("/topic/a%00b/", key, b"{}", 400),
        ("/topic/a%0d%0ab/", key, b"{}", 400),
        ("/topic/%ff/", key, b"{}", 400),
        ("/topic//", key, b"{}", 404),
        ("/elsewhere", key, b"{}", 404),
        ("/topic/a%2Fb/", key, b"{}", 404),
    ];
    let mut refused = 0;
    for n in 0..62 {
        for (path, header, body, status) in cases {
            let answer = http::ask(scene.address, "POST", path, &[header], Some(body));
            assert_eq!(
                answer.status,
                status,
                "{path} {header} {body:?}: {}",
                answer.text()
            );
            refused += 1;
        }
        // The other way goes on meanwhile.
        topic::send(&kafka, &inbound, [(0, json!({ "n": n }).to_string())]);
    }
    // What is no request at all.
    for raw in [
        "POST /topic/a\u{1}b/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        "nonsense\r\n\r\n",
        "POST /topic/a/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n{}",
        "POST /topic/a/ HTTP/1.1\r\nHost: localhost\r\nx-api-key: \u{0}\r\n\r\n",
    ] {
        let mut stream = http::connect(scene.address);
        stream.write_all(raw.as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("a socket");
        assert_eq!(http::read(&mut stream).status, 400, "{raw:?}");
        refused += 1;
    }
    let large = vec![b' '; 50 << 20];
    for _ in 0..4 {
        let answer = http::ask(scene.address, "POST", &good, &[key], Some(&large));
        assert_eq!(answer.status, 413, "{}", answer.text());
        refused += 1;
    }
    assert!(refused >= 1_000, "{refused}");
    let whose = [key, "x-wallet-id: w\u{fc}"];
    http::ask(scene.address, "POST", &good, &whose, Some(b"{}")).with(400);
    http::ask(scene.address, "GET", &good, &[key], None).with(405);
    http::ask(scene.address, "GET", "/livez", &[], None).with(200);
    let answer = http::ask(
        scene.address,
        "POST",
        &good,
        &[key],
        Some(b"{\"good\": true}"),
    );
    answer.with(200);
    let records = topic::read(&kafka, &format!("acapy-webhook-{name}"));
    assert_eq!(records.len(), 1, "what was refused is not on Kafka");
    eventually("what was sent to the agent", || {
        (receiver.bodies().len() >= 62).then_some(())
    });
    let sent: Vec<_> = (0..62).map(|n| json!({ "n": n })).collect();
    assert_eq!(receiver.bodies(), sent);
    assert!(!bridge.log().contains("panicked"), "{}", bridge.log());
    assert!(bridge.peak_memory() < 256 << 20, "{}", bridge.peak_memory());
}

#[test]
fn what_kafka_does_not_acknowledge_is_not_answered_for() {
    let Some(mut kafka) = OwnKafka::start(1) else {
        return;
    };
    let mut scene = Scene::on(&kafka.address);
    scene.set("bridge-delivery-seconds", "3");
    let _bridge = scene.start();
    scene.post("/topic/hook", "{\"n\": 1}").with(200);
    kafka.stop(0);
    scene.post("/topic/hook", "{\"n\": 2}").with(503);
    kafka.begin(0);
    kafka.wait_for_nodes(1);
    eventually("Kafka is back", || {
        (scene.post("/topic/hook", "{\"n\": 3}").status == 200).then_some(())
    });
    let records = topic::read(&kafka.address, "acapy-webhook-hook");
    let numbers: Vec<_> = records
        .iter()
        .map(|record| record.json()["n"].clone())
        .collect();
    assert!(
        numbers.contains(&json!(1)) && numbers.contains(&json!(3)),
        "{numbers:?}"
    );
}

#[test]
fn a_bridge_that_is_away_for_30_s_loses_nothing_that_the_agent_still_retries() {
    let (Some(acapy), Some(kafka)) = (service("TEST_ACAPY"), OwnKafka::start(1)) else {
        return;
    };
    let mut scene = Scene::on(&kafka.address);
    scene.variable("BRIDGE_API_KEY", "hook-key");
    let bridge = scene.start();
    let url = format!("http://{}/hooks#hook-key", scene.address);
    let agent = Agent::with_webhook(&acapy, &url);
    bridge.kill();
    let gone = Instant::now();
    // Each makes events of the topics connections and out_of_band.
    let count = 5;
    for _ in 0..count {
        agent.create_invitation();
    }
    let told = agent.bus_log_of("acapy::record::");
    assert!(told.len() >= count, "the agent has made events: {told:?}");
    // It is the agent's own retry that brings each of them.
    eventually("the agent has tried in vain", || {
        let tries = agent.log().matches("Re-queue failed message").count();
        (tries >= told.len()).then_some(())
    });
    // The agent goes on trying for longer than that.
    std::thread::sleep(Duration::from_secs(30).saturating_sub(gone.elapsed()));
    let _bridge = scene.start();
    for event in &told {
        let topic = event.topic.split("::").nth(2).expect("a category");
        eventually("the agent's retry", || {
            let records = topic::read(&kafka.address, &format!("acapy-webhook-{topic}"));
            let is_there = |record: &topic::Read| record.json() == event.payload;
            records.iter().any(is_there).then_some(())
        });
    }
}
