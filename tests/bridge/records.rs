//! Records of Kafka, on their way to the agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::scene::{Scene, eventually, free_address};
use crate::support::program::Process;
use crate::support::{Broker, unique};
use crate::topic;

/// A bridge to a receiver; the inbound topics end in the broker's suffix.
pub struct Inward {
    pub broker: Broker,
    pub scene: Scene,
}

impl Inward {
    pub fn new(receiver: std::net::SocketAddr) -> Option<Self> {
        let broker = Broker::connect()?;
        let mut scene = Scene::on(&broker.address);
        scene.set("bridge-agent-url", &format!("\"http://{receiver}/\""));
        let suffix = &broker.suffix;
        scene.set(
            "bridge-inbound-topics",
            &format!("'acapy-inbound-.*{suffix}'"),
        );
        scene.set(
            "bridge-dead-letter-topic",
            &format!("\"dead-letters-{}\"", unique()),
        );
        Some(Self { broker, scene })
    }

    fn send(&self, topic: &str, values: impl IntoIterator<Item = (i32, Value)>) {
        let values = values.into_iter().map(|(p, value)| (p, value.to_string()));
        topic::send(&self.broker.address, topic, values);
    }
}

fn number(value: &Value) -> u64 {
    value["n"].as_u64().expect("a number")
}

/// Partition after partition: each in its order.
#[track_caller]
fn assert_in_order(bodies: &[Value], partitions: u64, count: u64) {
    for partition in 0..partitions {
        let numbers: Vec<u64> = bodies
            .iter()
            .map(number)
            .filter(|n| n % partitions == partition)
            .collect();
        let sent: Vec<u64> = (0..count).filter(|n| n % partitions == partition).collect();
        assert_eq!(numbers, sent);
    }
}

#[test]
fn records_reach_the_agent_once_and_in_order_and_new_topics_are_picked_up() {
    let receiver = Receiver::start();
    let Some(mut inward) = Inward::new(receiver.address) else {
        return;
    };
    inward.scene.variable("BRIDGE_AGENT_KEY", "admin");
    let first = inward.broker.create("acapy-inbound-test", 3);
    let bridge = inward.scene.start_with_agent();
    inward.send(&first, (0..300).map(|n| (n % 3, json!({ "n": n }))));
    eventually("all have come", || {
        (receiver.bodies().len() >= 300).then_some(())
    });
    let later = inward.broker.create("acapy-inbound-later", 1);
    inward.send(&later, [(0, json!({ "n": 300 }))]);
    eventually("a new topic's record", || {
        (receiver.bodies().len() > 300).then_some(())
    });
    let taken = receiver.taken.lock().expect("whole").clone();
    assert_in_order(&receiver.bodies()[..300], 3, 300);
    assert_eq!(taken[0].topic, first.replace('-', "::"));
    assert_eq!(taken[300].topic, later.replace('-', "::"));
    assert!(
        taken
            .iter()
            .all(|taken| taken.key.as_deref() == Some("admin"))
    );
    // In good order nothing comes again.
    bridge.signal("TERM");
    bridge.ended().clean();
    let _again = inward.scene.start_with_agent();
    inward.send(&later, [(0, json!({ "n": 301 }))]);
    eventually("the next one", || {
        (receiver.bodies().len() >= 302).then_some(())
    });
    assert_eq!(receiver.bodies().len(), 302);
}

#[test]
fn an_agent_that_is_away_makes_records_wait_and_none_is_dropped() {
    let address = free_address();
    let Some(inward) = Inward::new(address) else {
        return;
    };
    let bridge = inward.scene.start_with_agent();
    let topic = inward.broker.create("acapy-inbound-test", 2);
    inward.send(&topic, (0..100).map(|n| (n % 2, json!({ "n": n }))));
    bridge.wait_for("its records wait");
    // Nor is it by a bridge that dies before the group has taken anything.
    bridge.kill();
    let bridge = inward.scene.start_with_agent();
    bridge.wait_for("its records wait");
    let status = inward.scene.status();
    assert_eq!(status["agent_away"], json!(true));
    let why = status["agent_trouble"].as_str().expect("a reason");
    assert!(why.contains("it does not answer"), "{why}");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let receiver = Receiver::at(address, Arc::default(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        503
    });
    let taken = receiver.taken.clone();
    eventually("it is asked again and again", || {
        (asked.load(Ordering::SeqCst) > 2).then_some(())
    });
    // Another trouble is told as another one.
    bridge.wait_for("it answers 503");
    drop(receiver);
    let receiver = Receiver::at(address, taken, |_| 200);
    eventually("all have come", || {
        (receiver.bodies().len() >= 100).then_some(())
    });
    assert_in_order(&receiver.bodies(), 2, 100);
    let status = inward.scene.status();
    assert_eq!(status["records_given"], json!(100));
    assert_eq!(status["dead_letters"], json!(0));
    assert_eq!(status["agent_trouble"], json!(null));
}

#[test]
fn an_event_that_nobody_wants_is_refused_as_nothing_else_at_the_address_would() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let scene = Scene::on(&broker.address);
    let _bridge = scene.start();
    let answer = scene.post("/event?topic=acapy%3A%3Aping%3A%3Areceived", "{}");
    assert!(answer.with(422).text().contains("no pattern matches it"));
    scene.post("/event", "{}").with(400);
    scene
        .post("/event?topic=acapy%3A%3Arecord%3A%3Aa%20b", "{}")
        .with(400);
}

#[test]
fn stopped_it_lets_nothing_through_and_started_again_nothing_is_missing() {
    let receiver = Receiver::start();
    let Some(inward) = Inward::new(receiver.address) else {
        return;
    };
    let topic = inward.broker.create("acapy-inbound-test", 1);
    let bridge = inward.scene.start_with_agent();
    for _ in 0..2 {
        let answer = inward.scene.get("/kafka/stop").with(200);
        assert_eq!(answer.json(), json!({"result": "Kafka plugin stopped"}));
    }
    let event = "/event?topic=acapy%3A%3Aoutbound%3A%3Amessage";
    let answer = inward.scene.post(event, "{}").with(409);
    assert_eq!(answer.json(), json!({"status": "undeliverable"}));
    inward.scene.post("/topic/hook", "{}").with(503);
    inward.scene.post("/produce?topic=x", "{}").with(503);
    inward.send(&topic, (0..10).map(|n| (0, json!({ "n": n }))));
    assert_eq!(inward.scene.status()["running"], json!(false));
    for _ in 0..2 {
        let answer = inward.scene.get("/kafka/start").with(200);
        assert_eq!(answer.json(), json!({"result": "Kafka plugin started"}));
    }
    eventually("what waited", || {
        (receiver.bodies().len() >= 10).then_some(())
    });
    assert_in_order(&receiver.bodies(), 1, 10);
    drop(bridge);
}

#[test]
fn software_without_a_kafka_client_writes_and_reads_by_http() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let scene = Scene::on(&broker.address);
    let _bridge = scene.start();
    let topic = broker.create("acapy-inbound-test", 1);
    let produce = format!("/produce?topic={topic}");
    for n in 0..3 {
        let answer = scene
            .post(&produce, &json!({ "n": n }).to_string())
            .with(202);
        assert_eq!(answer.json(), json!({"result": true}));
    }
    for (path, body) in [
        (produce.as_str(), "no json"),
        ("/produce?topic=a%20b", "{}"),
        ("/produce?topic=__consumer_offsets", "{}"),
    ] {
        let answer = scene.post(path, body).with(400);
        assert_eq!(answer.json()["result"], json!(false));
    }
    let topics = scene.get("/topics").with(200).json();
    assert!(topics.as_array().expect("a list").contains(&json!(topic)));
    let values = scene
        .get(&format!("/consume?topic={topic}"))
        .with(200)
        .json();
    assert_eq!(values, json!([{"n": 0}, {"n": 1}, {"n": 2}]));
    let last = scene.get(&format!("/consume?topic={topic}&limit=1"));
    assert_eq!(last.with(200).json(), json!([{"n": 2}]));
    scene.get("/consume?topic=nowhere.at.all").with(404);
}

#[test]
fn enveloped_records_say_whose_they_are_and_are_unwrapped_for_the_agent() {
    let receiver = Receiver::start();
    let Some(inward) = Inward::new(receiver.address) else {
        return;
    };
    let suffix = inward.broker.suffix.clone();
    let map = format!(
        "kafka_queue:\n  bootstrap_servers: \"{}\"\n  events:\n    topic_maps:\n      \
         \"^acapy::record::([^:]*)::([^:]*)$\": \"{suffix}-$category-$state-$wallet_id\"\n  \
         inbound:\n    topics: [acapy-inbound-message.{suffix}]\n  outbound:\n    topic: out-{suffix}\n",
        inward.broker.address
    );
    let topic = inward.broker.create("acapy-inbound-message", 1);
    let Inward { broker, mut scene } = inward;
    scene.set("bridge-messages", "\"enveloped\"");
    scene.set("bridge-inbound-topics", "\"\"");
    scene.use_plugin_config(&map);
    let _bridge = scene.start_with_agent();
    let event = "/event?topic=acapy%3A%3Arecord%3A%3Aconnections%3A%3Aactive&wallet_id=w1";
    scene.post(event, "{\"state\": \"active\"}").with(200);
    // Whose it is not, is the base wallet's.
    let of_nobody = event.replace("w1", "");
    scene.post(&of_nobody, "{\"state\": \"active\"}").with(200);
    let of_base = format!("{suffix}-connections-active-base");
    assert_eq!(topic::read(&broker.address, &of_base)[0].key, None);
    let records = topic::read(&broker.address, &format!("{suffix}-connections-active-w1"));
    assert_eq!(records[0].key.as_deref(), Some(&b"w1"[..]));
    let envelope = json!({
        "wallet_id": "w1", "state": "active", "topic": "acapy::record::connections::active",
        "category": "connections", "payload": {"state": "active"},
    });
    assert_eq!(records[0].json(), envelope);
    let message = json!({"service": {"url": "http://peer"}, "payload": {"n": 7}}).to_string();
    let outbound = "/event?topic=acapy%3A%3Aoutbound%3A%3Amessage&wallet_id=w1";
    scene.post(outbound, &message).with(200);
    let sent = topic::read(&broker.address, &format!("out-{suffix}"));
    assert_eq!(sent[0].json()["service"], json!({"url": "http://peer"}));
    let wrapped = json!({"payload": sent[0].json()["payload"]}).to_string();
    topic::send(&broker.address, &topic, [(0, wrapped)]);
    eventually("it is unwrapped", || {
        (!receiver.bodies().is_empty()).then_some(())
    });
    assert_eq!(receiver.bodies(), [json!({"n": 7})]);
}

#[test]
fn run_bridges_and_archives_in_one_process() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let mut scene = Scene::on(&broker.address);
    let name = format!("archived{}", unique());
    let topic = format!("acapy-webhook-{name}");
    scene.variable("HOP_TOPICS", &topic);
    scene.variable("HOP_TOPIC_REFRESH_INTERVAL_SECONDS", "1");
    let run = Process::start(scene.command_of(&["run", "-H", "kafka", "--bridge", "bridge"]));
    run.wait_for("bridge on http://");
    scene
        .post(&format!("/topic/{name}"), "{\"n\": 1}")
        .with(200);
    let archived = || {
        let listed = Process::start(scene.command_of(&["list-archive", "--json"])).ended();
        listed.stdout.contains(&topic).then_some(())
    };
    eventually("it is archived", archived);
    run.signal("TERM");
    run.ended().clean();
}
