//! How far the comparison has come, for whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::signatures::Counter;

use crate::catalogue::Verification;

/// Counted by the verifier, read by others at any time.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) signatures: Counter,
    expected: AtomicU64,
    messages: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
    phase: AtomicU8,
}

/// What is being compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Catalogue → store.
    Messages,
    /// Store → catalogue.
    Objects,
    /// Kafka → catalogue.
    Records,
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
    /// Records of Kafka that were compared.
    pub records: u64,
}

impl Snapshot {
    /// How many of this phase's things are done.
    pub fn done(&self) -> u64 {
        match self.phase {
            Phase::Messages => self.messages,
            Phase::Objects => self.objects,
            Phase::Records => self.records,
        }
    }
}

impl Progress {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: match self.phase.load(Ordering::Relaxed) {
                0 => Phase::Messages,
                1 => Phase::Objects,
                _ => Phase::Records,
            },
            expected: self.expected.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
        }
    }

    pub(super) fn expect(&self, messages: u64) {
        self.expected.store(messages, Ordering::Relaxed);
    }

    /// Counts on from what an earlier part of the verification has done.
    pub(super) fn go_on_from(&self, before: &Verification) {
        let set = |counter: &AtomicU64, number: i64| {
            counter.store(u64::try_from(number).unwrap_or_default(), Ordering::Relaxed);
        };
        set(&self.messages, before.messages);
        set(&self.objects, before.objects);
        set(&self.bytes, before.bytes);
    }

    pub(super) fn turn_backwards(&self) {
        self.phase.store(1, Ordering::Relaxed);
    }

    /// From now on records of Kafka are compared, about so many.
    pub(super) fn turn_to_kafka(&self, records: u64) {
        self.expect(records);
        self.phase.store(2, Ordering::Relaxed);
    }

    pub(super) fn message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn objects(&self, n: usize) {
        self.objects.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn records(&self, n: usize) {
        self.records.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
