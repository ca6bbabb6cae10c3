//! Whether the bridge runs, and what has gone through it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;

/// Open at start. Closed, no event goes to Kafka and no record to the agent.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    sent: AtomicU64,
    given: AtomicU64,
    dead: AtomicU64,
    agent_trouble: Mutex<Option<String>>,
}

/// What a bridge says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub running: bool,
    /// Whether a record is waiting for the agent.
    pub agent_away: bool,
    /// Why it waits.
    pub agent_trouble: Option<String>,
    /// Events that Kafka has acknowledged, since the process began.
    pub events_sent: u64,
    /// Records that the agent has taken.
    pub records_given: u64,
    /// Records that went to the dead-letter topic.
    pub dead_letters: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            is_open: AtomicBool::new(true),
            sent: AtomicU64::new(0),
            given: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            agent_trouble: Mutex::default(),
        }
    }
}

impl Gate {
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Opens or closes; whether that changed anything.
    pub fn set_open(&self, open: bool) -> bool {
        self.is_open.swap(open, Ordering::AcqRel) != open
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_given(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    /// Why a record waits for the agent, or that none does. Whether that is news.
    pub(super) fn set_agent_trouble(&self, trouble: Option<&str>) -> bool {
        let mut known = self.agent_trouble();
        let is_news = known.as_deref() != trouble;
        *known = trouble.map(str::to_owned);
        is_news
    }

    fn agent_trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.agent_trouble
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
    }

    pub fn counts(&self) -> Counts {
        let agent_trouble = self.agent_trouble().clone();
        Counts {
            running: self.is_open(),
            agent_away: agent_trouble.is_some(),
            agent_trouble,
            events_sent: self.sent.load(Ordering::Relaxed),
            records_given: self.given.load(Ordering::Relaxed),
            dead_letters: self.dead.load(Ordering::Relaxed),
        }
    }
}
