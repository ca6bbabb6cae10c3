//! How far the comparison has come, for whoever shows it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counted by the verifier, read by others at any time.
#[derive(Debug, Default)]
pub struct Progress {
    expected: AtomicU64,
    messages: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    is_backwards: AtomicBool,
}

/// What is being compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Catalogue → store.
    Messages,
    /// Store → catalogue.
    Objects,
}

/// The state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub phase: Phase,
    /// How many messages, and about how many objects, there are to look at.
    pub expected: u64,
    pub messages: u64,
    pub objects: u64,
    /// Of objects that were read.
    pub bytes: u64,
}

impl Snapshot {
    /// How many of this phase's things are done.
    pub fn done(&self) -> u64 {
        match self.phase {
            Phase::Messages => self.messages,
            Phase::Objects => self.objects,
        }
    }
}

impl Progress {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: match self.is_backwards.load(Ordering::Relaxed) {
                false => Phase::Messages,
                true => Phase::Objects,
            },
            expected: self.expected.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn expect(&self, messages: u64) {
        self.expected.store(messages, Ordering::Relaxed);
    }

    pub(super) fn turn_backwards(&self) {
        self.is_backwards.store(true, Ordering::Relaxed);
    }

    pub(super) fn message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn objects(&self, n: usize) {
        self.objects.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
