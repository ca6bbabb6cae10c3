//! A transaction that stays open holds back everything behind it: each command
//! says so, and how much.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use archive_ingest::record::Record;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::http;
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::program::Ended;
use crate::support::{Broker, Place};

const PATIENCE: Duration = Duration::from_secs(60);

/// One record at the end of the topic's partition 0, in a transaction that is open
/// until the producer ends it.
fn open_transaction(broker: &Broker, topic: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", topic)
        .set("transaction.timeout.ms", "600000")
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("begun");
    producer.begin_transaction().expect("begun");
    let record = BaseRecord::<(), str>::to(topic)
        .partition(0)
        .payload("in a transaction");
    producer.send(record).expect("room in the queue");
    producer.flush(PATIENCE).expect("acknowledged");
    producer
}

/// Three records, an open transaction with one, five more records.
fn scene(name: &str) -> Option<(Broker, Place, String, BaseProducer, Vec<Record>)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    let topic = broker.create(name, 1);
    let before = plain_records(&topic, 1, 3);
    broker.send(&before);
    let producer = open_transaction(&broker, &topic);
    broker.send(&plain_records_from(&topic, 1, 3..8));
    Some((broker, place, topic, producer, before))
}

fn documents(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn records_behind_an_open_transaction_are_named_and_never_held_for_archived() {
    let Some((_broker, place, topic, producer, before)) = scene("hanging") else {
        return;
    };
    let unstable = json!({
        "partition": 0, "last_stable_offset": 3, "high_watermark": 9, "records": 6,
    });

    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let unread = documents(&ended)[0]["unread"].clone();
    assert_eq!(unread.as_array().map(Vec::len), Some(1), "{ended}");
    assert_eq!(unread[0]["topic"], topic.as_str());
    assert_eq!(unread[0]["partition"], 0);
    assert_eq!(unread[0]["offset"], 3);
    assert_eq!(unread[0]["unstable_records"], 6);
    assert_exactly(&before, &place.archived());

    let topics = documents(&place.run(&["topics", "--json"]).clean());
    let line = topics.iter().find(|line| line["topic"] == topic.as_str());
    let line = line.expect("a line of the topic");
    assert_eq!(line["unstable_records"], 6);
    assert_eq!(line["unstable"], json!([unstable]));
    let text = place.run(&["topics"]).clean().stdout;
    assert!(text.contains(&format!("{topic} partition 0: 6 offsets from 3 on")));

    let status = documents(&place.run(&["status", "--json"]).clean()).remove(0);
    assert_eq!(status["unstable_records"], 6);
    assert_eq!(status["unstable"][0]["topic"], topic.as_str());
    assert_eq!(status["topics"][0]["unstable_records"], 6);
    let text = place.run(&["status"]).clean().stdout;
    assert!(text.contains(&format!("{topic} partition 0: 6 offsets from 3 on")));

    let options = ["verify", "--json", "--deep", "--against-kafka"];
    let ended = place.run(&options);
    assert_eq!(ended.code, Some(1), "{ended}");
    let found = documents(&ended);
    let defects: Vec<&Value> = found.iter().filter_map(|line| line.get("defect")).collect();
    assert_eq!(defects.len(), 1, "{ended}");
    assert_eq!(defects[0]["kind"], "unstable_records");
    assert_eq!(defects[0]["topic"], topic.as_str());
    assert_eq!(defects[0]["records"], 6);
    let summary = &found[found.len() - 1]["summary"];
    assert_eq!(summary["held"], false, "{ended}");

    // Once it ends, the rest is archived, and everything holds.
    producer.commit_transaction(PATIENCE).expect("committed");
    let ended = place.run(&["run", "--until-eos", "--json"]).clean();
    assert_eq!(ended.summary().archived, 6);
    let ended = place.run(&options).clean();
    let held = documents(&ended);
    assert_eq!(held[held.len() - 1]["summary"]["held"], true, "{ended}");
    let topics = documents(&place.run(&["topics", "--json"]).clean());
    let line = topics.iter().find(|line| line["topic"] == topic.as_str());
    assert_eq!(line.expect("a line of the topic")["unstable"], json!([]));
}

/// A transaction that ends while `run --until-eos` reads is archived by it.
#[test]
fn until_eos_waits_for_a_transaction_that_ends() {
    let Some((_broker, place, _topic, producer, _before)) = scene("short") else {
        return;
    };
    let process = place.start(&["run", "--until-eos", "--json"]);
    place.wait_for_rows(3);
    producer.commit_transaction(PATIENCE).expect("committed");
    assert_eq!(process.ended().clean().summary().archived, 9);
}

/// The value of a metric's only sample, with its labels.
fn metric(control: SocketAddr, name: &str) -> Option<(String, String)> {
    let text = http::get(control, "/metrics").with(200).text();
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    })?;
    let (labels, value) = line[name.len()..].rsplit_once(' ')?;
    Some((labels.to_owned(), value.to_owned()))
}

#[test]
fn a_metric_and_a_warning_tell_of_a_transaction_that_stays_open() {
    let Some((_broker, mut place, topic, producer, _before)) = scene("metric") else {
        return;
    };
    place.set("listen", "producer-listen", "\"127.0.0.1:0\"");
    place.set("hop", "hop-open-transaction-warning-seconds", "2");
    place.set("log", "log-format", "\"json\"");
    let process = place.start(&["run"]);
    let line = process.line_with("control on http://");
    let control = line.split("http://").nth(1).expect("an address");
    let control = control.split(['"', ' ', ',']).next().expect("an address");
    let control: SocketAddr = control.trim_end_matches('/').parse().expect("an address");
    let wait_for = |name: &str, value: Option<&str>| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = metric(control, name);
            if found.as_ref().map(|(_, value)| value.as_str()) == value {
                return found;
            }
            assert!(Instant::now() < deadline, "{name} is {found:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait_for("archive_hanging_transactions", Some("1"));
    let (labels, _) = wait_for("archive_partition_unstable_records", Some("6")).expect("labels");
    assert!(
        labels.contains(&topic) && labels.contains("partition=\"0\""),
        "{labels}"
    );
    producer.abort_transaction(PATIENCE).expect("aborted");
    wait_for("archive_hanging_transactions", Some("0"));
    wait_for("archive_partition_unstable_records", None);
    place.wait_for_rows(8);
    process.signal("TERM");
    let ended = process.ended().clean();
    let events: Vec<Value> = ended
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let warned = events.iter().any(|event| {
        let fields = &event["fields"];
        event["level"] == "WARN"
            && fields["topic"] == topic.as_str()
            && fields["partition"] == 0
            && fields["last_stable_offset"] == 3
            && fields["unstable_records"] == 6
    });
    assert!(warned, "{ended}");
}
