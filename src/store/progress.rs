//! `store-log-every`: a line in the log now and then.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the objects that one store has stored since it was opened.
pub(super) struct Progress {
    every: u64,
    stored: AtomicU64,
}

impl Progress {
    /// Logs every so many objects; 0 never.
    pub(super) fn new(every: u64) -> Self {
        Self {
            every,
            stored: AtomicU64::new(0),
        }
    }

    /// Counts one object that was stored under `key`.
    pub(super) fn stored(&self, store: &str, key: &str) {
        let objects = self.stored.fetch_add(1, Ordering::Relaxed) + 1;
        if self.every != 0 && objects.is_multiple_of(self.every) {
            tracing::info!(store, objects, latest = key, "objects stored");
        }
    }
}
