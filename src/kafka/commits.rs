//! Offset commits whose results can be awaited for a bounded time.
//!
//! The high-level client waits for ever or never tells the result: librdkafka
//! reports it only to the queue that the commit names.

#![allow(
    unsafe_code,
    reason = "a commit with a result queue is only offered by the C interface"
)]

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka_sys as rd;

use super::partition::TopicPartition;

/// What became of a commit.
#[derive(Debug, Default)]
pub struct Committed {
    /// What the group has now.
    pub offsets: Vec<(TopicPartition, i64)>,
    /// Why the others, or all, were not taken.
    pub error: Option<String>,
}

/// Takes the results of commits of one client. To be dropped before it.
pub(super) struct CommitQueue {
    client: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for CommitQueue {}

impl CommitQueue {
    pub(super) fn new(client: *mut rd::rd_kafka_t) -> Self {
        // SAFETY: the client is alive.
        let queue = unsafe { rd::rd_kafka_queue_new(client) };
        Self { client, queue }
    }

    /// Starts a commit; its result comes from [`CommitQueue::next`].
    pub(super) fn start(&self, offsets: &TopicPartitionList) -> KafkaResult<()> {
        // SAFETY: client, list and queue are alive; the list is copied. Without
        // a callback the result becomes an event of the queue.
        let error = unsafe {
            rd::rd_kafka_commit_queue(
                self.client,
                offsets.ptr(),
                self.queue,
                None,
                std::ptr::null_mut(),
            )
        };
        match error {
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(KafkaError::ConsumerCommit(error.into())),
        }
    }

    /// The next result, if it comes within `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Option<Committed> {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: an event is ours until it is destroyed; its list belongs to
        // it and is only read.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.queue, timeout_ms);
            if event.is_null() {
                return None;
            }
            let result = read(event);
            rd::rd_kafka_event_destroy(event);
            Some(result)
        }
    }
}

impl Drop for CommitQueue {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

unsafe fn read(event: *mut rd::rd_kafka_event_t) -> Committed {
    // SAFETY: by the caller.
    let (error, list) = unsafe {
        (
            rd::rd_kafka_event_error(event),
            rd::rd_kafka_event_topic_partition_list(event),
        )
    };
    let mut result = Committed::default();
    // SAFETY: the list is null or alive; an empty one has no elements to point to.
    if !list.is_null() && !unsafe { (*list).elems.is_null() } {
        // SAFETY: `elems` holds `cnt` elements.
        let elements = unsafe { std::slice::from_raw_parts((*list).elems, (*list).cnt as usize) };
        for element in elements {
            match verdict(error, element.err) {
                None => {
                    // SAFETY: a topic's name is never null.
                    let topic = unsafe { CStr::from_ptr(element.topic) };
                    let partition =
                        TopicPartition::new(&topic.to_string_lossy(), element.partition);
                    result.offsets.push((partition, element.offset));
                }
                Some(error) => result.error = Some(name(error)),
            }
        }
    }
    if result.error.is_none() && is_error(error) && result.offsets.is_empty() {
        result.error = Some(name(error));
    }
    result
}

/// The error that keeps a partition's offset from being committed. A partition
/// that exists no more has nothing to commit to.
fn verdict(
    of_all: rd::rd_kafka_resp_err_t,
    of_one: rd::rd_kafka_resp_err_t,
) -> Option<rd::rd_kafka_resp_err_t> {
    use rd::rd_kafka_resp_err_t as code;
    match (of_all, of_one) {
        (_, code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => None,
        (all, code::RD_KAFKA_RESP_ERR_NO_ERROR) if is_error(all) => Some(all),
        (_, one) => is_error(one).then_some(one),
    }
}

fn is_error(code: rd::rd_kafka_resp_err_t) -> bool {
    code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

fn name(code: rd::rd_kafka_resp_err_t) -> String {
    rd::RDKafkaErrorCode::from(code).to_string()
}
