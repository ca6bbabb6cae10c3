//! Partitions that cannot be read on: a corrupt batch, a record that is too
//! large, missing permissions, no leader, a group offset in an open transaction.
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

/// A partition of which Kafka tells nothing for this long counts as stuck. An
/// election takes less.
const SILENT_TIMEOUT: Duration = Duration::from_secs(15);

/// A partition that was tried again and has not failed for this long is readable,
/// if its log has nothing after the offset that failed.
const RECOVERY_TIME: Duration = Duration::from_secs(10);

pub(super) struct StuckPartitions {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    partitions: BTreeMap<TopicPartition, Failing>,
    /// Partitions of which Kafka does not tell what is needed to read them.
    silent: BTreeMap<TopicPartition, Silent>,
}

struct Silent {
    cause: String,
    since: Instant,
    reported: Option<Instant>,
}

struct Failing {
    offset: i64,
    cause: String,
    since: Instant,
    failures: u32,
    /// The recorded gaps do not skip `offset`, as far as is known.
    is_to_be_read: bool,
    retry_at: Option<Instant>,
    retried: Option<Instant>,
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
            silent: BTreeMap::new(),
        }
    }

    /// The partitions of which Kafka does not tell now what is needed to read
    /// them, each with the reason.
    pub fn set_silent(&mut self, silent: BTreeMap<TopicPartition, String>) {
        if silent.is_empty() && self.silent.is_empty() {
            return;
        }
        for (partition, ended) in self.silent.extract_if(.., |p, _| !silent.contains_key(p)) {
            if ended.reported.is_some() {
                info!(
                    topic = &*partition.topic,
                    partition = partition.partition,
                    seconds = ended.since.elapsed().as_secs(),
                    "partition readable again"
                );
            }
        }
        for (partition, cause) in silent {
            let silent = self
                .silent
                .entry(partition.clone())
                .or_insert_with(|| Silent {
                    cause: String::new(),
                    since: Instant::now(),
                    reported: None,
                });
            silent.cause = cause;
            if silent.is_stuck()
                && silent
                    .reported
                    .is_none_or(|at| at.elapsed() >= REPORT_INTERVAL)
            {
                silent.reported = Some(Instant::now());
                warn!(
                    topic = &*partition.topic,
                    partition = partition.partition,
                    cause = silent.cause,
                    seconds = silent.since.elapsed().as_secs(),
                    "partition stuck"
                );
            }
        }
        self.publish();
    }

    /// Partitions that were tried again and have not failed since, with the
    /// offset at which they failed.
    pub fn retried(&self) -> Vec<(TopicPartition, i64)> {
        self.partitions
            .iter()
            .filter(|(_, failing)| {
                failing.retry_at.is_none()
                    && failing
                        .retried
                        .is_some_and(|at| at.elapsed() >= RECOVERY_TIME)
            })
            .map(|(partition, failing)| (partition.clone(), failing.offset))
            .collect()
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
                is_to_be_read: false,
                retry_at: None,
                retried: None,
                reported: None,
            });
        if failing.offset != offset {
            failing.offset = offset;
            failing.since = now;
            failing.failures = 0;
            failing.is_to_be_read = false;
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
        if !failing.is_stuck() {
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

    /// A record of this partition came, or none is left to come.
    pub fn received(&mut self, partition: &TopicPartition) {
        if self.partitions.is_empty() {
            return;
        }
        if let Some(failing) = self.partitions.remove(partition) {
            if failing.is_stuck() {
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
        let mut has_changed = false;
        for partition in partitions {
            has_changed |= self.partitions.remove(partition).is_some();
            has_changed |= self.silent.remove(partition).is_some();
        }
        if has_changed {
            self.publish();
        }
    }

    /// At which offset (where that is known) this partition is stuck and why, if
    /// it is.
    pub fn find(&self, partition: &TopicPartition) -> Option<(Option<i64>, &str)> {
        if let Some(failing) = self.partitions.get(partition)
            && failing.is_stuck()
        {
            return Some((Some(failing.offset), &failing.cause));
        }
        let silent = self.silent.get(partition)?;
        silent.is_stuck().then_some((None, &silent.cause))
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
            failing.retried = Some(now);
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
            failing.is_to_be_read = next == failing.offset;
            due.push(match failing.is_to_be_read {
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
        let stuck = self
            .partitions
            .iter()
            .filter(|(_, failing)| failing.is_stuck())
            .map(|(partition, failing)| StuckPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset: Some(failing.offset),
                cause: failing.cause.clone(),
            });
        let silent = self
            .silent
            .iter()
            .filter(|(partition, silent)| {
                silent.is_stuck() && !self.partitions.contains_key(partition)
            })
            .map(|(partition, silent)| StuckPartition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset: None,
                cause: silent.cause.clone(),
            });
        self.progress.set_stuck(stuck.chain(silent).collect());
    }
}

impl Failing {
    /// Only once the recorded gaps were looked at: what an operator has skipped is
    /// met again by a run that reads it a second time.
    fn is_stuck(&self) -> bool {
        self.failures >= STUCK_AFTER && self.is_to_be_read
    }
}

impl Silent {
    fn is_stuck(&self) -> bool {
        self.since.elapsed() >= SILENT_TIMEOUT
    }
}
