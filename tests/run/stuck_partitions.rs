//! One partition or topic that cannot be read does not stop the others.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use archive_ingest::catalogue::GapReason;
use archive_ingest::record::Record;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::http;
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::{Broker, OwnKafka, Place};

const PATIENCE: Duration = Duration::from_secs(60);

/// Changes the last byte of the batch that holds `offset`, while the broker is
/// down. The answer is which offsets that batch has.
fn corrupt_batch(kafka: &mut OwnKafka, topic: &str, offset: i64) -> Range<i64> {
    kafka.stop(0);
    let file = kafka.log_file(0, topic, 0);
    let mut log = std::fs::read(&file).expect("a log");
    let mut at = 0;
    let damaged = loop {
        let number = |from: usize, count: usize| {
            log[at + from..at + from + count]
                .iter()
                .fold(0i64, |number, byte| number << 8 | i64::from(*byte))
        };
        let (base, length, last_delta) = (number(0, 8), number(8, 4) as usize, number(23, 4));
        let end = at + 12 + length;
        let offsets = base..base + last_delta + 1;
        if offsets.contains(&offset) {
            log[end - 1] ^= 0xff;
            break offsets;
        }
        at = end;
    };
    std::fs::write(&file, log).expect("a file of ours");
    kafka.begin(0);
    kafka.wait_for_nodes(1);
    damaged
}

#[test]
fn corrupt_batch_stops_its_partition_alone_until_it_is_skipped() {
    let Some(mut kafka) = OwnKafka::start(1) else {
        return;
    };
    let broker = Broker::at(&kafka.address);
    let Some(mut place) = Place::local(&broker) else {
        return;
    };
    let (bad, sound) = (broker.create("bad", 1), broker.create("sound", 1));
    let records = plain_records(&bad, 1, 30);
    for some in records.chunks(5) {
        broker.send(some);
    }
    let others = plain_records(&sound, 1, 10);
    broker.send(&others);
    let damaged = corrupt_batch(&mut kafka, &bad, 12);

    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let summary: Value = serde_json::from_str(&ended.stdout).expect("a document");
    let unread = &summary["unread"][0];
    assert_eq!(unread["topic"], bad.as_str(), "{ended}");
    assert_eq!(unread["offset"], damaged.start, "{ended}");
    let before = records[..damaged.start as usize].to_vec();
    let expected: Vec<Record> = [before.clone(), others.clone()].concat();
    assert_exactly(&expected, &place.archived());
    let group = broker.name("group");
    let committed = |topic: &str| broker.group(&group, topic, 1).offsets()[0];
    assert_eq!(committed(&sound), Some(10));
    assert_eq!(committed(&bad), Some(damaged.start));

    // Another process knows it.
    let status = place.run(&["status", "--json"]).clean();
    let status: Value = serde_json::from_str(&status.stdout).expect("a document");
    let stuck = &status["stuck"][0];
    assert_eq!(stuck["topic"], bad.as_str(), "{status}");
    assert_eq!(stuck["offset"], damaged.start, "{status}");
    let attention = status["needs_attention"].to_string();
    assert!(attention.contains("1 partitions are stuck"), "{status}");
    assert_eq!(place.run(&["status", "--check"]).code, Some(1));

    // What is archived is not read again while the partition is stuck.
    place.set("listen", "producer-listen", "\"127.0.0.1:0\"");
    let process = place.start(&["run", "--json"]);
    let line = process.line_with("control on http://");
    let (_, control) = line.split_once("http://").expect("a URL");
    let control: SocketAddr = control.trim().parse().expect("an address");
    let deadline = Instant::now() + PATIENCE;
    let ready = loop {
        let ready = http::get(control, "/readyz");
        if ready.status == 503 && ready.text().contains("stuck") {
            break ready.text();
        }
        assert!(Instant::now() < deadline, "never told by /readyz");
        std::thread::sleep(Duration::from_millis(50));
    };
    let expected_reason = format!("{bad} partition 0 is stuck at offset {}", damaged.start);
    assert!(ready.contains(&expected_reason), "{ready}");
    let metrics = http::get(control, "/metrics").with(200).text();
    for line in [
        "archive_stuck_partitions 1\n".to_owned(),
        format!(
            "archive_stuck_partition_offset{{topic=\"{bad}\",partition=\"0\"}} {}\n",
            damaged.start
        ),
    ] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let more = plain_records_from(&sound, 1, 10..14);
    broker.send(&more);
    place.wait_for_rows((expected.len() + more.len()) as u64);
    let range = format!("{}..{}", damaged.start, damaged.end);
    assert_eq!(place.run(&["skip", &bad, "0", "7..7"]).code, Some(2));
    let too_far = format!("{}..99", damaged.start);
    assert_eq!(place.run(&["skip", &bad, "0", &too_far]).code, Some(2));
    place.run(&["skip", &bad, "0", &range]).clean();
    let left = records.len() - (damaged.end - damaged.start) as usize;
    place.wait_for_rows((left + others.len() + more.len()) as u64);
    http::get(control, "/readyz").with(200);
    let metrics = http::get(control, "/metrics").with(200).text();
    assert!(
        metrics.contains("archive_stuck_partitions 0\n"),
        "{metrics}"
    );
    process.signal("TERM");
    let summary = process.ended().clean().summary();
    assert_eq!((summary.duplicates, summary.lost.len()), (0, 0));
    assert_eq!(place.catalogue().stuck().expect("an answer"), []);

    let after = records[damaged.end as usize..].to_vec();
    let expected: Vec<Record> = [before, after, others, more].concat();
    assert_exactly(&expected, &place.archived());
    let gaps = place.catalogue().gaps().expect("an answer");
    let gaps: Vec<_> = gaps
        .iter()
        .map(|gap| (gap.from, gap.to, gap.reason))
        .collect();
    assert_eq!(gaps, [(damaged.start, damaged.end, GapReason::Skipped)]);
    assert_eq!(committed(&bad), Some(30));
    assert_eq!(place.run(&["verify"]).code, Some(1));
    // A run that meets the batch again skips it, and is not stuck there.
    broker.group(&group, &bad, 1).commit(&[Some(0)]);
    place.run_to_end();
    assert_eq!(committed(&bad), Some(30));
}

#[test]
fn partition_without_leader_does_not_hold_back_the_others() {
    let Some(mut kafka) = OwnKafka::start(2) else {
        return;
    };
    let broker = Broker::at(&kafka.address);
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create_with("spread", 4, &[]);
    let single = broker.create_with_replicas("single", 4, 1);
    let records = plain_records(&topic, 4, 40);
    broker.send(&records);
    let alone = plain_records(&single, 4, 40);
    broker.send(&alone);
    let led_by_second = kafka.partitions_led_by(&single, 1);
    assert!(!led_by_second.is_empty() && led_by_second.len() < 4);
    kafka.kill(1);
    kafka.wait_for_nodes(1);

    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let summary: Value = serde_json::from_str(&ended.stdout).expect("a document");
    let unread = summary["unread"].as_array().expect("a list");
    let unread: Vec<(&str, i64)> = unread
        .iter()
        .map(|one| {
            let partition = one["partition"].as_i64().expect("a number");
            (one["topic"].as_str().expect("a name"), partition)
        })
        .collect();
    let expected: Vec<(&str, i64)> = led_by_second
        .iter()
        .map(|partition| (single.as_str(), i64::from(*partition)))
        .collect();
    assert_eq!(unread, expected, "{ended}");
    let group = broker.name("group");
    assert_eq!(broker.group(&group, &topic, 4).offsets(), [Some(10); 4]);
    for (partition, committed) in (0..).zip(broker.group(&group, &single, 4).offsets()) {
        let expected = (!led_by_second.contains(&partition)).then_some(10);
        assert_eq!(committed, expected, "partition {partition}");
    }

    kafka.begin(1);
    kafka.wait_for_nodes(2);
    let deadline = Instant::now() + PATIENCE;
    while kafka.partitions_led_by(&single, 1).is_empty() {
        assert!(Instant::now() < deadline, "never led again");
    }
    assert_eq!(place.run_to_end().duplicates, 0);
    assert_exactly(&[records, alone].concat(), &place.archived());
}

/// Records of zeros, so small that a broker with its default settings accepts their
/// batch.
fn zeros_are_archived(name: &str, bytes: usize, count: usize) {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create(name, 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("compression.type", "zstd")
        .set("message.max.bytes", "400000000")
        .set("batch.size", "400000000")
        .set("linger.ms", "60000")
        .set("queue.buffering.max.kbytes", "2000000")
        .create()
        .expect("a producer");
    let value = vec![0u8; bytes];
    for key in 0..count {
        let key = key.to_string();
        let record = BaseRecord::to(&topic)
            .partition(0)
            .key(&key)
            .payload(&value);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("acknowledged");
    drop(producer);
    assert_eq!(place.run_to_end().archived, count as u64);
    let archived = place.archived();
    let mut values = archived.iter().map(|message| &message.record.value);
    assert!(values.all(|archived| archived.as_deref() == Some(&value[..])));
}

#[test]
fn batch_that_decompresses_to_300_megabytes_is_archived() {
    zeros_are_archived("bomb", 100_000_000, 3);
}

#[test]
fn record_of_102_megabytes_is_archived() {
    zeros_are_archived("large", 102_000_000, 1);
}
