//! A single record, read again from Kafka.

use std::collections::BTreeMap;

use super::{QUEUE, Stream};
use crate::kafka::{Admin, KafkaFailure, Reading, RecordReader, TopicPartition};
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
        let admin = Admin::open(&self.cluster, self.group())?;
        let topics = admin.topics()?;
        let mut ids = topics.iter().filter(|known| known.name == topic);
        if !ids.any(|known| known.partitions.contains(&partition)) {
            return Ok(None);
        }
        let place = TopicPartition::new(topic, partition);
        let offsets = admin.offsets(std::slice::from_ref(&place))?;
        let is_there = |at: &crate::kafka::PartitionOffsets| (at.start..at.end).contains(&offset);
        if !offsets.get(&place).is_some_and(is_there) {
            return Ok(None);
        }
        let reader = RecordReader::open(&self.cluster, self.group(), QUEUE)?;
        let range = BTreeMap::from([(partition, offset..offset + 1)]);
        let mut found = None;
        reader.read(topic, &range, |record| {
            if record.offset == offset {
                found = Some(record);
            }
            Reading::Stop
        })?;
        Ok(found)
    }
}
