//! Topics, made and removed. Calls block.

mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{Cluster, Complaints, KafkaFailure};
use crate::config::TopicConfig;

pub use settings::TopicSettings;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// As many partitions or replicas as the broker is configured to make (KIP-464).
const BROKERS_OWN: i32 = -1;

/// Makes and removes topics.
pub struct TopicAdmin {
    admin: AdminClient<Complaints>,
    cluster: Arc<Cluster>,
}

impl TopicAdmin {
    pub fn open(cluster: &Arc<Cluster>) -> Result<Self, KafkaFailure> {
        let admin = cluster
            .client_config()
            .create_with_context(Complaints::default())
            .map_err(|error| cluster.failure(error))?;
        Ok(Self {
            admin,
            cluster: cluster.clone(),
        })
    }

    /// Makes a topic where there is none of that name. Whether it was made.
    pub fn create(&self, topic: &str, config: &TopicConfig) -> Result<bool, KafkaFailure> {
        let partitions = i32::try_from(config.partitions).unwrap_or(i32::MAX);
        if let Some(made) = self.cluster.create_in_mock(topic, partitions) {
            return made.map(|()| true);
        }
        let replication =
            TopicReplication::Fixed(i32::try_from(config.replicas).unwrap_or(i32::MAX));
        let mut new = NewTopic::new(topic, partitions, replication);
        for (name, value) in &config.properties {
            new = new.set(name, value);
        }
        let asked = self.admin.create_topics([&new], &options());
        let answer = block_on(asked).map_err(|error| self.cluster.failure(error))?;
        match answer.into_iter().next() {
            None | Some(Ok(_)) => Ok(true),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(self.refused(
                code,
                &format!(
                    "topic {topic} cannot be made with {} partitions and {} replicas: correct produce-topic-partitions or produce-topic-replicas",
                    config.partitions, config.replicas
                ),
            )),
        }
    }

    /// Makes a topic as the broker makes one by default, where there is none of
    /// that name. Whether it was made.
    pub fn create_by_default(&self, topic: &str) -> Result<bool, KafkaFailure> {
        if let Some(made) = self.cluster.create_in_mock(topic, 1) {
            return made.map(|()| true);
        }
        let new = NewTopic::new(topic, BROKERS_OWN, TopicReplication::Fixed(BROKERS_OWN));
        let asked = self.admin.create_topics([&new], &options());
        let answer = block_on(asked).map_err(|error| self.cluster.failure(error))?;
        match answer.into_iter().next() {
            None | Some(Ok(_)) => Ok(true),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(KafkaFailure::Refused {
                cluster: self.cluster.name().to_owned(),
                cause: format!("topic {topic} cannot be made: {code}"),
            }),
        }
    }

    /// Removes a topic, and returns when the brokers know it no more. One that
    /// does not exist is fine.
    pub fn delete(&self, topic: &str) -> Result<(), KafkaFailure> {
        if self.cluster.is_mock() {
            return Err(self.refused(
                RDKafkaErrorCode::UnsupportedFeature,
                &format!(
                    "topic {topic} cannot be removed from the mock hop: this needs a real broker"
                ),
            ));
        }
        let asked = self.admin.delete_topics(&[topic], &options());
        let answer = block_on(asked).map_err(|error| self.cluster.failure(error))?;
        match answer.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))) => return Ok(()),
            Some(Err((_, code))) => {
                return Err(self.refused(code, &format!("topic {topic} cannot be removed")));
            }
            None | Some(Ok(_)) => {}
        }
        self.wait_until_gone(topic)
    }

    fn wait_until_gone(&self, topic: &str) -> Result<(), KafkaFailure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Of all topics: asking for one by name keeps it in the client's
            // own list.
            let metadata = self.admin.inner().fetch_metadata(None, PATIENCE);
            let metadata = metadata.map_err(|error| self.cluster.failure(error))?;
            if !metadata.topics().iter().any(|known| known.name() == topic) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.refused(
                    RDKafkaErrorCode::OperationTimedOut,
                    &format!("topic {topic} is still there after its removal"),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn refused(&self, code: RDKafkaErrorCode, what: &str) -> KafkaFailure {
        let error = KafkaError::AdminOp(code);
        super::client::failure(
            self.cluster.name(),
            &error,
            Some(format!("{what} ({code})")),
        )
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}
