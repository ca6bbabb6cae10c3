//! Topics that were deleted and made anew under the same name.
//!
//! To whoever knows a topic by its name, the new log is the old one, cut off
//! and filled again: where it is past the old position already, it would be
//! read from the middle. Topic ids tell the two apart, and one rule makes that
//! safe: **the id that is kept for a partition was the topic's before its
//! reading began.** What is read is of that topic or of a later one, never of
//! an earlier one, so an id that is still the topic's own vouches for all that
//! was read, and one that is not may only lead to reading again what is
//! archived, which changes nothing.
//!
//! The id is committed with every offset, so the rule also holds over restarts
//! and between the members of a group. It is compared with the topic's own when
//! a partition is assigned, before anything is committed for it, and whenever
//! the topics are asked for. Brokers that give no ids (before Kafka 2.8), and
//! offsets that were committed without one, are taken at their word.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::failure::ArchiveError;
use super::reader::Reader;
use crate::kafka::{GroupOffset, TopicId, TopicPartition};

/// The id that the topic has now, where it is another than that of which was
/// read.
pub(super) fn made_anew(read: Option<TopicId>, now: Option<TopicId>) -> Option<TopicId> {
    now.filter(|now| read.is_some_and(|read| read != *now))
}

impl Reader {
    /// Compares what is read with what the topics are now.
    pub(super) fn find_made_anew(&mut self) {
        for (partition, read) in self.watermarks.read_of() {
            if let Some(id) = made_anew(read, self.topics.id(&partition.topic)) {
                self.made_anew.insert(partition, id);
            }
        }
    }

    /// Goes to the start of all partitions that were found made anew: sets the
    /// group there, and joins it again: see [`Topics::want_new_client`] for why
    /// the client is not just repositioned.
    ///
    /// [`Topics::want_new_client`]: super::topics::Topics::want_new_client
    pub(super) fn begin_made_anew(&mut self) -> Result<(), ArchiveError> {
        let read_of = self.watermarks.read_of();
        self.made_anew
            .retain(|partition, _| read_of.contains_key(partition));
        if self.made_anew.is_empty() {
            return Ok(());
        }
        let starts: Vec<(TopicPartition, GroupOffset)> = self
            .made_anew
            .iter()
            .map(|(partition, id)| {
                let topic_id = Some(*id);
                (
                    partition.clone(),
                    GroupOffset {
                        offset: 0,
                        topic_id,
                    },
                )
            })
            .collect();
        if let Err(error) = self.consumer.commit_now(&starts) {
            info!(
                "the group cannot be set to the start of topics that were made anew yet: {error}"
            );
            return Ok(());
        }
        let partitions: Vec<TopicPartition> = starts.into_iter().map(|(p, _)| p).collect();
        tell(&partitions);
        // From here on nothing of the old log is committed any more.
        self.watermarks.give_up(&partitions);
        for (partition, id) in std::mem::take(&mut self.made_anew) {
            self.topics.learn(&partition.topic, id);
        }
        self.begin_again()
    }
}

fn tell(partitions: &[TopicPartition]) {
    let topics: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
    for topic in topics {
        let count = partitions.iter().filter(|p| &*p.topic == topic).count();
        warn!(
            "{topic} was deleted and made anew: {count} of its partitions are read from their start"
        );
    }
}
