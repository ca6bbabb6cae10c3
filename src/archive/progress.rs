//! What the archiver has done: the status line and the summary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;

use crate::catalogue::Gap;

/// Counts since the start of the process.
pub struct Progress {
    started: Instant,
    topics: Mutex<BTreeMap<Arc<str>, TopicCount>>,
    lost: Mutex<Vec<LostRange>>,
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
}

impl Default for Progress {
    /// Nothing done, from now on.
    fn default() -> Self {
        Self {
            started: Instant::now(),
            topics: Mutex::default(),
            lost: Mutex::default(),
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
        }
    }
}
