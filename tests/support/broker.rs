//! The real Kafka, with topics of one's own.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use archive_ingest::config::{Config, Environment, Selection};
use archive_ingest::kafka::{Cluster, RecordProducer, TailReader};
use archive_ingest::record::{Record, TimestampType};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::skip::service;
use super::unique;

/// As many replicas as the broker is configured to make.
const BROKERS_DEFAULT: TopicReplication = TopicReplication::Fixed(-1);

/// A broker's listener and how to talk to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Plaintext,
    SaslPlaintext(&'static str),
    SaslSsl(&'static str),
}

/// The broker, whose topics of this value are gone when it is dropped.
pub struct Broker {
    /// What the names of all topics made here end in.
    pub suffix: String,
    pub address: String,
    topics: Mutex<Vec<String>>,
    /// Whether others use it too.
    is_common: bool,
    admin: AdminClient<DefaultClientContext>,
}

/// Who may come in where a credential is asked for.
pub struct Credential {
    pub username: String,
    pub password: String,
    pub ca: PathBuf,
}

impl Broker {
    /// `None`, said loudly, where no Kafka is named.
    pub fn connect() -> Option<Self> {
        let mut broker = Self::at(&service("TEST_KAFKA")?);
        broker.is_common = true;
        Some(broker)
    }

    /// A broker of the test's own, on this PLAINTEXT listener; its topics end
    /// with it.
    pub fn at(address: &str) -> Self {
        let admin = ClientConfig::new()
            .set("bootstrap.servers", address)
            .create()
            .expect("a sound configuration");
        Self {
            suffix: unique(),
            address: address.to_owned(),
            topics: Mutex::default(),
            is_common: false,
            admin,
        }
    }

    /// The address of a listener of the common broker, and what it asks for.
    pub fn listener(access: Access) -> Option<(String, Option<Credential>)> {
        let variable = match access {
            Access::Plaintext => return Some((service("TEST_KAFKA")?, None)),
            Access::SaslPlaintext(_) => "TEST_KAFKA_SASL_PLAINTEXT",
            Access::SaslSsl(_) => "TEST_KAFKA_SASL_SSL",
        };
        let credential = Credential {
            username: service("TEST_KAFKA_USER")?,
            password: service("TEST_KAFKA_PASSWORD")?,
            ca: service("TEST_CA")?.into(),
        };
        Some((service(variable)?, Some(credential)))
    }

    /// The name here of what is elsewhere called `name`.
    pub fn name(&self, name: &str) -> String {
        format!("{name}.{}", self.suffix)
    }

    /// The glob of all topics made here, and of no others.
    pub fn all_topics(&self) -> String {
        self.name("*")
    }

    /// Makes a topic and gives its whole name.
    pub fn create(&self, name: &str, partitions: i32) -> String {
        self.create_with(name, partitions, &[])
    }

    /// As [`Broker::create`], with settings of the topic.
    pub fn create_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let topic = self.name(name);
        let mut new = new_topic(&topic, partitions);
        for (key, value) in settings {
            new = new.set(key, value);
        }
        self.create_topics(&[new]);
        topic
    }

    /// Makes a topic of one partition on these nodes, the first of which leads it.
    pub fn create_on(&self, name: &str, nodes: &[i32], settings: &[(&str, &str)]) -> String {
        let topic = self.name(name);
        let replicas = [nodes];
        let mut new = NewTopic::new(&topic, 1, TopicReplication::Variable(&replicas))
            .set("message.timestamp.after.max.ms", "9223372036854775807");
        for (key, value) in settings {
            new = new.set(key, value);
        }
        self.create_topics(&[new]);
        topic
    }

    /// As [`Broker::create`], with so many replicas.
    pub fn create_with_replicas(&self, name: &str, partitions: i32, replicas: i32) -> String {
        let topic = self.name(name);
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(replicas))
            .set("message.timestamp.after.max.ms", "9223372036854775807");
        self.create_topics(&[new]);
        topic
    }

    /// Makes topics of one partition at once, and gives their whole names.
    pub fn create_all(&self, names: &[String]) -> Vec<String> {
        let topics: Vec<String> = names.iter().map(|name| self.name(name)).collect();
        let new: Vec<_> = topics.iter().map(|topic| new_topic(topic, 1)).collect();
        self.create_topics(&new);
        topics
    }

    fn create_topics(&self, new: &[NewTopic<'_>]) {
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let made = futures::executor::block_on(self.admin.create_topics(new, &options));
        for topic in made.expect("an answer") {
            let topic = topic.unwrap_or_else(|(topic, error)| panic!("{topic}: {error}"));
            self.topics.lock().expect("whole").push(topic);
        }
    }

    pub fn delete(&self, topic: &str) {
        self.topics.lock().expect("whole").retain(|t| t != topic);
        let gone = self.delete_topics(&[topic]);
        assert_eq!(gone, [Ok(topic.to_owned())]);
    }

    /// What retention does: the log of the partition begins at `offset` now.
    pub fn delete_records_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut begin = TopicPartitionList::new();
        begin
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .expect("an offset");
        let deleted = self.admin.delete_records(&begin, &AdminOptions::new());
        let deleted = futures::executor::block_on(deleted).expect("an answer");
        for element in deleted.elements() {
            element.error().expect("deleted");
        }
    }

    /// A consumer group, as far as a topic of so many partitions goes.
    pub fn group(&self, name: &str, topic: &str, partitions: i32) -> Group {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", name)
            .create()
            .expect("a sound configuration");
        Group {
            consumer,
            topic: topic.to_owned(),
            partitions,
        }
    }

    /// Deletes a consumer group, with the offsets that it committed.
    pub fn delete_group(&self, name: &str) {
        let deleted = self.admin.delete_groups(&[name], &AdminOptions::new());
        for group in futures::executor::block_on(deleted).expect("an answer") {
            group.unwrap_or_else(|(group, error)| panic!("{group}: {error}"));
        }
    }

    /// The offsets of all records that a partition has.
    pub fn offsets(&self, topic: &str, partition: i32) -> Vec<i64> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", "offsets")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a sound configuration");
        let mut start = TopicPartitionList::new();
        start
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
        client.assign(&start).expect("a partition that is there");
        let mut offsets = vec![];
        loop {
            match client
                .poll(Duration::from_secs(30))
                .expect("a record or the end")
            {
                Ok(record) => offsets.push(record.offset()),
                Err(KafkaError::PartitionEOF(_)) => return offsets,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn delete_topics(&self, topics: &[&str]) -> Vec<rdkafka::admin::TopicResult> {
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        futures::executor::block_on(self.admin.delete_topics(topics, &options)).expect("an answer")
    }

    /// Writes records to their topics and partitions, all acknowledged.
    pub fn send(&self, records: &[Record]) {
        self.send_large(records, 1_000_000);
    }

    /// As [`Broker::send`], records of up to so many bytes.
    pub fn send_large(&self, records: &[Record], most: usize) {
        let producer = RecordProducer::open(&self.cluster(most)).expect("a producer");
        for record in records {
            producer.send(record).expect("a record that Kafka takes");
        }
        producer
            .flush(Duration::from_secs(60))
            .expect("all are acknowledged");
    }

    /// The ids of a group's members: a member that was expelled, or joined
    /// again, has another one.
    pub fn members(&self, group: &str) -> Vec<String> {
        let groups = self
            .admin
            .inner()
            .fetch_group_list(Some(group), Duration::from_secs(10))
            .expect("an answer");
        groups
            .groups()
            .iter()
            .flat_map(|group| group.members())
            .map(|member| member.id().to_owned())
            .collect()
    }

    /// A name that no topic has yet and that no glob of [`Broker::all_topics`]
    /// matches; gone in the end, should somebody make it.
    pub fn foreign_name(&self, name: &str) -> String {
        let topic = format!("{name}-{}", unique());
        self.topics.lock().expect("whole").push(topic.clone());
        topic
    }

    /// As [`Broker::create_with`], of a name that is given whole.
    pub fn create_named(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = new_topic(topic, partitions);
        for (key, value) in settings {
            new = new.set(key, value);
        }
        self.topics.lock().expect("whole").retain(|t| t != topic);
        self.create_topics(&[new]);
    }

    /// What a reader of committed data sees, partition by partition, in order.
    pub fn committed(&self, topic: &str) -> Vec<Record> {
        let reader = TailReader::open(&self.cluster(1_000_000)).expect("a reader");
        let partitions = reader.partitions(topic).expect("an answer");
        let partitions = partitions.expect("a topic that is there");
        let mut records = vec![];
        for (partition, extent) in reader.settled(topic, &partitions).expect("an answer") {
            let mut receive = |record| records.push(record);
            reader
                .read(topic, partition, extent.start, extent, &mut receive)
                .expect("readable");
        }
        records
    }

    pub fn cluster(&self, message_bytes: usize) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("housekeeping.toml");
        let text = format!(
            "[hop]\nhop-type = \"kafka\"\nhop-hostname = \"{}\"\nhop-properties = {{ \"message.max.bytes\" = {message_bytes} }}\n",
            self.address
        );
        std::fs::write(&file, text).expect("a file of ours");
        let selection = Selection {
            config_file: Some(file),
            hop: Some("hop".to_owned()),
            ..Selection::default()
        };
        let config = Config::load_in(&selection, Environment::default()).expect("sound");
        Cluster::open(&config.hop().expect("sound")).expect("a cluster")
    }
}

/// Offsets of a group, of each partition of a topic.
pub struct Group {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Group {
    /// What is committed, where anything is.
    pub fn offsets(&self) -> Vec<Option<i64>> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, self.partitions - 1);
        let known = self
            .consumer
            .committed_offsets(asked, Duration::from_secs(30))
            .expect("an answer");
        let offset = |place| match place {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let elements = known.elements();
        elements
            .iter()
            .map(|element| offset(element.offset()))
            .collect()
    }

    /// Commits for a group that nobody is in.
    pub fn commit(&self, offsets: &[Option<i64>]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(offsets) {
            if let Some(offset) = offset {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(*offset))
                    .expect("an offset");
            }
        }
        if list.count() > 0 {
            self.consumer
                .commit(&list, CommitMode::Sync)
                .expect("committed");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let topics = std::mem::take(self.topics.get_mut().expect("whole"));
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if self.is_common && !topics.is_empty() {
            self.delete_topics(&topics);
        }
    }
}

fn new_topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, BROKERS_DEFAULT)
        .set("message.timestamp.after.max.ms", "9223372036854775807")
}

/// Records of about 300 bytes, each different, dealt out to the partitions in
/// turn, with the offsets that they get in a new topic.
pub fn plain_records(topic: &str, partitions: i32, count: usize) -> Vec<Record> {
    plain_records_from(topic, partitions, 0..count)
}

/// As [`plain_records`]: the next ones of a topic that has some.
pub fn plain_records_from(
    topic: &str,
    partitions: i32,
    numbers: std::ops::Range<usize>,
) -> Vec<Record> {
    let topic: std::sync::Arc<str> = topic.into();
    numbers
        .map(|number| Record {
            topic: topic.clone(),
            partition: number as i32 % partitions,
            offset: number as i64 / i64::from(partitions),
            timestamp: 1_700_000_000_000 + number as i64,
            timestamp_type: TimestampType::Create,
            key: Some(format!("key {number}").into_bytes()),
            value: Some(format!("{number:0>280}").into_bytes()),
            headers: vec![],
        })
        .collect()
}
