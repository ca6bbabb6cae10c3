//! Looking at topics, for software without a Kafka client. Calls block.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::config::is_internal;
use crate::kafka::{Admin, Cluster, KafkaFailure, Reading, RecordReader, TopicPartition};

/// What the client may fetch ahead.
const QUEUE_BYTES: usize = 4 << 20;

/// Bytes of values in one answer.
const MOST_BYTES: usize = 16 << 20;

/// Asks, and commits nothing.
pub struct Browser {
    cluster: Arc<Cluster>,
    group: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BrowseFailure {
    #[error("there is no topic {0}")]
    NoTopic(String),
    #[error("{0}")]
    Kafka(#[from] KafkaFailure),
}

impl Browser {
    /// `group` is only named, for clusters that ask every client for one.
    pub fn new(cluster: Arc<Cluster>, group: String) -> Self {
        Self { cluster, group }
    }

    /// The topics that the credential may see, except the broker's own.
    pub fn topics(&self) -> Result<Vec<String>, KafkaFailure> {
        let topics = Admin::open(&self.cluster, &self.group)?.topics()?;
        let names = topics.into_iter().map(|topic| topic.name);
        Ok(names.filter(|name| !is_internal(name)).collect())
    }

    /// The last `limit` values of a topic, of each partition those in their
    /// order; fewer where they are more than 16 MiB.
    pub fn values(&self, topic: &str, limit: usize) -> Result<Vec<Option<Vec<u8>>>, BrowseFailure> {
        let admin = Admin::open(&self.cluster, &self.group)?;
        let found = admin.topics()?.into_iter().find(|info| info.name == topic);
        let Some(info) = found else {
            return Err(BrowseFailure::NoTopic(topic.to_owned()));
        };
        let partitions: Vec<TopicPartition> = info
            .partitions
            .iter()
            .map(|partition| TopicPartition::new(topic, *partition))
            .collect();
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let ranges: BTreeMap<i32, std::ops::Range<i64>> = admin
            .offsets(&partitions)?
            .into_iter()
            .map(|(partition, offsets)| {
                let start = offsets.start.max(offsets.end.saturating_sub(most));
                (partition.partition, start..offsets.end)
            })
            .collect();
        let mut kept = Kept::new(limit);
        let reader = RecordReader::open(&self.cluster, &self.group, QUEUE_BYTES)?;
        reader.read(topic, &ranges, |record| {
            kept.push(record.value);
            Reading::GoOn
        })?;
        Ok(kept.values.into())
    }
}

/// The newest values, within bounds.
struct Kept {
    values: VecDeque<Option<Vec<u8>>>,
    bytes: usize,
    limit: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            values: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    fn push(&mut self, value: Option<Vec<u8>>) {
        self.bytes += value.as_ref().map_or(0, Vec::len);
        self.values.push_back(value);
        while self.values.len() > self.limit || self.bytes > MOST_BYTES {
            let Some(oldest) = self.values.pop_front() else {
                return;
            };
            self.bytes -= oldest.map_or(0, |value| value.len());
        }
    }
}
