//! The contiguous low watermark of each partition: the offset below which
//! everything is archived, and the only one that is ever committed; with the
//! topic that it is an offset of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::kafka::{GroupOffset, TopicId, TopicPartition};

/// All partitions that this process reads.
#[derive(Default)]
pub struct Watermarks {
    partitions: Mutex<BTreeMap<TopicPartition, Arc<Partition>>>,
    signals: Arc<Signals>,
}

/// What all partitions tell.
#[derive(Default)]
struct Signals {
    /// Told whenever a partition may have become idle.
    idle: (Mutex<()>, Condvar),
    /// How often something was let go.
    let_gos: AtomicU64,
}

#[derive(Default)]
struct Partition {
    flight: Mutex<Flight>,
}

/// Records between «received» and «archived», oldest first.
#[derive(Default)]
struct Flight {
    records: VecDeque<InFlight>,
    /// Records that are begun: [`Ticket::begin`].
    begun: usize,
    /// Whether what is not begun yet need not be begun any more.
    is_let_go: bool,
    /// Serial number of the front record.
    front: u64,
    /// One past the last record of the contiguous archived ones.
    watermark: Option<i64>,
    committed: Option<i64>,
    hold: Hold,
    topic_id: Option<TopicId>,
}

/// What is not to be committed yet although it is archived.
#[derive(Clone, Copy, Default)]
enum Hold {
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
}

/// A record that is in flight. Dropped without [`Ticket::done`] it is abandoned:
/// it holds its partition's watermark back for good, so that it is read again.
pub struct Ticket {
    partition: Arc<Partition>,
    serial: u64,
    is_begun: bool,
    signals: Arc<Signals>,
}

impl Watermarks {
    /// These partitions are read from now on. Nothing is committed for them
    /// until [`Watermarks::is_read_of`] and [`Watermarks::release`].
    pub fn begin(&self, begun: &[TopicPartition]) {
        let mut partitions = lock(&self.partitions);
        for partition in begun {
            partitions.insert(partition.clone(), Arc::default());
        }
    }

    /// Of which topic of its name the partition is read; it is committed with
    /// every offset.
    pub fn is_read_of(&self, partition: &TopicPartition, topic_id: Option<TopicId>) {
        if let Some(state) = lock(&self.partitions).get(partition) {
            lock(&state.flight).topic_id = topic_id;
        }
    }

    /// Commits no offset after this one until [`Watermarks::release`].
    pub fn hold_after(&self, partition: &TopicPartition, offset: i64) {
        if let Some(state) = lock(&self.partitions).get(partition) {
            let mut flight = lock(&state.flight);
            if let Hold::Nothing = flight.hold {
                flight.hold = Hold::After(offset);
            }
        }
    }

    /// Whatever is archived of this partition may be committed.
    pub fn release(&self, partition: &TopicPartition) {
        if let Some(state) = lock(&self.partitions).get(partition) {
            lock(&state.flight).hold = Hold::Nothing;
        }
    }

    /// The partitions of which it is known what is read, and of which topic of
    /// their name that is.
    pub fn read_of(&self) -> BTreeMap<TopicPartition, Option<TopicId>> {
        lock(&self.partitions)
            .iter()
            .filter_map(|(partition, state)| {
                let flight = lock(&state.flight);
                let is_known = !matches!(flight.hold, Hold::All);
                is_known.then(|| (partition.clone(), flight.topic_id))
            })
            .collect()
    }

    /// Notes a record that was received. Records of a partition come in the
    /// order of their offsets.
    pub fn received(&self, partition: &TopicPartition, offset: i64) -> Ticket {
        let mut partitions = lock(&self.partitions);
        let partition = match partitions.get(partition) {
            Some(known) => known.clone(),
            None => {
                let new = Arc::<Partition>::default();
                partitions.insert(partition.clone(), new.clone());
                new
            }
        };
        drop(partitions);
        let mut flight = lock(&partition.flight);
        flight.records.push_back(InFlight {
            offset,
            done: false,
        });
        let serial = flight.front + flight.records.len() as u64 - 1;
        drop(flight);
        Ticket {
            partition,
            serial,
            is_begun: false,
            signals: self.signals.clone(),
        }
    }

    /// What may be committed and is not yet.
    pub fn uncommitted(&self) -> Vec<(TopicPartition, GroupOffset)> {
        lock(&self.partitions)
            .iter()
            .filter_map(|(partition, state)| {
                let flight = lock(&state.flight);
                let offset = flight.committable()?;
                let topic_id = flight.topic_id;
                (flight.committed != Some(offset))
                    .then(|| (partition.clone(), GroupOffset { offset, topic_id }))
            })
            .collect()
    }

    /// Notes what the broker has taken.
    pub fn committed(&self, offsets: &[(TopicPartition, i64)]) {
        let partitions = lock(&self.partitions);
        for (partition, offset) in offsets {
            if let Some(state) = partitions.get(partition) {
                lock(&state.flight).committed = Some(*offset);
            }
        }
    }

    /// Whether a record of this partition was received and is not archived.
    pub fn in_flight(&self, partition: &TopicPartition) -> bool {
        lock(&self.partitions)
            .get(partition)
            .is_some_and(|state| !lock(&state.flight).records.is_empty())
    }

    /// One past the last record that was received of this partition, when all
    /// of them are archived.
    pub fn archived_to(&self, partition: &TopicPartition) -> Option<i64> {
        let partitions = lock(&self.partitions);
        let flight = lock(&partitions.get(partition)?.flight);
        flight.watermark.filter(|_| flight.records.is_empty())
    }

    /// What is not begun of these partitions (of all, with `None`) need not be
    /// begun any more.
    pub fn let_go(&self, partitions: Option<&[TopicPartition]>) {
        for (partition, state) in &*lock(&self.partitions) {
            if partitions.is_none_or(|some| some.contains(partition)) {
                lock(&state.flight).is_let_go = true;
            }
        }
        self.signals.let_gos.fetch_add(1, Ordering::Release);
    }

    /// Waits until every record of these partitions (of all, with `None`) is
    /// archived; where they were let go, every record that is begun. Whether that was so before the time was over.
    pub fn wait_idle(&self, partitions: Option<&[TopicPartition]>, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = lock(&self.signals.idle.0);
        loop {
            let busy = match partitions {
                Some(partitions) => partitions.iter().any(|p| self.is_busy(p)),
                None => self.any_is_busy(),
            };
            if !busy {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            guard = match self.signals.idle.1.wait_timeout(guard, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn is_busy(&self, partition: &TopicPartition) -> bool {
        lock(&self.partitions)
            .get(partition)
            .is_some_and(|state| lock(&state.flight).is_busy())
    }

    fn any_is_busy(&self) -> bool {
        lock(&self.partitions)
            .values()
            .any(|state| lock(&state.flight).is_busy())
    }

    /// Gives partitions up: what is still in flight of them may finish, and is
    /// committed by nobody here. The answer is what may be committed as the
    /// last thing before.
    pub fn give_up(&self, given_up: &[TopicPartition]) -> Vec<(TopicPartition, GroupOffset)> {
        let last = self
            .uncommitted()
            .into_iter()
            .filter(|(partition, _)| given_up.contains(partition))
            .collect();
        let mut partitions = lock(&self.partitions);
        for partition in given_up {
            partitions.remove(partition);
        }
        last
    }
}

impl Flight {
    fn committable(&self) -> Option<i64> {
        match self.hold {
            Hold::All => None,
            Hold::After(offset) => Some(self.watermark?.min(offset)),
            Hold::Nothing => self.watermark,
        }
    }
}

impl Flight {
    fn is_busy(&self) -> bool {
        match self.is_let_go {
            true => self.begun > 0,
            false => !self.records.is_empty(),
        }
    }
}

impl Ticket {
    /// Whether the record is to be archived here: it is waited for then. If
    /// not, its partition was let go: it is read again, here or elsewhere.
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

    /// How often any partition was let go so far: whoever has begun much ends
    /// it sooner then.
    pub fn let_gos(&self) -> u64 {
        self.signals.let_gos.load(Ordering::Acquire)
    }

    /// The record is in the catalogue.
    pub fn done(self) {
        let mut flight = lock(&self.partition.flight);
        let index = (self.serial - flight.front) as usize;
        if let Some(record) = flight.records.get_mut(index) {
            record.done = true;
        }
        while flight.records.front().is_some_and(|record| record.done) {
            if let Some(record) = flight.records.pop_front() {
                flight.watermark = Some(record.offset + 1);
                flight.front += 1;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut flight = lock(&self.partition.flight);
        flight.begun -= usize::from(self.is_begun);
        if flight.begun == 0 {
            drop(flight);
            drop(lock(&self.signals.idle.0));
            self.signals.idle.1.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn reading(partitions: &[TopicPartition]) -> Watermarks {
        let marks = Watermarks::default();
        marks.begin(partitions);
        partitions.iter().for_each(|p| marks.release(p));
        marks
    }

    fn uncommitted(marks: &Watermarks) -> Vec<(TopicPartition, i64)> {
        let uncommitted = marks.uncommitted().into_iter();
        uncommitted.map(|(p, at)| (p, at.offset)).collect()
    }

    #[test]
    fn nothing_is_committed_that_is_not_known_to_be_whole() {
        let marks = Watermarks::default();
        let p = partition(0);
        marks.begin(std::slice::from_ref(&p));
        marks.received(&p, 3).done();
        assert_eq!(uncommitted(&marks), []);
        marks.release(&p);
        assert_eq!(uncommitted(&marks), [(p.clone(), 4)]);
        marks.hold_after(&p, 4);
        marks.received(&p, 9).done();
        marks.hold_after(&p, 10);
        marks.received(&p, 20).done();
        assert_eq!(uncommitted(&marks), [(p.clone(), 4)]);
        marks.release(&p);
        assert_eq!(uncommitted(&marks), [(p, 21)]);
    }

    #[test]
    fn a_record_that_is_not_archived_holds_back_all_after_it() {
        let p = partition(0);
        let marks = reading(std::slice::from_ref(&p));
        let first = marks.received(&p, 10);
        let second = marks.received(&p, 11);
        let third = marks.received(&p, 15);
        second.done();
        third.done();
        assert_eq!(uncommitted(&marks), []);
        first.done();
        assert_eq!(uncommitted(&marks), [(p.clone(), 16)]);
        marks.committed(&[(p, 16)]);
        assert_eq!(uncommitted(&marks), []);
    }

    #[test]
    fn nothing_is_committed_for_a_partition_that_was_given_up() {
        let (kept, lost) = (partition(0), partition(1));
        let marks = reading(&[kept.clone(), lost.clone()]);
        let ticket = marks.received(&lost, 0);
        marks.received(&kept, 5).done();
        marks.received(&lost, 1).done();
        assert_eq!(marks.give_up(std::slice::from_ref(&lost)), []);
        ticket.done();
        assert_eq!(uncommitted(&marks), [(kept, 6)]);
    }

    #[test]
    fn records_that_were_let_go_are_waited_for_only_where_they_are_begun() {
        let (left, kept) = (partition(0), partition(1));
        let marks = reading(&[left.clone(), kept.clone()]);
        let (mut begun, mut queued) = (marks.received(&left, 0), marks.received(&left, 1));
        let mut other = marks.received(&kept, 0);
        assert!(begun.begin() && other.begin());
        marks.let_go(Some(std::slice::from_ref(&left)));
        assert!(!queued.begin() && other.is_wanted());
        assert!(!marks.wait_idle(Some(std::slice::from_ref(&left)), Duration::ZERO));
        begun.done();
        assert!(marks.wait_idle(Some(std::slice::from_ref(&left)), Duration::ZERO));
        assert_eq!(uncommitted(&marks), [(left, 1)]);
        assert!(!marks.wait_idle(None, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn the_watermark_is_the_end_of_the_longest_archived_beginning(
            gaps in prop::collection::vec(1i64..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 40),
            finished in 0usize..40,
        ) {
            let p = partition(0);
            let marks = reading(std::slice::from_ref(&p));
            let offsets: Vec<i64> = gaps.iter().scan(-1, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut open: Vec<(usize, Ticket)> = offsets
                .iter()
                .map(|&offset| marks.received(&p, offset))
                .enumerate()
                .collect();
            let mut done = vec![false; offsets.len()];
            for index in order.iter().take(finished.min(offsets.len())) {
                let (which, ticket) = open.swap_remove(index.index(open.len()));
                done[which] = true;
                ticket.done();
            }
            let archived = done.iter().take_while(|done| **done).count();
            let expected: Vec<_> = offsets[..archived]
                .last()
                .map(|last| (p.clone(), last + 1))
                .into_iter()
                .collect();
            prop_assert_eq!(uncommitted(&marks), expected);
            prop_assert_eq!(marks.in_flight(&p), archived < offsets.len());
        }
    }
}
