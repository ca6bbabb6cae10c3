//! What retention took before it was read: found, and remembered for good
//! before any offset past it is committed.
//!
//! A jump of offsets is nothing by itself: compaction and transactions leave
//! offsets without a record. It is a gap as far as the log now begins after
//! the offset that was due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use tracing::{info, warn};

use super::failure::ArchiveError;
use super::incarnation::made_anew;
use super::progress::Progress;
use super::watermark::Watermarks;
use crate::catalogue::{Catalogue, Gap, GapReason};
use crate::kafka::{
    ConsumerEvents, GroupOffset, GroupOffsets, Offsets, RecordConsumer, TopicId, TopicIds,
    TopicPartition,
};

/// Of one partition no more jumps than this are kept apart until they are
/// looked at.
const JUMPS: usize = 100;

/// Watches what each partition gives.
pub(super) struct GapWatch {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    watermarks: Arc<Watermarks>,
    /// The offset that is due next.
    due: HashMap<TopicPartition, i64>,
    /// Offsets that were due and did not come.
    jumps: HashMap<TopicPartition, Vec<Range<i64>>>,
    /// Partitions that are new here: what the group had read of them before is
    /// to be compared with where they begin and end. With the id that their
    /// topic had before they were read.
    fresh: BTreeMap<TopicPartition, Option<TopicId>>,
    /// Those of them whose topic is gone: looked at if it comes back.
    gone: BTreeMap<TopicPartition, Option<TopicId>>,
}

/// What was found of the partitions that were looked at.
struct Findings {
    gaps: Vec<Gap>,
    /// The topic that each fresh partition is read of.
    read_of: BTreeMap<TopicPartition, Option<TopicId>>,
    made_anew: BTreeMap<TopicPartition, TopicId>,
}

impl GapWatch {
    pub(super) fn new(
        catalogue: Arc<dyn Catalogue>,
        progress: Arc<Progress>,
        watermarks: Arc<Watermarks>,
    ) -> Self {
        Self {
            catalogue,
            progress,
            watermarks,
            due: HashMap::new(),
            jumps: HashMap::new(),
            fresh: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// This partition is read from now on, from where the group was. `topic_id`
    /// is what its topic had before.
    pub(super) fn begin(&mut self, partition: TopicPartition, topic_id: Option<TopicId>) {
        self.due.remove(&partition);
        self.fresh.insert(partition, topic_id);
    }

    /// Looks again at partitions whose topic was gone, where it `is_there` now.
    pub(super) fn look_again(&mut self, is_there: impl Fn(&str) -> bool) {
        let back = self.gone.extract_if(.., |p, _| is_there(&p.topic));
        self.fresh.extend(back);
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
        self.watermarks.hold_after(partition, missing.start);
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
            self.gone.remove(partition);
        }
    }

    /// Looks at what was noted, remembers gaps, and releases what may be
    /// committed then; until that works it may not. The answer is which
    /// partitions were made anew, with the id that their topic has now.
    pub(super) fn settle<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<BTreeMap<TopicPartition, TopicId>, ArchiveError> {
        if self.is_settled() {
            return Ok(BTreeMap::new());
        }
        let found = match self.look(consumer) {
            Ok(found) => found,
            Err(error) => {
                self.set_aside_what_is_gone(consumer)?;
                return Err(error);
            }
        };
        self.remember(found.gaps)?;
        for (partition, topic_id) in found.read_of {
            self.watermarks.is_read_of(&partition, topic_id);
            self.watermarks.release(&partition);
        }
        for partition in self.jumps.keys() {
            self.watermarks.release(partition);
        }
        self.fresh.clear();
        self.jumps.clear();
        Ok(found.made_anew)
    }

    /// A topic that was deleted has no beginning to compare with.
    fn set_aside_what_is_gone<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let topics = consumer.topics()?.into_iter();
        let existing: BTreeSet<String> = topics.map(|topic| topic.name).collect();
        let is_gone = |partition: &TopicPartition| !existing.contains(&*partition.topic);
        self.gone
            .extend(self.fresh.extract_if(.., |p, _| is_gone(p)));
        self.jumps.retain(|p, _| !is_gone(p));
        Ok(())
    }

    fn look<E: ConsumerEvents>(
        &self,
        consumer: &RecordConsumer<E>,
    ) -> Result<Findings, ArchiveError> {
        let fresh: Vec<TopicPartition> = self.fresh.keys().cloned().collect();
        let jumped = self.jumps.keys();
        let asked: BTreeSet<&TopicPartition> = self.fresh.keys().chain(jumped).collect();
        let asked: Vec<TopicPartition> = asked.into_iter().cloned().collect();
        let ids = consumer.topic_ids(&names(&fresh))?;
        let mut committed = consumer.group_offsets(&fresh)?;
        let starts = consumer.starts(&asked)?;
        let ends = consumer.ends(&fresh)?;
        let read_of = self.read_of(&committed);
        let made_anew = find_made_anew(&read_of, &ids);
        // Those are offsets of a log that is no more.
        committed.retain(|partition, _| !made_anew.contains_key(partition));
        warn_of_logs_that_end_early(&committed, &ends);
        Ok(Findings {
            gaps: self.find_gaps(&committed, &starts),
            read_of,
            made_anew,
        })
    }

    fn read_of(&self, committed: &GroupOffsets) -> BTreeMap<TopicPartition, Option<TopicId>> {
        self.fresh
            .iter()
            .map(|(partition, before)| {
                let committed = committed.get(partition).and_then(|c| c.topic_id);
                (partition.clone(), committed.or(*before))
            })
            .collect()
    }

    fn find_gaps(&self, committed: &GroupOffsets, starts: &Offsets) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (partition, &start) in starts {
            let before = committed.get(partition).map(|from| from.offset..start);
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
        gaps
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

fn find_made_anew(
    read_of: &BTreeMap<TopicPartition, Option<TopicId>>,
    ids: &TopicIds,
) -> BTreeMap<TopicPartition, TopicId> {
    read_of
        .iter()
        .filter_map(|(partition, read)| {
            let now = ids.get(&partition.topic).copied();
            Some((partition.clone(), made_anew(*read, now)?))
        })
        .collect()
}

fn names(partitions: &[TopicPartition]) -> Vec<&str> {
    let names: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
    names.into_iter().collect()
}

fn warn_of_logs_that_end_early(committed: &GroupOffsets, ends: &Offsets) {
    for (partition, GroupOffset { offset, .. }) in committed {
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
        topic_id: None,
        reason: GapReason::Retention,
    }
}
