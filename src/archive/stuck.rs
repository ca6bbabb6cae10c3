//! Partitions that cannot be read on: a corrupt batch, a record that is too
//! large, missing permissions.
//!
//! Such a partition is paused and tried again with backoff; all others go on.
//! It is reported once it has failed twice at one offset, and then every minute,
//! and shown by `/readyz`, a metric and the summary. An operator may skip what
//! cannot be read: `archive_ingest skip` records a gap, which is looked for
//! before each try.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::failure::ArchiveError;
use super::progress::{Progress, StuckPartition};
use crate::catalogue::{Catalogue, GapReason};
use crate::kafka::TopicPartition;

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Failures at one offset after which a partition counts as stuck: a single one
/// may be the network's.
const STUCK_AFTER: u32 = 2;

pub(super) struct StuckPartitions {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    partitions: BTreeMap<TopicPartition, Failing>,
}

struct Failing {
    offset: i64,
    cause: String,
    since: Instant,
    failures: u32,
    retry_at: Option<Instant>,
    reported: Option<Instant>,
}

/// What is to be done with a partition that failed.
pub(super) enum Retry {
    /// Read it again.
    Again(TopicPartition),
    /// Read on at this offset: an operator has skipped what is before it.
    SkipTo(TopicPartition, i64),
}

impl StuckPartitions {
    pub fn new(catalogue: Arc<dyn Catalogue>, progress: Arc<Progress>) -> Self {
        Self {
            catalogue,
            progress,
            partitions: BTreeMap::new(),
        }
    }

    /// Reading this partition failed at `offset`.
    pub fn failed(&mut self, partition: TopicPartition, offset: i64, cause: String) {
        let now = Instant::now();
        let failing = self
            .partitions
            .entry(partition.clone())
            .or_insert_with(|| Failing {
                offset,
                cause: String::new(),
                since: now,
                failures: 0,
                retry_at: None,
                reported: None,
            });
        if failing.offset != offset {
            failing.offset = offset;
            failing.since = now;
            failing.failures = 0;
            failing.reported = None;
            failing.cause.clear();
        }
        // What comes first says most: after a corrupt batch the client reads
        // nonsense.
        if failing.cause.is_empty() {
            failing.cause = cause;
        }
        failing.failures += 1;
        let pause = FIRST_RETRY
            .saturating_mul(1 << failing.failures.min(16))
            .min(LAST_RETRY);
        failing.retry_at = Some(now + pause);
        if failing.failures < STUCK_AFTER {
            debug!(
                topic = &*partition.topic,
                partition = partition.partition,
                offset,
                cause = failing.cause,
                "partition not read, retrying"
            );
            return;
        }
        if failing
            .reported
            .is_none_or(|at| at.elapsed() >= REPORT_INTERVAL)
        {
            failing.reported = Some(now);
            warn!(
                topic = &*partition.topic,
                partition = partition.partition,
                offset,
                cause = failing.cause,
                seconds = failing.since.elapsed().as_secs(),
                "partition stuck"
            );
        }
        self.publish();
    }

    /// A record of this partition came.
    pub fn received(&mut self, partition: &TopicPartition) {
        if self.partitions.is_empty() {
            return;
        }
        if let Some(failing) = self.partitions.remove(partition) {
            if failing.failures >= STUCK_AFTER {
                info!(
                    topic = &*partition.topic,
                    partition = partition.partition,
                    seconds = failing.since.elapsed().as_secs(),
                    "partition readable again"
                );
            }
            self.publish();
        }
    }

    /// These partitions are no longer read here.
    pub fn end(&mut self, partitions: &[TopicPartition]) {
        let before = self.partitions.len();
        self.partitions
            .retain(|partition, _| !partitions.contains(partition));
        if self.partitions.len() != before {
            self.publish();
        }
    }

    /// At which offset this partition is stuck and why, if it is.
    pub fn find(&self, partition: &TopicPartition) -> Option<(i64, &str)> {
        let failing = self.partitions.get(partition)?;
        (failing.failures >= STUCK_AFTER).then_some((failing.offset, failing.cause.as_str()))
    }

    /// Partitions that are to be tried now.
    pub fn due(&mut self) -> Result<Vec<Retry>, ArchiveError> {
        let now = Instant::now();
        let is_due = |failing: &Failing| failing.retry_at.is_some_and(|at| at <= now);
        if !self.partitions.values().any(is_due) {
            return Ok(vec![]);
        }
        let gaps = self.catalogue.gaps()?;
        let mut due = vec![];
        for (partition, failing) in &mut self.partitions {
            if !is_due(failing) {
                continue;
            }
            failing.retry_at = None;
            let mut next = failing.offset;
            // In the order of their first offsets.
            for gap in &gaps {
                let is_here =
                    *gap.topic == *partition.topic && gap.partition == partition.partition;
                if is_here && gap.reason == GapReason::Skipped && gap.from <= next && next < gap.to
                {
                    next = gap.to;
                }
            }
            due.push(match next == failing.offset {
                true => Retry::Again(partition.clone()),
                false => Retry::SkipTo(partition.clone(), next),
            });
        }
        for retry in &due {
            if let Retry::SkipTo(partition, to) = retry
                && let Some(failing) = self.partitions.remove(partition)
            {
                warn!(
                    topic = &*partition.topic,
                    partition = partition.partition,
                    from = failing.offset,
                    to,
                    "skipping records as ordered"
                );
            }
        }
        self.publish();
        Ok(due)
    }

    fn publish(&self) {
        let stuck = self.partitions.iter();
        let stuck = stuck
            .filter(|(_, failing)| failing.failures >= STUCK_AFTER)
            .map(|(partition, failing)| StuckPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset: failing.offset,
                cause: failing.cause.clone(),
            });
        self.progress.set_stuck(stuck.collect());
    }
}
