//! A note of an earlier restore counts only for the catalogue and the topic
//! that it was written about.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use archive_ingest::kafka::GroupNote;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{assert_same_stream, real, refused, restore};
use crate::support::Broker;
use crate::support::broker::plain_records;

#[test]
fn the_same_restore_after_a_rebuild_is_refused_and_writes_nothing() {
    let Some((broker, mut place)) = real() else {
        return;
    };
    let topic = broker.create("rebuilt", 1);
    let records = plain_records(&topic, 1, 6);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("rebuilt-restored");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    restore(&place, &options, 0);
    assert_same_stream(&records, &broker.committed(&target));

    place.use_another_database();
    place.run(&["rebuild-catalogue"]).clean();
    refused(&place, &options, &[&target, "rebuilt", "empty topic"]);
    let append = [&options[..], &["--append"]].concat();
    refused(&place, &append, &[&target, "rebuilt"]);
    assert_same_stream(&records, &broker.committed(&target));

    let elsewhere = broker.foreign_name("rebuilt-again");
    let options = ["--topic", &*topic, "--to", &elsewhere, "--create-topics"];
    restore(&place, &options, 0);
    assert_same_stream(&records, &broker.committed(&elsewhere));
}

#[test]
fn the_same_restore_after_records_were_deleted_from_the_target_is_not_done() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("cut", 2);
    let records = plain_records(&topic, 2, 8);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("cut-restored");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    restore(&place, &options, 0);
    broker.delete_records_before(&target, 1, 2);
    let left = broker.committed(&target);
    assert_eq!(left.len(), 6);
    refused(&place, &options, &[&target, "removed", "empty topic"]);
    assert_eq!(broker.committed(&target).len(), 6);
}

#[test]
fn the_same_restore_onto_a_topic_created_again_is_whole() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("again", 1);
    let records = plain_records(&topic, 1, 5);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("again-restored");
    let options = ["--topic", &*topic, "--to", &target];
    let keeps = [("retention.ms", "-1")];
    broker.create_named(&target, 1, &keeps);
    restore(&place, &options, 0);
    broker.delete(&target);
    broker.create_named(&target, 1, &keeps);
    // Somebody else's records are no reason to call it done.
    broker.send(&plain_records(&target, 1, 7));
    refused(&place, &options, &[&target, "not empty"]);
    broker.delete(&target);
    broker.create_named(&target, 1, &keeps);
    let (_, report) = restore(&place, &options, 0);
    assert_eq!(report["restored"], 5, "{report}");
    assert_same_stream(&records, &broker.committed(&target));
}

#[test]
fn a_note_is_not_read_while_a_transaction_with_a_newer_one_is_open() {
    let Some((broker, _place)) = real() else {
        return;
    };
    let topic = broker.create("noted", 1);
    let (cluster, group) = (broker.cluster(1_000_000), broker.name("note-group"));
    let writer = TransactionalWriter::open(&broker, &group, &topic);
    writer.note("first");
    writer
        .producer
        .commit_transaction(PATIENCE)
        .expect("committed");
    let note = GroupNote::open(&cluster, &group, &topic).expect("a note");
    assert_eq!(note.read().expect("read"), Some("first".to_owned()));

    writer.note("second");
    let look = GroupNote::open_to_look(&cluster, &group, &topic).expect("a note");
    assert_eq!(look.read().expect("read"), Some("first".to_owned()));
    let (answer, answered) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| answer.send(note.read().expect("read")).expect("heard"));
        let early = answered.recv_timeout(Duration::from_secs(2));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
        writer
            .producer
            .commit_transaction(PATIENCE)
            .expect("committed");
        let read = answered.recv_timeout(PATIENCE).expect("an answer");
        assert_eq!(read, Some("second".to_owned()));
    });
}

const PATIENCE: Duration = Duration::from_secs(30);

/// What a restore commits, with a transaction that is left open.
struct TransactionalWriter {
    producer: BaseProducer,
    consumer: BaseConsumer,
    topic: String,
}

impl TransactionalWriter {
    fn open(broker: &Broker, group: &str, topic: &str) -> Self {
        let config = |name: &str, value: &str| {
            let mut config = ClientConfig::new();
            config
                .set("bootstrap.servers", &broker.address)
                .set(name, value);
            config
        };
        let producer: BaseProducer = config("transactional.id", group).create().expect("sound");
        producer.init_transactions(PATIENCE).expect("a producer");
        let consumer = config("group.id", group).create().expect("sound");
        Self {
            producer,
            consumer,
            topic: topic.to_owned(),
        }
    }

    fn note(&self, text: &str) {
        self.producer.begin_transaction().expect("begun");
        let mut offsets = TopicPartitionList::new();
        let mut element = offsets.add_partition(&self.topic, 0);
        element.set_offset(Offset::Offset(0)).expect("an offset");
        element.set_metadata(text);
        let group = self.consumer.group_metadata().expect("a group");
        self.producer
            .send_offsets_to_transaction(&offsets, &group, PATIENCE)
            .expect("sent");
    }
}
