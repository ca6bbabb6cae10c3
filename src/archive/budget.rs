//! The bytes that the archiver may hold at once, from «received» to
//! «catalogued».

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::record::Record;

/// While its object is stored, a record is there twice: as it came, and as the
/// document.
const COPIES: usize = 2;

/// What is around the two.
const OVERHEAD: usize = 1024;

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

    /// Units that `record` needs. A record larger than the whole budget takes
    /// all of it, and so travels alone.
    pub fn units_of(&self, record: &Record) -> u32 {
        u32::try_from((COPIES * record.bytes() + OVERHEAD).div_ceil(UNIT))
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
