//! A single record, read again from Kafka.

use super::Stream;
use crate::kafka::{KafkaFailure, SecondReader};
use crate::record::Record;

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
}
