//! A single record, read again from Kafka.

use super::Stream;
use crate::kafka::{Admin, KafkaFailure, SecondReader};
use crate::record::{Record, TopicId};

impl Stream {
    /// The record at that place; `None` where Kafka has none there (any more).
    /// Blocks.
    pub(in crate::verify) fn record(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, KafkaFailure> {
        SecondReader::open(&self.cluster)?.record(topic, partition, offset)
    }

    /// The id that the topic has now, where the brokers give ids. Blocks.
    pub(in crate::verify) fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, KafkaFailure> {
        Admin::open(&self.cluster, self.group())?.topic_id(topic)
    }
}
