//! The broker inside this process: librdkafka's mock cluster, loaded with the
//! known test data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use super::client::{Cluster, KafkaFailure};
use super::known_data::known_records;
use super::producer::RecordProducer;
use super::topic_id::TopicIds;

/// Lives as long as this value: the cluster belongs to a client that does
/// nothing else.
pub(super) struct MockBroker {
    host: BaseProducer,
}

impl MockBroker {
    /// Starts it with the topics of the known test data, still empty.
    pub(super) fn start() -> Result<Self, KafkaFailure> {
        let host = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .create()
            .map_err(failure)?;
        let broker = Self { host };
        broker.join_at_once();
        broker.create_topics().map_err(failure)?;
        Ok(broker)
    }

    pub(super) fn bootstrap_servers(&self) -> Result<String, KafkaFailure> {
        match self.host.client().mock_cluster() {
            Some(cluster) => Ok(cluster.bootstrap_servers()),
            None => Err(failure("it has no address")),
        }
    }

    /// Makes a topic; one that exists stays.
    pub(super) fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), KafkaFailure> {
        match self.host.client().mock_cluster() {
            Some(cluster) => match cluster.create_topic(topic, partitions, 1) {
                Err(error)
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::TopicAlreadyExists) =>
                {
                    Err(failure(error))
                }
                _ => Ok(()),
            },
            None => Err(failure("it has no address")),
        }
    }

    /// Lets the first member of a group begin without waiting 3 s for others.
    #[allow(unsafe_code, reason = "the high-level client does not offer it")]
    fn join_at_once(&self) {
        use rdkafka_sys as rd;
        // SAFETY: the client is alive, and its mock cluster with it.
        unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(self.host.client().native_ptr());
            if !cluster.is_null() {
                rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
            }
        }
    }

    fn create_topics(&self) -> KafkaResult<()> {
        let mut partitions: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        for record in known_records() {
            let count = partitions.entry(record.topic).or_default();
            *count = (*count).max(record.partition + 1);
        }
        if let Some(cluster) = self.host.client().mock_cluster() {
            for (topic, count) in partitions {
                cluster.create_topic(&topic, count, 1)?;
            }
        }
        Ok(())
    }
}

/// Removes the ids of the topics that [`load`] fills. They hold the same records
/// at the same offsets after every start, and are one topic to the archive; the
/// mock broker gives them another id each time.
pub(super) fn forget_loaded(ids: &mut TopicIds) {
    for record in known_records() {
        ids.remove(&record.topic);
    }
}

/// Puts the known test data onto the mock broker.
pub(super) fn load(cluster: &Cluster) -> Result<(), KafkaFailure> {
    let producer = RecordProducer::open(cluster)?;
    for record in known_records() {
        producer.send(&record)?;
    }
    producer.flush(Duration::from_secs(20))
}

fn failure(cause: impl ToString) -> KafkaFailure {
    KafkaFailure::Unavailable {
        cluster: "mock-hop".into(),
        cause: format!(
            "the broker inside this process does not start: {}",
            cause.to_string()
        ),
    }
}
