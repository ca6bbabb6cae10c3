//! What the consumer tells from within a poll: partitions that come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tracing::{info, warn};

use super::watermark::Watermarks;
use crate::kafka::{ConsumerEvents, GroupOffset, TopicPartition};

/// What is begun of a partition that is given up may take this long to finish.
/// Below the time that the group waits for a member in a rebalance.
const REVOKE_PATIENCE: Duration = Duration::from_secs(20);

/// Kept until the reader takes it.
pub(super) struct Events {
    watermarks: Arc<Watermarks>,
    begun: Mutex<Vec<TopicPartition>>,
    given_up: Mutex<Vec<TopicPartition>>,
    /// The time for what is in flight is over.
    leaving: AtomicBool,
}

impl Events {
    pub fn new(watermarks: Arc<Watermarks>) -> Arc<Self> {
        Arc::new(Self {
            watermarks,
            begun: Mutex::default(),
            given_up: Mutex::default(),
            leaving: AtomicBool::new(false),
        })
    }

    /// From now on nothing in flight is waited for.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether nothing of these partitions is in flight, at the latest after
    /// the patience that there is.
    fn is_idle(&self, partitions: &[TopicPartition]) -> bool {
        let patience = match self.leaving.load(Ordering::Acquire) {
            true => Duration::ZERO,
            false => REVOKE_PATIENCE,
        };
        self.watermarks.wait_idle(Some(partitions), patience)
    }

    /// What came since this was last asked for.
    pub fn take_begun(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut *lock(&self.begun))
    }

    /// What was given up since this was last asked for.
    pub fn take_given_up(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut *lock(&self.given_up))
    }
}

impl ConsumerEvents for Events {
    fn assigned(&self, partitions: &[TopicPartition]) {
        info!("reading {} partitions more", partitions.len());
        self.watermarks.begin(partitions);
        lock(&self.begun).extend_from_slice(partitions);
    }

    fn revoked(
        &self,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Vec<(TopicPartition, GroupOffset)> {
        info!(lost, "giving up {} partitions", partitions.len());
        self.watermarks.let_go(Some(partitions));
        // The others of the group wait meanwhile.
        self.watermarks.hurry();
        if !lost && !self.is_idle(partitions) {
            warn!(
                "records of partitions that are given up are still in flight: left to whoever reads them next"
            );
        }
        lock(&self.given_up).extend_from_slice(partitions);
        self.watermarks.give_up(partitions)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
