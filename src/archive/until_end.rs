//! «The end»: the end offsets of the moment of asking, and whether everything
//! before them is archived.

use std::time::{Duration, Instant};

use tracing::debug;

use super::failure::ArchiveError;
use super::topics::Topics;
use super::watermark::Watermarks;
use crate::kafka::{ConsumerEvents, Offsets, RecordConsumer, TopicPartition};

const LOOK_AGAIN: Duration = Duration::from_millis(200);
const ASK_GROUP_AGAIN: Duration = Duration::from_secs(1);

/// The partitions whose end is not reached yet.
pub(super) struct UntilEnd {
    partitions: Vec<TopicPartition>,
    open: Offsets,
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
        let partitions: Vec<TopicPartition> = topics
            .wanted(consumer.topics()?)
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
        watermarks: &Watermarks,
    ) -> Result<bool, ArchiveError> {
        if self.open.is_empty() {
            return Ok(true);
        }
        if self.looked.elapsed() < LOOK_AGAIN {
            return Ok(false);
        }
        self.looked = Instant::now();
        // Positions, not offsets of records: a partition may end with control
        // records, or with what compaction left out.
        let fetched = consumer.fetched_to();
        self.open.retain(|partition, end| {
            let read = fetched
                .get(partition)
                .is_some_and(|position| position >= end);
            !read || watermarks.in_flight(partition)
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
        self.open
            .retain(|partition, end| committed.get(partition).is_none_or(|offset| offset < end));
        Ok(())
    }
}
