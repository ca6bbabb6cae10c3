//! Logs that were truncated below what had been read of them, and filled again:
//! after an unclean election, or when a broker lost what it had not synced.
//!
//! Each commit carries the leader epoch of the last record before its offset.
//! When a partition is assigned, its leader is asked where its log ends that has
//! this epoch: an end below the committed offset is where the logs part. From
//! there the partition is read again. What was archived of the lost branch stays,
//! and is reported.
//!
//! The question is asked by the second reader, for librdkafka tells nobody what
//! it finds out. Brokers that know no epochs are taken at their word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::failure::ArchiveError;
use super::incarnation::made_anew;
use super::reader::Reader;
use super::until_end::UntilEnd;
use crate::catalogue::{Catalogue, Gap, GapReason};
use crate::kafka::{
    ConsumerEvents, GroupEpochs, GroupOffset, KafkaFailure, Offsets, RecordConsumer, TopicId,
    TopicPartition,
};

/// If a partition cannot be validated for this long, it is read as it is.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Validates positions of partitions that were assigned.
pub(super) struct TruncationWatch {
    catalogue: Arc<dyn Catalogue>,
    /// Not validated yet, and since when.
    unvalidated: BTreeMap<TopicPartition, Validation>,
    /// To be read again from where their logs part.
    found: BTreeMap<TopicPartition, Truncation>,
}

struct Validation {
    since: Instant,
    was_asked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Truncation {
    /// The first offset that the logs do not have in common.
    from: i64,
    topic_id: Option<TopicId>,
}

impl TruncationWatch {
    pub fn new(catalogue: Arc<dyn Catalogue>) -> Self {
        Self {
            catalogue,
            unvalidated: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }

    /// This partition is read from now on, from where the group was.
    pub fn begin(&mut self, partition: TopicPartition) {
        let (since, was_asked) = (Instant::now(), false);
        self.unvalidated
            .insert(partition, Validation { since, was_asked });
    }

    /// These partitions are no longer read here.
    pub fn end(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.unvalidated.remove(partition);
            self.found.remove(partition);
        }
    }

    /// Whether nothing of this partition is to be committed now.
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.unvalidated.contains_key(partition) || self.found.contains_key(partition)
    }

    /// Forgets all partitions of which nothing is to be committed now, and gives
    /// them.
    pub fn take_held(&mut self) -> Vec<TopicPartition> {
        let unvalidated = std::mem::take(&mut self.unvalidated).into_keys();
        let found = std::mem::take(&mut self.found).into_keys();
        unvalidated.chain(found).collect()
    }

    /// Whether each partition was asked about, and is read from the right place.
    pub fn is_settled(&self) -> bool {
        self.found.is_empty() && self.unvalidated.values().all(|one| one.was_asked)
    }

    /// Validates what is not validated yet. What cannot be asked now is asked
    /// again the next time.
    pub fn settle<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        if self.unvalidated.is_empty() {
            return Ok(());
        }
        match self.validate(consumer) {
            Err(error) if error.is_passing() => {
                info!("{error}: positions cannot be validated yet");
            }
            done => done?,
        }
        self.unvalidated.retain(|partition, one| {
            one.was_asked = true;
            let is_over = one.since.elapsed() > VALIDATION_TIMEOUT;
            if is_over {
                let (topic, partition) = (&partition.topic, partition.partition);
                warn!(%topic, partition, "positions not validated, a truncated log would go unnoticed");
            }
            !is_over
        });
        Ok(())
    }

    fn validate<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let partitions: Vec<TopicPartition> = self.unvalidated.keys().cloned().collect();
        let GroupEpochs {
            epochs: mut committed,
            unanswered,
        } = consumer.group_epochs(&partitions)?;
        self.unvalidated
            .retain(|p, _| committed.contains_key(p) || unanswered.contains(p));
        if committed.is_empty() {
            return Ok(());
        }
        let mut names: Vec<&str> = partitions.iter().map(|p| &*p.topic).collect();
        names.dedup();
        let ids = consumer.topic_ids(&names)?;
        // A log of a topic that was deleted and created again is another matter.
        committed.retain(|partition, (at, _)| {
            let is_same = made_anew(at.topic_id, ids.get(&partition.topic).copied()).is_none();
            if !is_same {
                self.unvalidated.remove(partition);
            }
            is_same
        });
        let epochs = committed.iter().map(|(p, (_, epoch))| (p.clone(), *epoch));
        let ends = match consumer.epoch_ends(&epochs.collect()) {
            // The second reader cannot use the cluster's settings, or may not ask.
            Err(failure @ KafkaFailure::Refused { .. }) => {
                warn!(%failure, "positions not validated, a truncated log would go unnoticed");
                self.unvalidated.clear();
                return Ok(());
            }
            asked => asked?,
        };
        for (partition, end) in ends {
            self.unvalidated.remove(&partition);
            let Some((at, epoch)) = committed.get(&partition) else {
                continue;
            };
            // No end: the log has nothing of that epoch or of an earlier one.
            let from = end.end.unwrap_or(0);
            if from < at.offset {
                let topic_id = ids.get(&partition.topic).copied();
                self.report(&partition, from..at.offset, *epoch, topic_id)?;
                self.found.insert(partition, Truncation { from, topic_id });
            }
        }
        Ok(())
    }

    fn report(
        &self,
        partition: &TopicPartition,
        lost: std::ops::Range<i64>,
        epoch: i32,
        topic_id: Option<TopicId>,
    ) -> Result<(), ArchiveError> {
        self.catalogue.add_gaps(&[Gap {
            topic: partition.topic.clone(),
            partition: partition.partition,
            from: lost.start,
            to: lost.end,
            found_at: 0,
            acknowledged_at: None,
            topic_id,
            reason: GapReason::Truncated,
        }])?;
        warn!(
            topic = %partition.topic,
            partition = partition.partition,
            from = lost.start,
            to = lost.end,
            leader_epoch = epoch,
            "log truncated below what was archived, reading it again from there"
        );
        Ok(())
    }
}

impl Reader {
    /// Before the group is joined: sets it back in truncated logs, so that their
    /// ends are not taken for reached. Where others are in the group, they or
    /// this member find it when they read the partition.
    pub(super) fn set_back_truncated(&mut self) -> Result<(), ArchiveError> {
        for topic in self.topics.wanted(self.consumer.topics()?) {
            for partition in topic.partitions {
                let partition = TopicPartition::new(&topic.name, partition);
                self.truncation.begin(partition);
            }
        }
        self.truncation.settle(&self.consumer)?;
        self.truncation.unvalidated.clear();
        let offsets: Vec<(TopicPartition, GroupOffset)> =
            std::mem::take(&mut self.truncation.found)
                .into_iter()
                .map(|(partition, Truncation { from, topic_id })| {
                    let offset = from;
                    (partition, GroupOffset { offset, topic_id })
                })
                .collect();
        if !offsets.is_empty()
            && let Err(error) = self.consumer.commit_now(&offsets)
        {
            info!("the group is not set back yet ({error}); it will be by the next member to read");
        }
        Ok(())
    }

    /// Goes back in each log that was found truncated.
    pub(super) fn reread_truncated(
        &mut self,
        end: &mut Option<UntilEnd>,
    ) -> Result<(), ArchiveError> {
        let found: Vec<(TopicPartition, Truncation)> = self
            .truncation
            .found
            .iter()
            .map(|(partition, truncation)| (partition.clone(), *truncation))
            .collect();
        for (partition, Truncation { from, topic_id }) in found {
            let offset = GroupOffset {
                offset: from,
                topic_id,
            };
            let one = std::slice::from_ref(&partition);
            // First: from where the group is, reading begins.
            if let Err(error) = self.consumer.commit_now(&[(partition.clone(), offset)]) {
                info!(
                    "{error}: the group is not set back yet, a truncated log is read again later"
                );
                continue;
            }
            let place = Offsets::from([(partition.clone(), from)]);
            match self.consumer.seek(&place) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    info!("{error}: a truncated log is read again later");
                    continue;
                }
            }
            self.truncation.found.remove(&partition);
            self.held
                .retain(|r| r.partition != partition.partition || r.topic != partition.topic);
            // Nothing of the lost branch is committed any more.
            self.watermarks.give_up(one);
            self.watermarks.begin(one);
            self.gaps.begin(partition.clone(), topic_id);
            if let Some(end) = end {
                end.read_again(&self.consumer, partition, from)?;
            }
        }
        Ok(())
    }
}
