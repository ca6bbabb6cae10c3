//! Reads ranges of offsets beside the consumer group: for who compares, and
//! commits nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::admin;
use super::client::{Cluster, Complaints, KafkaFailure};
use super::message::MessageReader;
use super::partition::TopicPartition;
use crate::record::Record;

/// Without a record for this long, the cluster is said to be away.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(200);

/// Whether a reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    GoOn,
    Stop,
}

/// Reads committed records of one topic at a time. It joins no group. Its calls
/// block.
pub struct RecordReader {
    consumer: BaseConsumer<Complaints>,
    complaints: Complaints,
    messages: MessageReader,
    cluster: String,
}

impl RecordReader {
    /// `group` is only named, for clusters that ask every client for one that
    /// it may use. `queue_bytes` is what the client may fetch ahead.
    pub fn open(cluster: &Cluster, group: &str, queue_bytes: usize) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            .set(
                "queued.max.messages.kbytes",
                (queue_bytes / 1024).max(1).to_string(),
            );
        Ok(Self {
            consumer: config
                .create_with_context(complaints.clone())
                .map_err(|error| cluster.failure(error))?,
            complaints,
            messages: MessageReader::new(cluster),
            cluster: cluster.name().to_owned(),
        })
    }

    /// Gives each committed record of these ranges of offsets, a partition each,
    /// to `each`; those of a partition in their order. Offsets without a record,
    /// and those that retention has removed, are passed over.
    pub fn read(
        &self,
        topic: &str,
        ranges: &BTreeMap<i32, Range<i64>>,
        mut each: impl FnMut(Record) -> Reading,
    ) -> Result<(), KafkaFailure> {
        let ranges = ranges.iter().filter(|(_, range)| !range.is_empty());
        let mut open: BTreeMap<i32, i64> = BTreeMap::new();
        let mut begin = TopicPartitionList::new();
        for (&partition, range) in ranges {
            open.insert(partition, range.end);
            let at = Offset::Offset(range.start);
            self.explained(begin.add_partition_offset(topic, partition, at))?;
        }
        self.explained(self.consumer.assign(&begin))?;
        let read = self.read_assigned(topic, &mut open, &mut each);
        self.explained(self.consumer.unassign())?;
        read
    }

    fn read_assigned(
        &self,
        topic: &str,
        open: &mut BTreeMap<i32, i64>,
        each: &mut impl FnMut(Record) -> Reading,
    ) -> Result<(), KafkaFailure> {
        let name: Arc<str> = topic.into();
        let mut deadline = Instant::now() + PATIENCE;
        while !open.is_empty() {
            let message = match self.consumer.poll(POLL) {
                None if Instant::now() > deadline => return Err(self.silent(topic)),
                None => continue,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                    continue;
                }
                Some(Err(error)) => {
                    self.trouble(error, deadline)?;
                    continue;
                }
                Some(Ok(message)) => message,
            };
            deadline = Instant::now() + PATIENCE;
            let (partition, offset) = (message.partition(), message.offset());
            let Some(&end) = open.get(&partition) else {
                continue;
            };
            if offset < end
                && let Some(record) = self.messages.read(&message, name.clone())?
                && each(record) == Reading::Stop
            {
                return Ok(());
            }
            if offset + 1 >= end {
                open.remove(&partition);
                self.stop(topic, partition)?;
            }
        }
        Ok(())
    }

    /// Fetches no more of a partition that has been read.
    fn stop(&self, topic: &str, partition: i32) -> Result<(), KafkaFailure> {
        let partition = TopicPartition::new(topic, partition);
        let list = admin::partition_list(std::iter::once((&partition, Offset::Invalid)));
        self.explained(list.and_then(|list| self.consumer.pause(&list)))
    }

    fn trouble(&self, error: KafkaError, deadline: Instant) -> Result<(), KafkaFailure> {
        if let Some(refusal) = self.complaints.refusal(&self.cluster) {
            return Err(refusal);
        }
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                Err(self.complaints.explain(&self.cluster, error))
            }
            error if Instant::now() > deadline => {
                Err(self.complaints.explain(&self.cluster, error))
            }
            _ => Ok(()),
        }
    }

    fn silent(&self, topic: &str) -> KafkaFailure {
        KafkaFailure::Unavailable {
            cluster: self.cluster.clone(),
            cause: format!("nothing of {topic} came for {} s", PATIENCE.as_secs()),
        }
    }

    fn explained<T>(&self, result: KafkaResult<T>) -> Result<T, KafkaFailure> {
        result.map_err(|error| self.complaints.explain(&self.cluster, error))
    }
}
