//! What retention took before it was read: found, and remembered for good
//! before any offset past it is committed.
//!
//! A jump of offsets is nothing by itself: compaction and transactions leave
//! offsets without a record. It is a gap as far as the log now begins after
//! the offset that was due.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use tracing::{info, warn};

use super::failure::ArchiveError;
use super::progress::Progress;
use crate::catalogue::{Catalogue, Gap};
use crate::kafka::{ConsumerEvents, Offsets, RecordConsumer, TopicPartition};

/// Of one partition no more jumps than this are kept apart until they are
/// looked at.
const JUMPS: usize = 100;

/// Watches what each partition gives.
pub(super) struct GapWatch {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    /// The offset that is due next.
    due: HashMap<TopicPartition, i64>,
    /// Offsets that were due and did not come.
    jumps: HashMap<TopicPartition, Vec<Range<i64>>>,
    /// Partitions that are new here: what the group had read of them before is
    /// to be compared with where they begin and end.
    fresh: BTreeSet<TopicPartition>,
}

impl GapWatch {
    pub(super) fn new(catalogue: Arc<dyn Catalogue>, progress: Arc<Progress>) -> Self {
        Self {
            catalogue,
            progress,
            due: HashMap::new(),
            jumps: HashMap::new(),
            fresh: BTreeSet::new(),
        }
    }

    /// These partitions are read from now on, from where the group was.
    pub(super) fn begin(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        for partition in partitions {
            self.due.remove(&partition);
            self.fresh.insert(partition);
        }
    }

    /// Whether everything that was noted has been looked at.
    pub(super) fn is_settled(&self) -> bool {
        self.fresh.is_empty() && self.jumps.is_empty()
    }

    /// A record of this partition came.
    pub(super) fn received(&mut self, partition: &TopicPartition, offset: i64) {
        let Some(due) = self.due.get_mut(partition) else {
            self.due.insert(partition.clone(), offset + 1);
            return;
        };
        let missing = *due..offset;
        *due = offset + 1;
        if offset < missing.start {
            warn!(
                "{} partition {}: offset {offset} after {}: the topic was made anew or cut off; read on from there",
                partition.topic,
                partition.partition,
                missing.start - 1
            );
        } else if !missing.is_empty() {
            self.note(partition, missing);
        }
    }

    fn note(&mut self, partition: &TopicPartition, missing: Range<i64>) {
        let jumps = self.jumps.entry(partition.clone()).or_default();
        if jumps.len() < JUMPS {
            jumps.push(missing);
        } else if let Some(last) = jumps.last_mut() {
            // A range that covers more than is missing does no harm: only what
            // lies before the log's beginning counts in the end.
            last.end = missing.end;
        }
    }

    /// These partitions are no longer read here.
    pub(super) fn end(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.due.remove(partition);
            self.jumps.remove(partition);
            self.fresh.remove(partition);
        }
    }

    /// Looks at what was noted, and remembers gaps. To be called before each
    /// commit: while it fails, nothing may be committed.
    pub(super) fn settle<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        if self.is_settled() {
            return Ok(());
        }
        match self.look(consumer) {
            Ok(gaps) => {
                self.remember(gaps)?;
                self.fresh.clear();
                self.jumps.clear();
                Ok(())
            }
            Err(error) => {
                // A topic that was deleted has no beginning to compare with.
                let existing: BTreeSet<String> = consumer
                    .topics()?
                    .into_iter()
                    .map(|topic| topic.name)
                    .collect();
                self.fresh.retain(|p| existing.contains(&*p.topic));
                self.jumps.retain(|p, _| existing.contains(&*p.topic));
                Err(error)
            }
        }
    }

    fn look<E: ConsumerEvents>(
        &self,
        consumer: &RecordConsumer<E>,
    ) -> Result<Vec<Gap>, ArchiveError> {
        let fresh: Vec<TopicPartition> = self.fresh.iter().cloned().collect();
        let jumped: BTreeSet<TopicPartition> = self.jumps.keys().cloned().collect();
        let asked: Vec<TopicPartition> = self.fresh.union(&jumped).cloned().collect();
        let committed = consumer.group_offsets(&fresh)?;
        let starts = consumer.starts(&asked)?;
        let ends = consumer.ends(&fresh)?;
        warn_of_logs_that_end_early(&committed, &ends);
        let mut gaps = Vec::new();
        for (partition, &start) in &starts {
            let before = committed.get(partition).map(|&from| from..start);
            let jumps = self.jumps.get(partition).into_iter().flatten();
            let skipped = jumps.map(|jump| jump.start..jump.end.min(start));
            gaps.extend(
                before
                    .into_iter()
                    .chain(skipped)
                    .filter(|range| !range.is_empty())
                    .map(|range| gap(partition, &range)),
            );
        }
        Ok(gaps)
    }

    fn remember(&self, gaps: Vec<Gap>) -> Result<(), ArchiveError> {
        if gaps.is_empty() {
            return Ok(());
        }
        let new = self.catalogue.add_gaps(&gaps)?;
        if new == 0 {
            info!("{} known gaps were met again", gaps.len());
            return Ok(());
        }
        for gap in &gaps {
            warn!(
                "LOST: {} partition {} offsets {} to {}: Kafka's retention removed them before they were archived",
                gap.topic,
                gap.partition,
                gap.from,
                gap.to - 1
            );
        }
        self.progress.lost(gaps);
        Ok(())
    }
}

fn warn_of_logs_that_end_early(committed: &Offsets, ends: &Offsets) {
    for (partition, offset) in committed {
        if ends.get(partition).is_some_and(|end| offset > end) {
            warn!(
                "{} partition {}: the group had read up to {offset}, but the log ends before: the topic was made anew or cut off; read from its start",
                partition.topic, partition.partition
            );
        }
    }
}

fn gap(partition: &TopicPartition, offsets: &Range<i64>) -> Gap {
    Gap {
        topic: partition.topic.clone(),
        partition: partition.partition,
        from: offsets.start,
        to: offsets.end,
        found_at: 0,
        acknowledged_at: None,
    }
}
