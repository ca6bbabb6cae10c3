//! The catalogue's list of what cannot be archived now, which `status` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::failure::ArchiveError;
use super::progress::Progress;
use super::watermark::Watermarks;
use crate::catalogue::{Catalogue, Stuck};
use crate::kafka::TopicPartition;

const INTERVAL: Duration = Duration::from_secs(1);

/// After a failure of the catalogue.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);

/// What was stuck when another process read the partition, and is not found stuck
/// here for this long, is not any more.
const RECOVERY_TIME: Duration = Duration::from_secs(60);

/// An entry without its cause.
type Key = (Arc<str>, i32, Option<i64>, Option<String>);

pub(super) struct StuckList {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    watermarks: Arc<Watermarks>,
    assigned: BTreeSet<TopicPartition>,
    assigned_at: Instant,
    /// Partitions of topics that are no longer read.
    gone: BTreeSet<TopicPartition>,
    /// What the catalogue has; `None`: not read since partitions were assigned.
    listed: Option<BTreeMap<Key, String>>,
    next: Instant,
}

impl StuckList {
    pub fn new(
        catalogue: Arc<dyn Catalogue>,
        progress: Arc<Progress>,
        watermarks: Arc<Watermarks>,
    ) -> Self {
        let now = Instant::now();
        Self {
            catalogue,
            progress,
            watermarks,
            assigned: BTreeSet::new(),
            assigned_at: now,
            gone: BTreeSet::new(),
            listed: None,
            next: now,
        }
    }

    /// These partitions are read here from now on.
    pub fn begin(&mut self, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        for partition in partitions {
            self.gone.remove(partition);
            self.assigned.insert(partition.clone());
        }
        self.assigned_at = Instant::now();
        self.listed = None;
    }

    /// This partition is no longer read here; with `is_gone` nobody reads it.
    pub fn end(&mut self, partition: &TopicPartition, is_gone: bool) {
        self.assigned.remove(partition);
        if is_gone {
            self.gone.insert(partition.clone());
        }
    }

    /// Brings the list up to date when it is time to.
    pub fn follow(&mut self) -> Result<(), ArchiveError> {
        match Instant::now() < self.next {
            true => Ok(()),
            false => self.update(),
        }
    }

    /// Brings the list up to date. A catalogue that is away is asked again later.
    pub fn update(&mut self) -> Result<(), ArchiveError> {
        self.next = Instant::now() + INTERVAL;
        match self.try_update() {
            Err(error) if error.is_passing() => {
                debug!(%error, "list of stuck partitions not updated");
                self.next = Instant::now() + RETRY_INTERVAL;
                Ok(())
            }
            done => done,
        }
    }

    fn try_update(&mut self) -> Result<(), ArchiveError> {
        let current = self.current();
        let mut listed = match self.listed.take() {
            Some(listed) => listed,
            None => self
                .catalogue
                .stuck()?
                .into_iter()
                .map(|(stuck, _)| entry(stuck))
                .collect(),
        };
        let begun: Vec<Stuck> = current
            .iter()
            .filter(|(key, cause)| listed.get(*key) != Some(*cause))
            .map(|(key, cause)| stuck(key, cause))
            .collect();
        let ended: Vec<Stuck> = listed
            .iter()
            .filter(|(key, _)| !current.contains_key(*key) && self.is_over(key))
            .map(|(key, cause)| stuck(key, cause))
            .collect();
        if !begun.is_empty() || !ended.is_empty() {
            self.catalogue.change_stuck(&ended, &begun)?;
        }
        for one in ended {
            listed.remove(&entry(one).0);
        }
        listed.extend(begun.into_iter().map(entry));
        self.gone.clear();
        self.listed = Some(listed);
        Ok(())
    }

    /// What is stuck now, as far as this process knows.
    fn current(&self) -> BTreeMap<Key, String> {
        let waiting = self.progress.unreadable().into_iter().map(|row| {
            let key = (
                row.topic.into(),
                row.partition,
                Some(row.offset),
                Some(row.key),
            );
            (key, row.cause)
        });
        let mut current: BTreeMap<Key, String> = waiting.collect();
        let mut partitions = BTreeSet::new();
        for stuck in self.progress.stuck() {
            let topic: Arc<str> = stuck.topic.into();
            partitions.insert(TopicPartition::new(&topic, stuck.partition));
            current.insert((topic, stuck.partition, stuck.offset, None), stuck.cause);
        }
        // What `run --until-eos` has given up.
        for unread in self.progress.unread() {
            let topic: Arc<str> = unread.topic.into();
            if let Some(partition) = unread.partition
                && !partitions.contains(&TopicPartition::new(&topic, partition))
            {
                current.insert((topic, partition, unread.offset, None), unread.cause);
            }
        }
        current
    }

    /// Whether what is listed has ended, as far as this process can tell.
    fn is_over(&self, (topic, number, offset, _): &Key) -> bool {
        let partition = TopicPartition::new(topic, *number);
        if self.gone.contains(&partition) {
            return true;
        }
        if !self.assigned.contains(&partition) {
            return false;
        }
        let settled = self.watermarks.settled_to(&partition);
        settled.is_some_and(|settled| offset.is_none_or(|offset| settled > offset))
            || self.assigned_at.elapsed() >= RECOVERY_TIME
    }
}

fn entry(stuck: Stuck) -> (Key, String) {
    let key = (stuck.topic, stuck.partition, stuck.offset, stuck.object);
    (key, stuck.cause)
}

fn stuck((topic, partition, offset, object): &Key, cause: &str) -> Stuck {
    Stuck {
        topic: topic.clone(),
        partition: *partition,
        offset: *offset,
        object: object.clone(),
        cause: cause.to_owned(),
    }
}
