//! What a group has committed: offsets, and of which topic they are.
//!
//! A name is not enough for that: a topic may be deleted and made anew. Its id
//! travels with the offset, in the string that a commit may carry for whoever
//! committed it (the protocol's `metadata`), so that group and id cannot part.

#![allow(
    unsafe_code,
    reason = "the high-level client panics on a string that is no UTF-8"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka_sys as rd;

use super::admin::{Unanswered, partition_list};
use super::client::REQUEST_TIMEOUT;
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

/// What the group has committed, where it has. An offset in a transaction that is
/// not decided yet is not waited for: the one before it counts.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    partitions: &[TopicPartition],
) -> KafkaResult<GroupAnswer> {
    let mut known = GroupAnswer::default();
    for told in list(consumer, group, partitions)? {
        match told.offset {
            Err(error) => {
                known.unanswered.insert(told.partition, error.to_string());
            }
            Ok(Some(offset)) => {
                let topic_id = told.topic_id;
                let committed = GroupOffset { offset, topic_id };
                known.offsets.insert(told.partition, committed);
            }
            Ok(None) => {}
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

/// What a group has committed with a leader epoch.
#[derive(Debug, Default)]
pub struct GroupEpochs {
    /// Of those partitions that have an epoch.
    pub epochs: BTreeMap<TopicPartition, (GroupOffset, i32)>,
    /// As [`GroupAnswer::unanswered`].
    pub unanswered: BTreeSet<TopicPartition>,
}

/// As [`committed`], with the leader epoch that was committed.
pub(super) fn committed_epochs<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    partitions: &[TopicPartition],
) -> KafkaResult<GroupEpochs> {
    let mut known = GroupEpochs::default();
    for told in list(consumer, group, partitions)? {
        match (told.offset, told.leader_epoch) {
            (Err(_), _) => {
                known.unanswered.insert(told.partition);
            }
            (Ok(Some(offset)), Some(epoch)) => {
                let topic_id = told.topic_id;
                let committed = (GroupOffset { offset, topic_id }, epoch);
                known.epochs.insert(told.partition, committed);
            }
            _ => {}
        }
    }
    Ok(known)
}

/// What a group's coordinator says of one partition.
struct Told {
    partition: TopicPartition,
    /// `None`: nothing is committed.
    offset: KafkaResult<Option<i64>>,
    topic_id: Option<TopicId>,
    leader_epoch: Option<i32>,
}

/// As [`fetch_some`], without waiting for transactions: the client's own question
/// for committed offsets waits for all of them, until its time-out.
fn list<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    partitions: &[TopicPartition],
) -> KafkaResult<Vec<Told>> {
    if partitions.is_empty() {
        return Ok(vec![]);
    }
    let group = CString::new(group)?;
    let asked = partition_list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = list_once(consumer, &group, &asked, left).and_then(|told| {
            let missing = told.iter().find_map(|one| match &one.offset {
                Err(error) if is_coordinator_missing(error) => Some(error.clone()),
                _ => None,
            });
            missing.map_or(Ok(told), Err)
        });
        match answer {
            Err(error) if left > LOOK_AGAIN && is_coordinator_missing(&error) => {
                std::thread::sleep(LOOK_AGAIN);
            }
            answer => return answer,
        }
    }
}

fn list_once<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &CStr,
    asked: &TopicPartitionList,
    within: Duration,
) -> KafkaResult<Vec<Told>> {
    let timeout = i32::try_from(within.as_millis()).unwrap_or(i32::MAX).max(1);
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as the consumer; what is asked is copied;
    // each value that is made here is destroyed here, and an event's texts are not
    // used after it.
    unsafe {
        let queue = rd::rd_kafka_queue_new(client);
        let options = rd::rd_kafka_AdminOptions_new(
            client,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        );
        let no_text = std::ptr::null_mut();
        rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout, no_text, 0);
        let refused = rd::rd_kafka_AdminOptions_set_require_stable_offsets(options, 0);
        rd::rd_kafka_error_destroy(refused);
        let list: *mut rd::rd_kafka_topic_partition_list_t = asked.ptr();
        let mut question = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list);
        rd::rd_kafka_ListConsumerGroupOffsets(client, &mut question, 1, options, queue);
        rd::rd_kafka_ListConsumerGroupOffsets_destroy(question);
        rd::rd_kafka_AdminOptions_destroy(options);
        // Its time-out is the answer's, not that of the wait for it.
        let event = rd::rd_kafka_queue_poll(queue, timeout.saturating_add(1000));
        let told = match event.is_null() {
            true => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OperationTimedOut)),
            false => read_told(event),
        };
        if !event.is_null() {
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        told
    }
}

/// # Safety
/// The event is alive, and the answer to [`list_once`]'s question.
unsafe fn read_told(event: *mut rd::rd_kafka_event_t) -> KafkaResult<Vec<Told>> {
    // SAFETY: by the caller; what the event gives lives as long as it does, and a
    // list has `cnt` elements.
    unsafe {
        let error = rd::rd_kafka_event_error(event);
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::OffsetFetch(error.into()));
        }
        let mut told = vec![];
        let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event);
        let mut count = 0;
        let groups = match result.is_null() {
            true => std::ptr::null_mut(),
            false => rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count),
        };
        for index in 0..count {
            let group = *groups.add(index);
            let error = rd::rd_kafka_group_result_error(group);
            if !error.is_null() {
                let code = rd::rd_kafka_error_code(error);
                return Err(KafkaError::OffsetFetch(code.into()));
            }
            let list = rd::rd_kafka_group_result_partitions(group);
            if list.is_null() || (*list).elems.is_null() {
                continue;
            }
            for index in 0..(*list).cnt as usize {
                let element = (*list).elems.add(index);
                let topic = CStr::from_ptr((*element).topic).to_string_lossy();
                let metadata = super::headers::bytes((*element).metadata, (*element).metadata_size);
                let epoch = rd::rd_kafka_topic_partition_get_leader_epoch(element);
                let code = (*element).err;
                told.push(Told {
                    partition: TopicPartition::new(&topic, (*element).partition),
                    offset: match code {
                        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                            Ok(((*element).offset >= 0).then_some((*element).offset))
                        }
                        code => Err(KafkaError::OffsetFetch(code.into())),
                    },
                    topic_id: metadata.and_then(|text| topic_id(&text)),
                    leader_epoch: (epoch >= 0).then_some(epoch),
                });
            }
        }
        Ok(told)
    }
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
            let text = metadata(&list).remove(0);
            prop_assert_eq!(text.and_then(|text| topic_id(&text)), committed.topic_id);
            prop_assert_eq!(list.elements()[0].offset(), Offset::Offset(offset));
        }

        #[test]
        fn what_other_tools_keep_with_their_offsets_names_no_topic(metadata in "\\PC{0,60}") {
            prop_assume!(!metadata.starts_with(TOPIC_ID));
            prop_assert_eq!(topic_id(metadata.as_bytes()), None);
        }
    }
}
