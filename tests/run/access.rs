//! A topic that the user may not read, and a group's offset that is not known,
//! do not stop the others.

use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::broker::{Access, plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::skip::service;
use crate::support::{Broker, Place};

const PATIENCE: Duration = Duration::from_secs(60);

/// An access control list of a topic or a group, which ends with this.
struct Acl {
    resource: [String; 2],
    broker: String,
    libraries: String,
}

impl Acl {
    /// `None`, said loudly, where Kafka's jars are not named. `kind` is `--topic`
    /// or `--group`.
    fn new(broker: &Broker, kind: &str, name: &str) -> Option<Self> {
        Some(Self {
            resource: [kind.to_owned(), name.to_owned()],
            broker: broker.address.clone(),
            libraries: service("TEST_KAFKA_LIBS")?,
        })
    }

    fn allow(&self, user: &str, operation: &str) {
        let principal = format!("User:{user}");
        self.change(&[
            "--add",
            "--allow-principal",
            &principal,
            "--operation",
            operation,
        ]);
    }

    fn change(&self, arguments: &[&str]) {
        let changed = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp"])
            .arg(format!("{}/*", self.libraries))
            .args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server"])
            .arg(&self.broker)
            .args(arguments)
            .args(&self.resource)
            .output()
            .expect("Java is where Kafka's jars are");
        assert!(changed.status.success(), "{changed:?}");
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.change(&["--remove", "--force"]);
        }
    }
}

/// The line of a topic in `topics --json`.
fn line_of(place: &Place, topic: &str) -> Value {
    let told = place.run(&["topics", "--json"]).clean();
    let mut lines = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines
        .find(|line| line["topic"] == topic)
        .unwrap_or_else(|| panic!("{topic} is not listed: {told}"))
}

#[test]
fn topic_without_read_access_does_not_hold_back_the_others() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real_with(&broker, Access::SaslPlaintext("SCRAM-SHA-256")) else {
        return;
    };
    let user = service("TEST_KAFKA_USER").expect("asked for before");
    let (one, two) = (broker.create("one", 1), broker.create("two", 1));
    let records = plain_records(&one, 1, 4);
    let denied = plain_records(&two, 1, 4);
    broker.send(&records);
    broker.send(&denied);
    let Some(acl) = Acl::new(&broker, "--topic", &two) else {
        return;
    };
    // Implies DESCRIBE: the topic is listed.
    acl.allow(&user, "Write");

    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let summary: Value = serde_json::from_str(&ended.stdout).expect("a document");
    let unread = summary["unread"].as_array().expect("a list");
    assert_eq!(unread.len(), 1, "{ended}");
    assert_eq!(unread[0]["topic"], two.as_str(), "{ended}");
    assert_eq!(unread[0]["cause"], "no read access", "{ended}");
    assert_exactly(&records, &place.archived());
    let group = broker.name("group");
    assert_eq!(broker.group(&group, &one, 1).offsets(), [Some(4)]);

    let line = line_of(&place, &two);
    assert_eq!(line["reason"], "no read access");
    assert_eq!(line["is_archived"], false);
    assert_eq!(line_of(&place, &one)["is_archived"], true);
    let status = place.run(&["status", "--json"]).clean();
    let status: Value = serde_json::from_str(&status.stdout).expect("a document");
    assert_eq!(status["unreadable_topics"][0], two.as_str());
    assert_eq!(place.run(&["status", "--check"]).code, Some(1));

    // While it lasts it is reported once; READ granted later is noticed.
    place.set("hop", "hop-topic-refresh-interval-seconds", "1");
    let process = place.start(&["run", "--json"]);
    let more = plain_records_from(&one, 1, 4..9);
    broker.send(&more);
    place.wait_for_rows(9);
    acl.allow(&user, "Read");
    place.wait_for_rows(13);
    process.signal("TERM");
    let ended = process.ended().clean();
    let reported = ended
        .stderr
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains(two.as_str()));
    assert_eq!(reported.count(), 1, "{ended}");
    assert_exactly(&[records, denied, more].concat(), &place.archived());
}

#[test]
fn read_access_withdrawn_while_running_stops_that_topic_alone() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real_with(&broker, Access::SaslPlaintext("SCRAM-SHA-256")) else {
        return;
    };
    place.set("hop", "hop-topic-refresh-interval-seconds", "1");
    let user = service("TEST_KAFKA_USER").expect("asked for before");
    let (one, two) = (broker.create("one", 1), broker.create("two", 1));
    let mut records = plain_records(&one, 1, 4);
    records.extend(plain_records(&two, 1, 4));
    broker.send(&records);
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(8);
    let Some(acl) = Acl::new(&broker, "--topic", &two) else {
        return;
    };
    acl.allow(&user, "Write");
    let hidden = plain_records_from(&two, 1, 4..6);
    broker.send(&hidden);
    let more = plain_records_from(&one, 1, 4..9);
    broker.send(&more);
    place.wait_for_rows(13);
    acl.allow(&user, "Read");
    place.wait_for_rows(15);
    process.signal("TERM");
    let summary = process.ended().clean().summary();
    assert_eq!(summary.duplicates, 0);
    assert_exactly(&[records, hidden, more].concat(), &place.archived());
}

#[test]
fn group_that_the_user_may_not_use_is_named() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real_with(&broker, Access::SaslPlaintext("SCRAM-SHA-256")) else {
        return;
    };
    let topic = broker.create("one", 1);
    broker.send(&plain_records(&topic, 1, 4));
    let group = broker.name("group");
    let Some(acl) = Acl::new(&broker, "--group", &group) else {
        return;
    };
    acl.allow("another", "All");
    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains(&group), "{ended}");
    assert!(ended.stderr.contains("hop-groupname"), "{ended}");
}

#[test]
fn group_offset_in_an_open_transaction_holds_back_nothing() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create("offsets", 2);
    let records = plain_records(&topic, 2, 20);
    broker.send(&records);
    let group = broker.name("group");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", &topic)
        .set("transaction.timeout.ms", "900000")
        .create()
        .expect("a producer");
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("group.id", &group)
        .create()
        .expect("a consumer");
    producer.init_transactions(PATIENCE).expect("begun");
    producer.begin_transaction().expect("begun");
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(&topic, 1, Offset::Offset(3))
        .expect("an offset");
    let metadata = member.group_metadata().expect("a group");
    producer
        .send_offsets_to_transaction(&offsets, &metadata, PATIENCE)
        .expect("sent");

    // The archive knows what is due: nothing waits for the transaction.
    assert_eq!(place.run_to_end().archived, 20);
    assert_exactly(&records, &place.archived());
    producer.commit_transaction(PATIENCE).expect("committed");
    place.run_to_end();
    let offsets = broker.group(&group, &topic, 2).offsets();
    assert_eq!(offsets, [Some(10); 2]);
    assert_exactly(&records, &place.archived());
}
