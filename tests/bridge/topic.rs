//! Topics, as other software reads and writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use serde_json::Value;

use crate::scene::PATIENCE;

/// A record of a topic.
#[derive(Clone, Debug)]
pub struct Read {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

impl Read {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.value.as_deref().expect("a value")).expect("JSON")
    }
}

/// Everything that is on it now, partition after partition; nothing where there
/// is no such topic.
pub fn read(kafka: &str, topic: &str) -> Vec<Read> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "looks")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20")
        .create()
        .expect("a sound configuration");
    let Ok(metadata) = client.fetch_metadata(Some(topic), PATIENCE) else {
        return vec![];
    };
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none())
        .flat_map(|topic| topic.partitions().iter().map(|partition| partition.id()))
        .collect();
    let mut start = TopicPartitionList::new();
    for partition in &partitions {
        start
            .add_partition_offset(topic, *partition, Offset::Beginning)
            .expect("an offset");
    }
    client.assign(&start).expect("partitions that are there");
    let (mut records, mut open) = (vec![], partitions.len());
    while open > 0 {
        match client.poll(PATIENCE).expect("a record or the end") {
            Ok(message) => records.push(Read {
                partition: message.partition(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: headers(&message),
            }),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            // Of a broker that is being started.
            Err(_) => return vec![],
        }
    }
    records.sort_by_key(|record| record.partition);
    records
}

/// The topics whose names begin with this.
pub fn names(kafka: &str, prefix: &str) -> Vec<String> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .create()
        .expect("a sound configuration");
    let metadata = client.fetch_metadata(None, PATIENCE).expect("an answer");
    let names = metadata.topics().iter().map(|topic| topic.name());
    let names = names.filter(|name| name.starts_with(prefix));
    names.map(str::to_owned).collect()
}

fn headers(message: &impl Message) -> BTreeMap<String, String> {
    let Some(headers) = message.headers() else {
        return BTreeMap::new();
    };
    let text =
        |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    headers
        .iter()
        .map(|header| (header.key.to_owned(), text(header.value)))
        .collect()
}

/// Puts values on topics, one after another.
pub struct Sender(BaseProducer);

impl Sender {
    pub fn new(kafka: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("enable.idempotence", "true")
            .create();
        Self(producer.expect("a sound configuration"))
    }

    pub fn enqueue(&self, topic: &str, partition: i32, value: &str) {
        let record = BaseRecord::<(), str>::to(topic)
            .partition(partition)
            .payload(value);
        let sent = self.0.send(record).map_err(|(error, _)| error);
        sent.expect("room");
    }

    pub fn flush(&self) {
        self.0.flush(PATIENCE).expect("acknowledged");
        // Delivery reports are served by then.
        self.0.poll(Duration::ZERO);
    }
}

/// Puts values on a topic, each acknowledged, those with the same partition in
/// their order.
pub fn send(kafka: &str, topic: &str, values: impl IntoIterator<Item = (i32, String)>) {
    let sender = Sender::new(kafka);
    for (partition, value) in values {
        sender.enqueue(topic, partition, &value);
    }
    sender.flush();
}
