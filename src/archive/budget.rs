//! The bytes that the archiver may hold at once, from «received» to
//! «catalogued».

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::envelope;
use crate::record::Record;

/// Bytes of a record's row, as it is described, added and sent to the database,
/// and of what follows the record through the archiver.
const OVERHEAD: usize = 2048;

/// Counted in units of this many bytes, so that any budget fits a semaphore.
const UNIT: usize = 64;

/// Shared by all that hold records.
#[derive(Clone)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    units: u32,
}

/// Bytes that are taken; given back when dropped.
pub(super) type Taken = OwnedSemaphorePermit;

impl Budget {
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Units that `record` needs: it is held as it came and as the document that
    /// is stored. A record larger than the whole budget takes all of it, and so
    /// travels alone.
    pub fn units_of(&self, record: &Record) -> u32 {
        let bytes = record.bytes() + envelope::encoded_bytes(record) + OVERHEAD;
        u32::try_from(bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .min(self.units)
    }

    /// Takes so many units, waiting up to `patience` on a thread that is none
    /// of the runtime's.
    pub fn take(&self, units: u32, patience: Duration, runtime: &Handle) -> Option<Taken> {
        if let Ok(taken) = self.free.clone().try_acquire_many_owned(units) {
            return Some(taken);
        }
        let wait = self.free.clone().acquire_many_owned(units);
        runtime
            .block_on(async { tokio::time::timeout(patience, wait).await })
            .ok()?
            .ok()
    }
}
