//! The contiguous low watermark of each partition: the offset below which
//! everything is archived, and the only one that is ever committed; with the
//! topic that it is an offset of.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::flight::{Hold, Partition, Signals, Ticket, lock};
use crate::kafka::{GroupOffset, TopicId, TopicPartition};

/// All partitions that this process reads.
#[derive(Default)]
pub struct Watermarks {
    partitions: Mutex<BTreeMap<TopicPartition, Arc<Partition>>>,
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
        partition.received(offset, &self.signals)
    }

    /// Offsets of this partition before `to` are not archived, by order.
    pub fn skip_to(&self, partition: &TopicPartition, to: i64) {
        if let Some(state) = lock(&self.partitions).get(partition) {
            lock(&state.flight).skip_to(to);
        }
    }

    /// What may be committed and is not yet.
    pub fn uncommitted(&self) -> Vec<(TopicPartition, GroupOffset)> {
        lock(&self.partitions)
            .iter()
            .filter_map(|(partition, state)| {
                let offset = lock(&state.flight).uncommitted()?;
                Some((partition.clone(), offset))
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

    /// Nothing is left to archive of the partition before `offset`.
    pub fn pass_to(&self, partition: &TopicPartition, offset: i64) {
        if let Some(state) = lock(&self.partitions).get(partition) {
            lock(&state.flight).pass_to(offset);
        }
    }

    /// Whether a record of this partition was received and is not archived.
    pub fn in_flight(&self, partition: &TopicPartition) -> bool {
        lock(&self.partitions)
            .get(partition)
            .is_some_and(|state| !lock(&state.flight).is_empty())
    }

    /// One past the last record that was received of this partition, when all
    /// of them are archived but those that wait for an object.
    pub fn settled_to(&self, partition: &TopicPartition) -> Option<i64> {
        let partitions = lock(&self.partitions);
        lock(&partitions.get(partition)?.flight).settled_to()
    }

    /// Whether records of any partition wait for an object.
    pub fn has_waiting(&self) -> bool {
        let partitions = lock(&self.partitions);
        partitions
            .values()
            .any(|state| lock(&state.flight).has_waiting())
    }

    /// What is not begun of these partitions (of all, with `None`) need not be
    /// begun any more.
    pub fn let_go(&self, partitions: Option<&[TopicPartition]>) {
        let known = lock(&self.partitions);
        let let_go = |state: &Arc<Partition>| lock(&state.flight).is_let_go = true;
        match partitions {
            Some(some) => some.iter().filter_map(|p| known.get(p)).for_each(let_go),
            None => known.values().for_each(let_go),
        }
    }

    /// Whoever has begun much of what was let go ends it as soon as it can: in
    /// the middle, if need be.
    pub fn hurry(&self) {
        self.signals.hurries.fetch_add(1, Ordering::Release);
    }

    /// Waits until every record of these partitions (of all, with `None`) is
    /// archived; where they were let go, every record that is begun. Whether
    /// that was so before the time was over.
    pub fn wait_idle(&self, partitions: Option<&[TopicPartition]>, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = lock(&self.signals.idle.0);
        // It is told of every record: only the partition that was busy the last
        // time, and those after it, are looked at again.
        let mut first_busy = 0;
        loop {
            let is_busy = match partitions {
                Some(partitions) => {
                    let from = |first: usize| {
                        let mut left = partitions[first..].iter();
                        left.position(|p| self.is_busy(p)).map(|n| first + n)
                    };
                    let busy = from(first_busy).or_else(|| from(0));
                    first_busy = busy.unwrap_or_default();
                    busy.is_some()
                }
                None => self.any_is_busy(),
            };
            if !is_busy {
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
        let mut partitions = lock(&self.partitions);
        let removed = given_up.iter().filter_map(|partition| {
            let state = partitions.remove(partition)?;
            let last = lock(&state.flight).uncommitted()?;
            Some((partition.clone(), last))
        });
        removed.collect()
    }
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

    /// Looking for each partition among all the others takes minutes here.
    #[test]
    fn giving_up_many_partitions_takes_time_in_proportion() {
        let many: Vec<TopicPartition> = (0..50_000).map(partition).collect();
        let marks = reading(&many);
        let mut tickets: Vec<Ticket> = many.iter().map(|p| marks.received(p, 1)).collect();
        assert!(tickets.iter_mut().all(Ticket::begin));
        let began = Instant::now();
        marks.let_go(Some(&many));
        std::thread::scope(|scope| {
            scope.spawn(|| tickets.into_iter().for_each(Ticket::done));
            assert!(marks.wait_idle(Some(&many), Duration::from_secs(60)));
        });
        assert_eq!(marks.give_up(&many).len(), many.len());
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(uncommitted(&marks), []);
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
