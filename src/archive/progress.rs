//! What the archiver has done: the status line and the summary.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use crate::catalogue::Gap;

/// Counts since the start of the process.
pub struct Progress {
    started: Instant,
    topics: Mutex<BTreeMap<Arc<str>, TopicCount>>,
    lost: Mutex<Vec<LostRange>>,
    unreadable: Mutex<BTreeMap<(String, i32, i64), UnreadableRow>>,
    stuck: Mutex<Vec<StuckPartition>>,
    unread: Mutex<Vec<Unread>>,
    denied: Mutex<Vec<String>>,
}

/// A record that may be the message of an older row whose object cannot be
/// read. It waits, uncommitted, until the object can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableRow {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The UUID of the row.
    pub row: Uuid,
    pub key: String,
    pub cause: String,
}

/// A partition that cannot be read on now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StuckPartition {
    pub topic: String,
    pub partition: i32,
    /// The first offset that is not read, where it is known.
    pub offset: Option<i64>,
    pub cause: String,
}

/// What was to be archived and was not, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unread {
    pub topic: String,
    /// `None` for the whole topic.
    pub partition: Option<i32>,
    /// The first offset that is not archived, where it is known.
    pub offset: Option<i64>,
    /// Offsets behind the last stable offset, where an open transaction is the
    /// cause: an upper bound of the records, as it counts control records.
    pub unstable_records: Option<i64>,
    pub cause: String,
}

/// Offsets of a partition, [from, to), that Kafka's retention removed before
/// they were archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostRange {
    pub topic: String,
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// What became of the records of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopicCount {
    /// Messages that are in the archive now and were not before.
    pub archived: u64,
    /// Deliveries of messages that the archive already had.
    pub duplicates: u64,
    /// Bytes of the archived objects.
    pub bytes: u64,
}

/// All of it, for people and for `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub archived: u64,
    pub duplicates: u64,
    /// Bytes of the archived objects.
    pub bytes: u64,
    pub seconds: f64,
    /// Archived messages a second, over the whole run.
    pub rate: f64,
    pub topics: BTreeMap<String, TopicCount>,
    /// What was found lost in this run.
    pub lost: Vec<LostRange>,
    /// Records that wait for an object that cannot be read.
    pub unreadable: Vec<UnreadableRow>,
    /// Partitions that cannot be read on.
    pub stuck: Vec<StuckPartition>,
    /// Topics and partitions whose end was to be reached and was not.
    pub unread: Vec<Unread>,
}

impl Default for Progress {
    /// Nothing done, from now on.
    fn default() -> Self {
        Self {
            started: Instant::now(),
            topics: Mutex::default(),
            lost: Mutex::default(),
            stuck: Mutex::default(),
            unread: Mutex::default(),
            denied: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }
}

impl Progress {
    pub(super) fn lost(&self, gaps: Vec<Gap>) {
        let mut lost = lock(&self.lost);
        lost.extend(gaps.into_iter().map(|gap| LostRange {
            topic: gap.topic.to_string(),
            partition: gap.partition,
            from: gap.from,
            to: gap.to,
        }));
    }

    /// Notes that a record waits for an object that cannot be read. Returns how
    /// many do, and whether this one is new.
    pub(super) fn waits(&self, of: UnreadableRow) -> (usize, bool) {
        let mut waiting = self
            .unreadable
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        let key = (of.topic.clone(), of.partition, of.offset);
        let is_new = waiting.insert(key, of).is_none();
        (waiting.len(), is_new)
    }

    /// A record waits no longer. Returns whether it did.
    pub(super) fn waits_no_longer(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let mut waiting = self
            .unreadable
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        !waiting.is_empty()
            && waiting
                .remove(&(topic.to_owned(), partition, offset))
                .is_some()
    }

    pub(super) fn set_stuck(&self, stuck: Vec<StuckPartition>) {
        *lock(&self.stuck) = stuck;
    }

    /// Records that wait for an object that cannot be read.
    pub fn unreadable(&self) -> Vec<UnreadableRow> {
        lock(&self.unreadable).values().cloned().collect()
    }

    /// Partitions that cannot be read on now.
    pub fn stuck(&self) -> Vec<StuckPartition> {
        lock(&self.stuck).clone()
    }

    pub(super) fn set_denied(&self, topics: &BTreeSet<Arc<str>>) {
        *lock(&self.denied) = topics.iter().map(|topic| topic.to_string()).collect();
    }

    /// Topics that are to be archived and that the user may not read.
    pub fn denied(&self) -> Vec<String> {
        lock(&self.denied).clone()
    }

    pub(super) fn set_unread(&self, unread: Vec<Unread>) {
        *lock(&self.unread) = unread;
    }

    /// What was to be archived and is not read.
    pub fn unread(&self) -> Vec<Unread> {
        lock(&self.unread).clone()
    }

    pub(super) fn archived(&self, topic: &Arc<str>, bytes: u64) {
        self.count(topic, |count| {
            count.archived += 1;
            count.bytes += bytes;
        });
    }

    pub(super) fn duplicate(&self, topic: &Arc<str>) {
        self.count(topic, |count| count.duplicates += 1);
    }

    fn count(&self, topic: &Arc<str>, change: impl FnOnce(&mut TopicCount)) {
        let mut topics = lock(&self.topics);
        match topics.get_mut(topic) {
            Some(count) => change(count),
            None => change(topics.entry(topic.clone()).or_default()),
        }
    }

    /// Everything up to now.
    pub fn summary(&self) -> Summary {
        let topics = lock(&self.topics);
        let sum = |part: fn(&TopicCount) -> u64| topics.values().map(part).sum::<u64>();
        let (archived, seconds) = (sum(|t| t.archived), self.started.elapsed().as_secs_f64());
        Summary {
            archived,
            duplicates: sum(|t| t.duplicates),
            bytes: sum(|t| t.bytes),
            seconds,
            rate: archived as f64 / seconds.max(f64::EPSILON),
            topics: topics
                .iter()
                .map(|(topic, count)| (topic.to_string(), count.clone()))
                .collect(),
            lost: self
                .lost
                .lock()
                .unwrap_or_else(|lock| lock.into_inner())
                .clone(),
            unreadable: self.unreadable(),
            stuck: self.stuck(),
            unread: self.unread(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|lock| lock.into_inner())
}
