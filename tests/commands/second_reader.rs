//! The second reader of `verify --against-kafka`: over each listener, and of
//! every shape of log.

use std::collections::BTreeMap;
use std::time::Duration;

use archive_ingest::config::{Config, Environment, Selection};
use archive_ingest::kafka::{Cluster, Reading, SecondReader, TopicPartition, known_records};
use archive_ingest::record::{Header, Record};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::support::broker::{Access, plain_records, plain_records_from};
use crate::support::{Broker, Place};

const PATIENCE: Duration = Duration::from_secs(30);

/// The records that were compared; the run must have found nothing else.
fn compared(place: &Place) -> i64 {
    let ended = place
        .run(&["verify", "--json", "--against-kafka", "--deep"])
        .clean();
    let mut lines = ended.stdout.lines();
    let summary = lines.find_map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        line["summary"]["kafka_records"].as_i64()
    });
    summary.expect("a summary")
}

/// All committed records of a topic of one partition, as the second reader has
/// them.
fn read_all(cluster: &Cluster, topic: &str) -> Vec<Record> {
    let mut reader = SecondReader::open(cluster).expect("a second reader");
    let mut records = vec![];
    reader
        .read(topic, &BTreeMap::from([(0, 0..i64::MAX)]), |record| {
            records.push(record);
            Reading::GoOn
        })
        .expect("readable");
    records
}

fn transaction(broker: &Broker, topic: &str, codec: &str, commit: bool) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("transactional.id", format!("{topic}-{codec}"))
        .set("compression.type", codec)
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("begun");
    producer.begin_transaction().expect("begun");
    let value = format!("{commit} {codec} {}", "x".repeat(5000));
    for _ in 0..20 {
        let record = BaseRecord::to(topic)
            .partition(0)
            .key(codec)
            .payload(&value);
        producer.send(record).expect("room in the queue");
    }
    producer.flush(PATIENCE).expect("acknowledged");
    match commit {
        true => producer.commit_transaction(PATIENCE).expect("committed"),
        false => producer.abort_transaction(PATIENCE).expect("aborted"),
    }
}

fn is_compared_over(access: Access) {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real_with(&broker, access) else {
        return;
    };
    let topic = broker.create("compared", 2);
    broker.send(&plain_records(&topic, 2, 30));
    place.run_to_end();
    assert_eq!(compared(&place), 30);
}

#[test]
fn second_reader_connects_with_sasl_ssl_and_scram_sha_512() {
    is_compared_over(Access::SaslSsl("SCRAM-SHA-512"));
}

#[test]
fn second_reader_connects_with_sasl_ssl_and_plain() {
    is_compared_over(Access::SaslSsl("PLAIN"));
}

#[test]
fn second_reader_connects_with_sasl_plaintext_and_scram_sha_256() {
    is_compared_over(Access::SaslPlaintext("SCRAM-SHA-256"));
}

#[test]
fn wrong_password_is_exit_3() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real_with(&broker, Access::SaslSsl("SCRAM-SHA-512")) else {
        return;
    };
    let topic = broker.create("refused", 1);
    broker.send(&plain_records(&topic, 1, 3));
    place.run_to_end();
    place.variable("HOP_USERNAME", "archive");
    place.variable("HOP_PASSWORD", "not the password");
    let ended = place.run(&["verify", "--against-kafka"]);
    assert_eq!(ended.code, Some(3), "{ended}");
}

/// What librdkafka can do and the second reader cannot.
#[test]
fn setting_that_the_second_reader_lacks_is_exit_3() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real_with(&broker, Access::SaslSsl("SCRAM-SHA-512")) else {
        return;
    };
    let topic = broker.create("unsupported", 1);
    broker.send(&plain_records(&topic, 1, 3));
    place.run_to_end();
    let key = place.write("key.pem", "not a key");
    let properties =
        format!("{{ \"ssl.certificate.location\" = {key:?}, \"ssl.key.location\" = {key:?} }}");
    place.set("hop", "hop-properties", &properties);
    let ended = place.run(&["verify", "--against-kafka"]);
    assert_eq!(ended.code, Some(3), "{ended}");
}

/// `verify` has no use for it, as it ends with its process; a cluster of
/// librdkafka's own that answers as Kafka does proves the requests.
#[test]
fn the_broker_inside_the_process_is_read() {
    let environment = Environment::default();
    let config = Config::load_in(&Selection::default(), environment).expect("sound");
    let cluster = Cluster::open(&config.hop().expect("sound")).expect("a cluster");
    let mut reader = SecondReader::open(&cluster).expect("a second reader");
    let mut records = vec![];
    for topic in reader.topics().expect("an answer") {
        let places = topic.partitions.iter();
        let places: Vec<_> = places
            .map(|p| TopicPartition::new(&topic.name, *p))
            .collect();
        let offsets = reader.offsets(&places).expect("an answer");
        let ranges = offsets
            .iter()
            .map(|(place, at)| (place.partition, at.start..at.end))
            .collect();
        reader
            .read(&topic.name, &ranges, |record| {
                records.push(record);
                Reading::GoOn
            })
            .expect("readable");
    }
    let mut known = known_records();
    let by_place = |record: &Record| (record.topic.clone(), record.partition, record.offset);
    known.sort_by_key(by_place);
    records.sort_by_key(by_place);
    assert_eq!(records, known);
}

#[test]
fn each_codec_with_aborted_transactions_is_read_as_written() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("codecs", 1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        transaction(&broker, &topic, codec, false);
        transaction(&broker, &topic, codec, true);
    }
    broker.send(&[Record {
        headers: [None, Some(vec![])]
            .map(|value| Header {
                name: b"\xff\0twice".to_vec(),
                value,
            })
            .to_vec(),
        ..plain_records(&topic, 1, 1)[0].clone()
    }]);
    let read = read_all(&broker.cluster(1_000_000), &topic);
    assert_eq!(read.len(), 5 * 20 + 1);
    assert_eq!(read, broker.committed(&topic));
    assert_eq!(read[100].headers[1].name, b"\xff\0twice");
    for codec in codecs {
        let start = format!("true {codec} ");
        let is_of = |record: &&Record| {
            let value = record.value.as_deref().unwrap_or_default();
            value.starts_with(start.as_bytes())
        };
        assert_eq!(read.iter().filter(is_of).count(), 20, "{codec}");
    }
    place.run_to_end();
    assert_eq!(compared(&place), 101);
}

#[test]
fn codec_of_the_broker_is_read_as_written() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        // The broker packs again, with Java's implementation.
        let settings = [
            ("compression.type", codec),
            ("message.timestamp.type", "LogAppendTime"),
        ];
        let topic = broker.create_with(codec, 1, &settings);
        let mut records = plain_records(&topic, 1, 50);
        records[4].value = None;
        records[5].key = Some(vec![]);
        records[6].value = Some(b"abc".repeat(200_000));
        broker.send(&records);
        let read = read_all(&broker.cluster(1_000_000), &topic);
        assert_eq!(read, broker.committed(&topic), "{codec}");
    }
}

#[test]
fn compacted_log_and_removed_records_are_passed_over() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let settings = [
        ("cleanup.policy", "compact,delete"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let topic = broker.create_with("compacted", 1, &settings);
    let mut records = plain_records_from(&topic, 1, 0..60);
    for (number, record) in records.iter_mut().enumerate() {
        record.key = Some(vec![number as u8 % 5]);
        record.timestamp += 1000 * number as i64;
    }
    for some in records.chunks(20) {
        broker.send(some);
    }
    transaction(&broker, &topic, "zstd", false);
    broker.delete_records_before(&topic, 0, 7);
    place.run_to_end();
    let read = read_all(&broker.cluster(1_000_000), &topic);
    assert!(!read.is_empty() && read.iter().all(|record| record.offset >= 7));
    assert_eq!(read, broker.committed(&topic));
}
