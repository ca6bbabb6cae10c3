//! Records between «received» and «archived» of one partition, and the ticket
//! that each of them holds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::kafka::{GroupOffset, TopicId};

/// What all partitions tell.
#[derive(Default)]
pub(super) struct Signals {
    /// Told whenever a partition may have become idle.
    pub idle: (Mutex<()>, Condvar),
    /// How often somebody was in a hurry for what is begun.
    pub hurries: AtomicU64,
}

#[derive(Default)]
pub(super) struct Partition {
    pub flight: Mutex<Flight>,
}

/// Records between «received» and «archived», oldest first.
#[derive(Default)]
pub(super) struct Flight {
    records: VecDeque<InFlight>,
    /// Records that are begun: [`Ticket::begin`].
    begun: usize,
    /// Of those, the ones that nothing but an object can end: [`Ticket::wait`].
    waiting: usize,
    /// Whether what is not begun yet need not be begun any more.
    pub is_let_go: bool,
    /// Serial number of the front record.
    front: u64,
    /// One past the last record of the contiguous archived ones.
    watermark: Option<i64>,
    pub committed: Option<i64>,
    pub hold: Hold,
    pub topic_id: Option<TopicId>,
}

/// What is not to be committed yet although it is archived.
#[derive(Clone, Copy, Default)]
pub(super) enum Hold {
    /// It is not known yet what is read.
    #[default]
    All,
    /// Offsets after this one.
    After(i64),
    Nothing,
}

struct InFlight {
    offset: i64,
    done: bool,
    /// It waits for an object that cannot be read.
    waits: bool,
}

/// A record that is in flight. Dropped without [`Ticket::done`] it is abandoned:
/// it holds its partition's watermark back for good, so that it is read again.
pub struct Ticket {
    partition: Arc<Partition>,
    serial: u64,
    is_begun: bool,
    is_waiting: bool,
    signals: Arc<Signals>,
}

impl Partition {
    /// Notes a record that was received, the next one of its partition.
    pub fn received(self: &Arc<Self>, offset: i64, signals: &Arc<Signals>) -> Ticket {
        let mut flight = lock(&self.flight);
        flight.records.push_back(InFlight {
            offset,
            done: false,
            waits: false,
        });
        Ticket {
            partition: self.clone(),
            serial: flight.front + flight.records.len() as u64 - 1,
            is_begun: false,
            is_waiting: false,
            signals: signals.clone(),
        }
    }
}

impl Flight {
    /// Offsets before `to` are not archived by order: the watermark passes them
    /// once all that was received before is archived.
    pub fn skip_to(&mut self, to: i64) {
        self.records.push_back(InFlight {
            offset: to - 1,
            done: true,
            waits: false,
        });
        self.advance();
    }

    fn advance(&mut self) {
        while self.records.front().is_some_and(|record| record.done) {
            if let Some(record) = self.records.pop_front() {
                self.watermark = Some(record.offset + 1);
                self.front += 1;
            }
        }
    }

    /// What may be committed.
    pub fn committable(&self) -> Option<i64> {
        match self.hold {
            Hold::All => None,
            Hold::After(offset) => Some(self.watermark?.min(offset)),
            Hold::Nothing => self.watermark,
        }
    }

    /// One past the last record that was received, when all are archived but
    /// those that wait for an object.
    pub fn settled_to(&self) -> Option<i64> {
        let is_settled = |record: &InFlight| record.done || record.waits;
        match self.records.back() {
            None => self.watermark,
            Some(last) => {
                let all = self.records.iter().all(is_settled);
                all.then_some(last.offset + 1)
            }
        }
    }

    /// Whether records wait for an object.
    pub fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Nothing is left to archive before `offset`: it may be committed.
    pub fn pass_to(&mut self, offset: i64) {
        if self.records.is_empty() && self.watermark.is_none_or(|at| at < offset) {
            self.watermark = Some(offset);
        }
    }

    /// What may be committed and is not yet.
    pub fn uncommitted(&self) -> Option<GroupOffset> {
        let offset = self.committable()?;
        let topic_id = self.topic_id;
        (self.committed != Some(offset)).then_some(GroupOffset { offset, topic_id })
    }

    /// Whether all that was received is archived.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether something is still waited for.
    pub fn is_busy(&self) -> bool {
        match self.is_let_go {
            true => self.begun > self.waiting,
            false => self.settled_to().is_none() && !self.records.is_empty(),
        }
    }
}

impl Ticket {
    /// Whether the record is to be archived here: it is waited for then. If
    /// not, its partition was let go: it is read again, here or elsewhere. To
    /// be asked in the order of offsets: what is archived after a record that
    /// was let go cannot be committed.
    pub fn begin(&mut self) -> bool {
        let mut flight = lock(&self.partition.flight);
        if flight.is_let_go {
            return false;
        }
        flight.begun += 1;
        self.is_begun = true;
        true
    }

    /// Whether the partition was not let go.
    pub fn is_wanted(&self) -> bool {
        !lock(&self.partition.flight).is_let_go
    }

    /// How often somebody was in a hurry so far: whoever has begun much ends it
    /// sooner then.
    pub fn hurries(&self) -> u64 {
        self.signals.hurries.load(Ordering::Acquire)
    }

    /// The record can be archived only once an object can be read: nobody has to
    /// wait for that.
    pub fn wait(&mut self) {
        let mut flight = lock(&self.partition.flight);
        let index = (self.serial - flight.front) as usize;
        if let Some(record) = flight.records.get_mut(index) {
            record.waits = true;
        }
        flight.waiting += usize::from(!self.is_waiting);
        self.is_waiting = true;
        drop(flight);
        drop(lock(&self.signals.idle.0));
        self.signals.idle.1.notify_all();
    }

    /// The record is in the catalogue.
    pub fn done(self) {
        let mut flight = lock(&self.partition.flight);
        let index = (self.serial - flight.front) as usize;
        if let Some(record) = flight.records.get_mut(index) {
            record.done = true;
        }
        flight.advance();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut flight = lock(&self.partition.flight);
        flight.begun -= usize::from(self.is_begun);
        flight.waiting -= usize::from(self.is_waiting);
        if flight.begun == 0 {
            drop(flight);
            drop(lock(&self.signals.idle.0));
            self.signals.idle.1.notify_all();
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
