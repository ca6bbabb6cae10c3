//! What the archiver has done: the status line and the summary.

use std::collections::BTreeMap;
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
}

impl Default for Progress {
    /// Nothing done, from now on.
    fn default() -> Self {
        Self {
            started: Instant::now(),
            topics: Mutex::default(),
            lost: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }
}

impl Progress {
    pub(super) fn lost(&self, gaps: Vec<Gap>) {
        let mut lost = self.lost.lock().unwrap_or_else(|lock| lock.into_inner());
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
        let mut topics = self.topics.lock().unwrap_or_else(|lock| lock.into_inner());
        match topics.get_mut(topic) {
            Some(count) => change(count),
            None => change(topics.entry(topic.clone()).or_default()),
        }
    }

    /// Everything up to now.
    pub fn summary(&self) -> Summary {
        let topics = self.topics.lock().unwrap_or_else(|lock| lock.into_inner());
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
            unreadable: self
                .unreadable
                .lock()
                .unwrap_or_else(|lock| lock.into_inner())
                .values()
                .cloned()
                .collect(),
        }
    }
}
