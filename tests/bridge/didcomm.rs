//! Messages of other agents that are on Kafka, on their way to the inbound
//! transport of a real agent, which has no plugin.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::json;

use crate::agent::Agent;
use crate::receiver::Receiver;
use crate::scene::{Scene, eventually};
use crate::support::{Broker, program::Process, skip::service};
use crate::topic;

/// Stands where the agent's endpoint is said to be: what comes there is put on
/// Kafka, in the form of the plugin's later generation.
fn endpoint(broker: &Broker, inbound: &str) -> Receiver {
    let (kafka, inbound) = (broker.address.clone(), inbound.to_owned());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Receiver::at(any, std::sync::Arc::default(), move |message| {
        topic::send(&kafka, &inbound, [(0, wrapped(&message.to_string()))]);
        200
    })
}

fn wrapped(message: &str) -> String {
    json!({ "payload": URL_SAFE.encode(message) }).to_string()
}

/// A bridge from this topic to an inbound transport.
fn scene(broker: &Broker, inbound: &str, transport: SocketAddr) -> Scene {
    let mut scene = Scene::on(&broker.address);
    scene.set("bridge-messages", "\"enveloped\"");
    scene.set("bridge-didcomm-url", &format!("\"http://{transport}\""));
    scene.set("bridge-inbound-topics", &format!("'{inbound}$'"));
    let dead = broker.foreign_name("dead-letters");
    scene.set("bridge-dead-letter-topic", &format!("{dead:?}"));
    scene
}

#[test]
fn an_agent_is_reached_by_messages_on_kafka_alone_and_talks_to_another_one() {
    let (Some(acapy), Some(broker)) = (service("TEST_ACAPY"), Broker::connect()) else {
        return;
    };
    let inbound = broker.create("acapy-inbound-message", 1);
    let endpoint = endpoint(&broker, &inbound);
    let a = Agent::alone(&acapy, Some(endpoint.address));
    let b = Agent::alone(&acapy, None);
    let scene = scene(&broker, &inbound, a.didcomm);
    let _bridge = scene.start_with_agent();
    b.receive_invitation(&a.create_invitation());
    let (_, of_b) = (a.connection(), b.connection());
    for text in ["one", "two", "three"] {
        b.post(
            &format!("/connections/{of_b}/send-message"),
            &json!({ "content": text }),
        )
        .with(200);
    }
    // Sorted: the sender posts each message in a task of its own, so they reach
    // Kafka in any order. The order on Kafka is what the bridge keeps; see
    // what_an_agent_answers_to_a_message_that_came_by_kafka_is_kept.
    let received = || -> Vec<String> {
        let received = a.bus_log_of("acapy::basicmessage::received");
        let contents = received
            .iter()
            .map(|event| event.payload["content"].as_str().unwrap().to_owned());
        let mut contents: Vec<String> = contents.collect();
        contents.sort();
        contents
    };
    eventually("the messages", || (received().len() >= 3).then_some(()));
    assert_eq!(received(), ["one", "three", "two"]);
    let status = scene.status();
    let on_kafka = topic::read(&broker.address, &inbound).len();
    assert_eq!(status["records_given"], json!(on_kafka));
    assert_eq!(status["dead_letters"], json!(0));
}

#[test]
fn a_message_that_the_agent_refuses_is_set_aside_and_the_next_one_is_not_held_up() {
    let (Some(acapy), Some(broker)) = (service("TEST_ACAPY"), Broker::connect()) else {
        return;
    };
    let inbound = broker.create("acapy-inbound-message", 1);
    let agent = Agent::alone(&acapy, None);
    let mut scene = scene(&broker, &inbound, agent.didcomm);
    let dead = broker.foreign_name("refused");
    scene.set("bridge-dead-letter-topic", &format!("{dead:?}"));
    let _bridge = scene.start_with_agent();
    let ping = json!({ "@type": "https://didcomm.org/trust_ping/1.0/ping", "@id": "1" });
    let values = [
        wrapped("[]"),
        json!({ "payload": "not base64url!" }).to_string(),
        wrapped(&ping.to_string()),
    ];
    topic::send(&broker.address, &inbound, values.map(|value| (0, value)));
    eventually("the last one is taken", || {
        (scene.status()["records_given"] == json!(1)).then_some(())
    });
    let reasons: Vec<String> = topic::read(&broker.address, &dead)
        .iter()
        .map(|letter| letter.headers["dead-letter-reason"].clone())
        .collect();
    assert!(reasons[0].contains("it answers 400"), "{reasons:?}");
    assert!(reasons[1].contains("not base64url"), "{reasons:?}");
    assert_eq!(reasons.len(), 2);
}

#[test]
fn what_an_agent_answers_to_a_message_that_came_by_kafka_is_kept() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    // It answers each message with `said`.
    let transport = Receiver::start();
    let inbound = broker.create("acapy-inbound-message", 1);
    let mut scene = scene(&broker, &inbound, transport.address);
    let kept = broker.foreign_name("answers");
    scene.set("bridge-dead-letter-topic", &format!("{kept:?}"));
    let _bridge = scene.start_with_agent();
    let values = (0..3).map(|n| (0, wrapped(&json!({ "n": n }).to_string())));
    topic::send(&broker.address, &inbound, values);
    let answers = || Some(topic::read(&broker.address, &kept)).filter(|all| all.len() >= 3);
    let answers = eventually("the answers", answers);
    let sent: Vec<_> = (0..3).map(|n| json!({ "n": n })).collect();
    assert_eq!(transport.bodies(), sent);
    for (answer, offset) in answers.iter().zip(["0", "1", "2"]) {
        assert_eq!(answer.value.as_deref(), Some(&b"said\n"[..]));
        assert_eq!(answer.headers["dead-letter-topic"], inbound);
        assert_eq!(answer.headers["dead-letter-offset"], offset);
        let reason = &answer.headers["dead-letter-reason"];
        assert!(reason.contains("the agent's answer to that record"));
    }
    assert_eq!(answers.len(), 3);
}

#[test]
fn plain_records_have_no_way_to_an_inbound_transport() {
    let mut scene = Scene::on("127.0.0.1:1");
    scene.set("bridge-didcomm-url", "\"http://127.0.0.1:1\"");
    let ended = Process::start(scene.command()).ended();
    assert_eq!(ended.code, Some(2), "{ended}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{ended}");
    assert!(lines[0].contains("it needs bridge-messages = \"enveloped\""));
}
