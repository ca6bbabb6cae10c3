//! Two real agents, each with the plugin and a bridge of its own, and Kafka
//! in between.

use std::collections::BTreeMap;

use archive_ingest::record::Record;
use serde_json::{Value, json};

use crate::agent::{Agent, OnBus};
use crate::scene::{Scene, eventually, free_address};
use crate::support::compare::assert_exactly;
use crate::support::{Broker, OwnKafka, Place, program::Process, skip::service};
use crate::topic;

const OUTBOUND: &str = "acapy::outbound::message";

/// An agent with its bridge.
struct Side {
    agent: Agent,
    scene: Scene,
    _bridge: Process,
}

impl Side {
    fn start(acapy: &str, kafka: &str, group: &str, key: Option<&str>) -> Self {
        let admin = free_address();
        let mut scene = Scene::on(kafka);
        scene.set("bridge-agent-url", &format!("\"http://{admin}\""));
        scene.set("bridge-groupname", "\"\"");
        // The file as an operator of the plugin has it.
        let file = scene.use_plugin_config(&format!(
            "other_plugin:\n  a: 1\nkafka_events:\n  bootstrap_servers: \"{kafka}\"\n  \
             client_id: \"aca-py\"\n  consumer-config:\n    group_id: \"{group}\"\n    \
             metadata_max_age_ms: 500\n    auto_offset_reset: \"earliest\"\n  producer-config:\n"
        ));
        if let Some(key) = key {
            scene.variable("BRIDGE_AGENT_KEY", key);
        }
        let bridge = scene.start_with_agent();
        let agent = Agent::with_plugin(acapy, admin, scene.address, &file, key);
        Self {
            agent,
            scene,
            _bridge: bridge,
        }
    }

    /// What of its bus goes to Kafka.
    fn outgoing(&self) -> Vec<OnBus> {
        let mut log = self.agent.bus_log();
        let prefixes = [
            "acapy::outbound::",
            "acapy::webhook::",
            "acapy::record::",
            "acapy::basicmessage::",
        ];
        log.retain(|event| {
            prefixes
                .iter()
                .any(|prefix| event.topic.starts_with(prefix))
                && !is_status(event)
        });
        log
    }
}

fn is_status(event: &OnBus) -> bool {
    ["::sent_to_external_queue", "::undeliverable"]
        .iter()
        .any(|status| event.topic.ends_with(status))
}

/// By bus topic, in order.
fn by_topic(events: &[OnBus]) -> BTreeMap<String, Vec<Value>> {
    let mut topics: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in events {
        let events = topics.entry(event.topic.clone()).or_default();
        events.push(event.payload.clone());
    }
    topics
}

/// What is on Kafka of each agent, told apart by the ids that it gave.
fn on_kafka(kafka: &str, topic: &str) -> Vec<Vec<Value>> {
    let mut runs: BTreeMap<String, Vec<(u64, Value)>> = BTreeMap::new();
    for record in topic::read(kafka, &topic.replace("::", "-")) {
        let id = &record.headers["event-id"];
        let (run, number) = id.rsplit_once('-').expect("a number");
        let number = number.parse().expect("a number");
        runs.entry(run.to_owned())
            .or_default()
            .push((number, record.json()));
    }
    let in_order = |run: Vec<(u64, Value)>| {
        assert!(
            run.windows(2).all(|two| two[0].0 < two[1].0),
            "{topic}: out of order or twice"
        );
        run.into_iter().map(|(_, value)| value).collect()
    };
    runs.into_values().map(in_order).collect()
}

#[test]
fn two_agents_talk_and_everything_on_their_buses_is_on_kafka_once_in_order_and_archived() {
    let (Some(acapy), Some(kafka)) = (service("TEST_ACAPY"), OwnKafka::start(1)) else {
        return;
    };
    let kafka = &kafka.address;
    let broker = Broker::at(kafka);
    let a = Side::start(&acapy, kafka, "a", None);
    let b = Side::start(&acapy, kafka, "b", Some("an admin's key"));
    b.agent.receive_invitation(&a.agent.create_invitation());
    let (of_a, _) = (a.agent.connection(), b.agent.connection());
    let hello = json!({"content": "hello"});
    a.agent
        .post(&format!("/connections/{of_a}/send-message"), &hello)
        .with(200);
    eventually("the message arrives", || {
        let received = b.agent.bus_log_of("acapy::basicmessage::received");
        received
            .iter()
            .any(|event| event.payload["content"] == "hello")
            .then_some(())
    });
    for n in 0..50 {
        a.agent.emit(OUTBOUND, &json!({ "n": n }));
    }
    let statuses = a
        .agent
        .bus_log_of("acapy::outbound::message::sent_to_external_queue");
    assert_eq!(statuses.len(), 50, "a status follows each outbound event");
    everything_is_on_kafka(kafka, &a, &b);
    records_reach_both(&broker, kafka, &a, &b);
    stopped_and_started(kafka, &a, &b);
    // Nothing more is said.
    drop((a, b));
    everything_is_archived(&broker);
}

fn everything_is_on_kafka(kafka: &str, a: &Side, b: &Side) {
    eventually("nothing more happens, and all is on Kafka", || {
        let told = [by_topic(&a.outgoing()), by_topic(&b.outgoing())];
        let topics: std::collections::BTreeSet<&String> =
            told.iter().flat_map(|t| t.keys()).collect();
        let is_there = topics.iter().all(|topic| {
            let mut sent: Vec<Vec<Value>> =
                told.iter().filter_map(|t| t.get(*topic).cloned()).collect();
            let mut found = on_kafka(kafka, topic);
            sent.sort_by_key(|values| format!("{values:?}"));
            found.sort_by_key(|values| format!("{values:?}"));
            found == sent
        });
        (is_there && topics.len() > 5).then_some(())
    });
}

/// The archive is what is on Kafka of both directions, record by record.
fn everything_is_archived(broker: &Broker) {
    let topics = topic::names(&broker.address, "acapy-");
    assert!(topics.len() > 7, "{topics:?}");
    let records: Vec<Record> = topics
        .iter()
        .flat_map(|topic| broker.committed(topic))
        .collect();
    let mut place = Place::local(broker).expect("it is there");
    place.set("hop", "hop-topics", "[\"acapy-*\"]");
    let run = ["run", "--only", "archiver", "--until-eos", "--json"];
    let summary = place.run(&run).clean().summary();
    assert_eq!(summary.archived, records.len() as u64);
    assert_exactly(&records, &place.archived());
}

fn records_reach_both(broker: &Broker, kafka: &str, a: &Side, b: &Side) {
    let answer = a
        .scene
        .post("/produce?topic=acapy-inbound-test", "{\"n\": 0}");
    assert_eq!(answer.with(202).json(), json!({"result": true}));
    topic::send(
        kafka,
        "acapy-inbound-test",
        (1..20).map(|n| (0, json!({ "n": n }).to_string())),
    );
    for side in [a, b] {
        eventually("records on the bus", || {
            (side.agent.bus_log_of("acapy::inbound::test").len() >= 20).then_some(())
        });
        let numbers: Vec<Value> = side
            .agent
            .bus_log_of("acapy::inbound::test")
            .iter()
            .map(|event| event.payload["n"].clone())
            .collect();
        assert_eq!(numbers, (0..20).map(|n| json!(n)).collect::<Vec<_>>());
    }
    let later = broker.create("acapy-inbound-later", 1);
    topic::send(kafka, &later, [(0, "[1]".to_owned())]);
    eventually("a new topic's record", || {
        let log = a.agent.bus_log_of("acapy::inbound::later");
        log.iter()
            .any(|event| event.payload == json!([1]))
            .then_some(())
    });
}

fn stopped_and_started(kafka: &str, a: &Side, b: &Side) {
    for _ in 0..2 {
        let answer = a.agent.get("/kafka/stop").with(200);
        assert_eq!(answer.json(), json!({"result": "Kafka plugin stopped"}));
    }
    let before = topic::read(kafka, "acapy-outbound-message").len();
    a.agent.emit(OUTBOUND, &json!({"n": "stopped"}));
    let undeliverable = a
        .agent
        .bus_log_of("acapy::outbound::message::undeliverable");
    assert_eq!(undeliverable.len(), 1);
    assert_eq!(topic::read(kafka, "acapy-outbound-message").len(), before);
    topic::send(
        kafka,
        "acapy-inbound-test",
        [(0, "{\"n\": \"late\"}".to_owned())],
    );
    let has_late = |side: &Side| {
        let log = side.agent.bus_log_of("acapy::inbound::test");
        log.iter().any(|event| event.payload["n"] == "late")
    };
    eventually("the other agent has it", || has_late(b).then_some(()));
    assert!(!has_late(a), "a stopped bridge lets nothing through");
    for _ in 0..2 {
        let answer = a.agent.get("/kafka/start").with(200);
        assert_eq!(answer.json(), json!({"result": "Kafka plugin started"}));
    }
    eventually("what waited", || has_late(a).then_some(()));
    a.agent.emit(OUTBOUND, &json!({"n": "started"}));
    let values = a
        .scene
        .get("/consume?topic=acapy-outbound-message&limit=1")
        .with(200)
        .json();
    assert_eq!(values, json!([{"n": "started"}]));
    let taken_by_key = b.agent.get("/kafka/start").with(200);
    assert_eq!(taken_by_key.json()["result"], "Kafka plugin started");
}
