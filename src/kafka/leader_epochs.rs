//! Leader epochs of the records that were read: a commit carries that of the
//! last record before its offset, so that a truncated log is noticed later.

#![allow(
    unsafe_code,
    reason = "leader epochs are only offered by the C interface"
)]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka_sys as rd;

use super::partition::TopicPartition;

/// Epochs that are remembered of a partition, the newest ones.
const MAX_EPOCHS: usize = 32;

/// What was read of each partition: where each leader epoch began, in order.
#[derive(Default)]
pub(super) struct LeaderEpochs(Mutex<HashMap<TopicPartition, ReadEpochs>>);

struct ReadEpochs {
    starts: Vec<EpochStart>,
    /// The offset of the last record.
    last: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EpochStart {
    offset: i64,
    epoch: i32,
}

impl LeaderEpochs {
    /// A record was read. A broker that gives no epoch (−1) leaves the partition
    /// without any.
    pub fn note(&self, partition: &TopicPartition, offset: i64, epoch: i32) {
        let mut all = self.lock();
        let Some(ReadEpochs { starts, last }) = all.get_mut(partition) else {
            let starts = vec![EpochStart { offset, epoch }];
            let last = offset;
            all.insert(partition.clone(), ReadEpochs { starts, last });
            return;
        };
        *last = offset;
        starts.truncate(starts.partition_point(|start| start.offset < offset));
        if starts.last().is_none_or(|last| last.epoch != epoch) {
            starts.push(EpochStart { offset, epoch });
        }
        if starts.len() > MAX_EPOCHS {
            starts.remove(0);
        }
    }

    /// These partitions are read from another place now.
    pub fn forget(&self, partitions: &[TopicPartition]) {
        let mut all = self.lock();
        for partition in partitions {
            all.remove(partition);
        }
    }

    /// The epoch of the record before this offset, if that was read. What
    /// follows the last record (a transaction's marker) may have a later one.
    fn before(&self, partition: &TopicPartition, offset: i64) -> Option<i32> {
        let all = self.lock();
        let ReadEpochs { starts, last } = all.get(partition)?;
        if offset > last.saturating_add(1) {
            return None;
        }
        let count = starts.partition_point(|start| start.offset < offset);
        let epoch = starts.get(count.checked_sub(1)?)?.epoch;
        (epoch >= 0).then_some(epoch)
    }

    /// Gives each offset that is to be committed its epoch.
    pub fn add_to(&self, list: &TopicPartitionList) {
        for (index, element) in list.elements().iter().enumerate() {
            let partition = TopicPartition::new(element.topic(), element.partition());
            let offset = element.offset().to_raw().unwrap_or_default();
            if let Some(epoch) = self.before(&partition, offset) {
                // SAFETY: the list is alive and has an element of this index.
                unsafe {
                    let raw: *mut rd::rd_kafka_topic_partition_list_t = list.ptr();
                    let element = (*raw).elems.add(index);
                    rd::rd_kafka_topic_partition_set_leader_epoch(element, epoch);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, ReadEpochs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::topic_partition_list::Offset;
    use std::collections::BTreeMap;

    /// The leader epoch that was committed with each offset, where one was.
    fn committed_with(list: &TopicPartitionList) -> BTreeMap<TopicPartition, i32> {
        let elements = list.elements();
        let epochs = elements.iter().enumerate().filter_map(|(index, element)| {
            // SAFETY: the list is alive and has an element of this index.
            let epoch = unsafe {
                let raw: *mut rd::rd_kafka_topic_partition_list_t = list.ptr();
                rd::rd_kafka_topic_partition_get_leader_epoch((*raw).elems.add(index))
            };
            let partition = TopicPartition::new(element.topic(), element.partition());
            (epoch >= 0).then_some((partition, epoch))
        });
        epochs.collect()
    }

    #[test]
    fn commit_carries_the_epoch_of_the_record_before_it() {
        let partition = TopicPartition::new("t", 1);
        let epochs = LeaderEpochs::default();
        for (offset, epoch) in [(3, 0), (4, 0), (7, 2), (9, 2)] {
            epochs.note(&partition, offset, epoch);
        }
        let of = |offset| epochs.before(&partition, offset);
        assert_eq!(
            [3, 4, 7, 8, 10].map(of),
            [None, Some(0), Some(0), Some(2), Some(2)]
        );
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 1, Offset::Offset(8))
            .unwrap();
        list.add_partition_offset("t", 2, Offset::Offset(8))
            .unwrap();
        epochs.add_to(&list);
        assert_eq!(
            committed_with(&list),
            BTreeMap::from([(partition.clone(), 2)])
        );
        // The log was truncated, and another leader went on.
        epochs.note(&partition, 5, 3);
        assert_eq!([5, 6, 10].map(of), [Some(0), Some(3), None]);
        epochs.forget(std::slice::from_ref(&partition));
        assert_eq!(of(10), None);
    }
}
