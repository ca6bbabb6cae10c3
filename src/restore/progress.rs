//! How far a restore has come, for whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by the restore, read by others at any time.
#[derive(Debug, Default)]
pub struct Progress {
    expected: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// How many records there are to restore, those that are there already
    /// included.
    pub fn expected(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// How many of them are there, or passed.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Of documents read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn expect(&self, records: u64) {
        self.expected.store(records, Ordering::Relaxed);
    }

    pub(super) fn passed(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
