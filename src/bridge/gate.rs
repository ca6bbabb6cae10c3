//! Whether the bridge runs, and what has gone through it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

/// Open at start. Closed, no event goes to Kafka and no record to the agent.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    sent: AtomicU64,
    given: AtomicU64,
    dead: AtomicU64,
    is_agent_away: AtomicBool,
}

/// What a bridge says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub running: bool,
    /// Whether a record is waiting for the agent.
    pub agent_away: bool,
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
            is_agent_away: AtomicBool::new(false),
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

    /// Whether that is news.
    pub(super) fn set_agent_away(&self, away: bool) -> bool {
        self.is_agent_away.swap(away, Ordering::Relaxed) != away
    }

    pub fn counts(&self) -> Counts {
        Counts {
            running: self.is_open(),
            agent_away: self.is_agent_away.load(Ordering::Relaxed),
            events_sent: self.sent.load(Ordering::Relaxed),
            records_given: self.given.load(Ordering::Relaxed),
            dead_letters: self.dead.load(Ordering::Relaxed),
        }
    }
}
