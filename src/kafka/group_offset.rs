//! What a group has committed: offsets, and of which topic they are.
//!
//! A name is not enough for that: a topic may be deleted and made anew. Its id
//! travels with the offset, in the string that a commit may carry for whoever
//! committed it (the protocol's `metadata`), so that group and id cannot part.

#![allow(
    unsafe_code,
    reason = "the high-level client panics on a string that is no UTF-8"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka_sys as rd;

use super::admin::{Unanswered, partition_list};
use super::client::REQUEST_TIMEOUT;
use super::leader_epochs;
use super::partition::TopicPartition;
use crate::record::TopicId;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

const TOPIC_ID: &str = "topic-id=";

/// What a group has committed, or is to commit, for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Of which topic of that name; `None` where whoever committed it did not
    /// say.
    pub topic_id: Option<TopicId>,
}

/// For each of some partitions.
pub type GroupOffsets = BTreeMap<TopicPartition, GroupOffset>;

/// What a group has committed for some partitions.
#[derive(Debug, Default)]
pub struct GroupAnswer {
    /// Of those that have an offset.
    pub offsets: GroupOffsets,
    /// Those whose offset is not known now (one in a transaction that is not
    /// decided yet, for example), with the reason.
    pub unanswered: Unanswered,
}

/// What the consumer's group has committed, where it has.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<GroupAnswer> {
    let mut known = GroupAnswer::default();
    if partitions.is_empty() {
        return Ok(known);
    }
    let asked = partition_list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
    let answer = fetch_some(consumer, &asked)?;
    for (element, topic_id) in answer.elements().iter().zip(topic_ids(&answer)) {
        let partition = TopicPartition::new(element.topic(), element.partition());
        match (element.error(), element.offset()) {
            (Err(error), _) => {
                known.unanswered.insert(partition, error.to_string());
            }
            (Ok(()), Offset::Offset(offset)) => {
                known
                    .offsets
                    .insert(partition, GroupOffset { offset, topic_id });
            }
            (Ok(()), _) => {}
        }
    }
    Ok(known)
}

/// As [`fetch_some`]; the error of one partition is an error of all. The end of
/// an open transaction that commits one of these offsets is waited for, where the
/// consumer is `read_committed`.
pub(super) fn fetch<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    asked: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let answer = fetch_some(consumer, asked)?;
        let error = answer.elements().iter().find_map(|e| e.error().err());
        match error {
            None => return Ok(answer),
            Some(error) if is_passing(&error) && Instant::now() < deadline => {
                std::thread::sleep(LOOK_AGAIN);
            }
            Some(error) => return Err(error),
        }
    }
}

/// As [`committed`], with the leader epoch that was committed, of those
/// partitions that have one.
pub(super) fn committed_epochs<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, (GroupOffset, i32)>> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked = partition_list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
    let answer = fetch(consumer, &asked)?;
    let epochs = leader_epochs::committed_with(&answer);
    let mut offsets = BTreeMap::new();
    for (element, topic_id) in answer.elements().iter().zip(topic_ids(&answer)) {
        let partition = TopicPartition::new(element.topic(), element.partition());
        if let (Offset::Offset(offset), Some(epoch)) = (element.offset(), epochs.get(&partition)) {
            offsets.insert(partition, (GroupOffset { offset, topic_id }, *epoch));
        }
    }
    Ok(offsets)
}

/// What the group has committed for each. Its coordinator is waited for: a
/// cluster that has just begun, or whose brokers come and go, has none for a
/// moment, and the client asks only once. Blocks for 20 s at most.
fn fetch_some<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    asked: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ask(consumer, asked.clone(), left) {
            Err(error) if left > LOOK_AGAIN && is_coordinator_missing(&error) => {
                std::thread::sleep(LOOK_AGAIN);
            }
            answer => return answer,
        }
    }
}

/// Once. That the coordinator is missing is an error of all.
fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    asked: TopicPartitionList,
    within: Duration,
) -> KafkaResult<TopicPartitionList> {
    let answer = consumer.committed_offsets(asked, within)?;
    for element in answer.elements() {
        match element.error() {
            Err(error) if is_coordinator_missing(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(answer)
}

fn is_passing(error: &KafkaError) -> bool {
    is_coordinator_missing(error)
        || error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnstableOffsetCommit)
}

fn is_coordinator_missing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
    )
}

/// What is handed to a commit.
pub(super) fn to_commit(
    offsets: &[(TopicPartition, GroupOffset)],
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, committed) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(committed.offset))?;
        if let Some(id) = committed.topic_id {
            element.set_metadata(format!("{TOPIC_ID}{id}"));
        }
    }
    Ok(list)
}

/// What the metadata of each element says, in their order.
fn topic_ids(list: &TopicPartitionList) -> Vec<Option<TopicId>> {
    let metadata = metadata(list).into_iter();
    metadata.map(|text| topic_id(&text?)).collect()
}

/// The metadata of each element, in their order.
pub(super) fn metadata(list: &TopicPartitionList) -> Vec<Option<Vec<u8>>> {
    // SAFETY: the list is alive and holds `cnt` elements; an element's metadata
    // is null or valid for its size.
    unsafe {
        let raw: *mut rd::rd_kafka_topic_partition_list_t = list.ptr();
        if (*raw).elems.is_null() {
            return vec![];
        }
        let elements = std::slice::from_raw_parts((*raw).elems, (*raw).cnt as usize);
        elements
            .iter()
            .map(|element| super::headers::bytes(element.metadata, element.metadata_size))
            .collect()
    }
}

fn topic_id(metadata: &[u8]) -> Option<TopicId> {
    TopicId::parse(metadata.strip_prefix(TOPIC_ID.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_topic_id_comes_back_from_what_is_committed(bits in any::<u128>(), offset in 0i64..) {
            let committed = GroupOffset { offset, topic_id: TopicId::new(bits) };
            let list = to_commit(&[(TopicPartition::new("t", 1), committed)]).unwrap();
            prop_assert_eq!(topic_ids(&list), [committed.topic_id]);
            prop_assert_eq!(list.elements()[0].offset(), Offset::Offset(offset));
        }

        #[test]
        fn what_other_tools_keep_with_their_offsets_names_no_topic(metadata in "\\PC{0,60}") {
            prop_assume!(!metadata.starts_with(TOPIC_ID));
            prop_assert_eq!(topic_id(metadata.as_bytes()), None);
        }
    }
}
