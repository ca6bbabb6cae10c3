//! «The end»: the end offsets of the moment of asking, and whether everything
//! before them is archived.

use std::time::{Duration, Instant};

use tracing::debug;

use super::failure::ArchiveError;
use super::incarnation::made_anew;
use super::topics::Topics;
use super::watermark::Watermarks;
use crate::kafka::{ConsumerEvents, Offsets, RecordConsumer, TopicId, TopicIds, TopicPartition};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
const ASK_GROUP_AGAIN: Duration = Duration::from_secs(1);

/// The partitions whose end is not reached yet.
pub(super) struct UntilEnd {
    partitions: Vec<TopicPartition>,
    open: Offsets,
    /// Of which topics these are the ends.
    ids: TopicIds,
    looked: Instant,
    asked_group: Instant,
}

impl UntilEnd {
    /// Asks for the ends as they are now. Partitions whose end the group has
    /// reached before are left out.
    pub fn ask<E: ConsumerEvents>(
        consumer: &RecordConsumer<E>,
        topics: &Topics,
    ) -> Result<Self, ArchiveError> {
        let wanted = topics.wanted(consumer.topics()?);
        let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
        let ids = consumer.topic_ids(&names)?;
        let partitions: Vec<TopicPartition> = wanted
            .iter()
            .flat_map(|topic| {
                let name = topic.name.as_str();
                topic
                    .partitions
                    .iter()
                    .map(move |&p| TopicPartition::new(name, p))
            })
            .collect();
        let starts = consumer.starts(&partitions)?;
        let mut open = consumer.ends(&partitions)?;
        open.retain(|partition, end| starts.get(partition).is_none_or(|start| start < end));
        let mut end = Self {
            partitions,
            open,
            ids,
            looked: Instant::now(),
            asked_group: Instant::now(),
        };
        end.forget_committed(consumer)?;
        Ok(end)
    }

    /// All that were asked for.
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// Whether everything before the ends is archived, by this process or by
    /// another member of the group.
    pub fn is_reached<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        topics: &Topics,
        watermarks: &Watermarks,
    ) -> Result<bool, ArchiveError> {
        if self.open.is_empty() {
            return Ok(true);
        }
        if self.looked.elapsed() < LOOK_AGAIN {
            return Ok(false);
        }
        self.looked = Instant::now();
        // The end of a topic that was deleted meanwhile is nowhere any more,
        // whether it was made anew or not.
        let ids = &self.ids;
        let asked_of = |partition: &TopicPartition| ids.get(&partition.topic).copied();
        self.open.retain(|partition, _| {
            let topic = &partition.topic;
            topics.reads(topic) && made_anew(asked_of(partition), topics.id(topic)).is_none()
        });
        // Positions, not offsets of records: a partition may end with control
        // records, or with what compaction left out.
        let (fetched, read_of) = (consumer.fetched_to(), watermarks.read_of());
        self.open.retain(|partition, end| {
            let is_behind = fetched
                .get(partition)
                .is_some_and(|position| position >= end);
            // A position in a log that is no more says nothing of this one.
            let is_of_this = read_of
                .get(partition)
                .is_some_and(|read| made_anew(*read, asked_of(partition)).is_none());
            !(is_behind && is_of_this) || watermarks.in_flight(partition)
        });
        if self.asked_group.elapsed() >= ASK_GROUP_AGAIN {
            self.asked_group = Instant::now();
            match self.forget_committed(consumer) {
                Err(error) if error.is_passing() => debug!("{error}; asked again"),
                other => other?,
            }
        }
        Ok(self.open.is_empty())
    }

    fn forget_committed<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let partitions: Vec<TopicPartition> = self.open.keys().cloned().collect();
        let committed = consumer.group_offsets(&partitions)?;
        let ids = &self.ids;
        self.open.retain(|partition, end| {
            committed.get(partition).is_none_or(|committed| {
                let asked_of: Option<TopicId> = ids.get(&partition.topic).copied();
                committed.offset < *end || made_anew(committed.topic_id, asked_of).is_some()
            })
        });
        Ok(())
    }
}
