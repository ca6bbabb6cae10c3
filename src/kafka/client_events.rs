//! A consumer's events, with the partition and the offset of an error.
//!
//! The high-level client reports an error of one partition without saying of
//! which: the events are taken from librdkafka's queue here.

#![allow(
    unsafe_code,
    reason = "the partition and the offset of an error can only be had through the C interface"
)]

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use rdkafka_sys as rd;

use super::message::MessageReader;
use super::partition::TopicPartition;
use crate::record::Record;

/// The queue that all events of a consumer come through. Must be dropped before
/// the consumer.
pub(super) struct EventQueue(*mut rd::rd_kafka_queue_t);

/// One event of a consumer.
pub(super) enum ClientEvent {
    /// With the epoch of the leader that gave it, −1 where it is not known.
    Record(Record, i32),
    Error(ClientError),
    /// Partitions are assigned or revoked, as the code says.
    Rebalance(RDKafkaRespErr, TopicPartitionList),
    Log {
        level: RDKafkaLogLevel,
        facility: String,
        message: String,
    },
    /// Nothing that concerns the caller.
    Other,
}

/// An error that librdkafka reports.
pub(super) struct ClientError {
    pub code: RDKafkaErrorCode,
    /// Whether the client cannot be used any more.
    pub is_fatal: bool,
    pub reason: String,
    /// The partition it is about and the offset, where it is about one.
    pub place: Option<(TopicPartition, i64)>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for EventQueue {}

impl EventQueue {
    pub fn new(client: *mut rd::rd_kafka_t) -> Self {
        // SAFETY: the client is alive, and a consumer with a group.
        Self(unsafe { rd::rd_kafka_queue_get_consumer(client) })
    }

    /// The next event, if one comes within `timeout`. `topics` holds the names
    /// that records share.
    pub fn poll(
        &self,
        timeout: Duration,
        messages: &MessageReader,
        topics: &mut HashSet<Arc<str>>,
    ) -> KafkaResult<Option<ClientEvent>> {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: an event is ours until it is destroyed, and what it gives
        // lives as long as it does.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.0, timeout_ms);
            if event.is_null() {
                return Ok(None);
            }
            let read = read(event, messages, topics);
            rd::rd_kafka_event_destroy(event);
            read.map(Some)
        }
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

/// # Safety
/// The event is alive.
unsafe fn read(
    event: *mut rd::rd_kafka_event_t,
    messages: &MessageReader,
    topics: &mut HashSet<Arc<str>>,
) -> KafkaResult<ClientEvent> {
    // SAFETY: by the caller.
    unsafe {
        Ok(match rd::rd_kafka_event_type(event) {
            rd::RD_KAFKA_EVENT_FETCH => {
                let message = rd::rd_kafka_event_message_next(event);
                if message.is_null() {
                    return Ok(ClientEvent::Other);
                }
                let name = CStr::from_ptr(rd::rd_kafka_topic_name((*message).rkt));
                let name = name.to_string_lossy();
                let topic = match topics.get(&*name) {
                    Some(known) => known.clone(),
                    None => {
                        let new: Arc<str> = name.into();
                        topics.insert(new.clone());
                        new
                    }
                };
                match messages.read_raw(message, &topic) {
                    Ok(Some(record)) => {
                        ClientEvent::Record(record, rd::rd_kafka_message_leader_epoch(message))
                    }
                    Ok(None) => ClientEvent::Other,
                    Err(failure) => ClientEvent::Error(ClientError {
                        code: RDKafkaErrorCode::BadMessage,
                        is_fatal: false,
                        reason: failure.to_string(),
                        place: Some((
                            TopicPartition::new(&topic, (*message).partition),
                            (*message).offset,
                        )),
                    }),
                }
            }
            rd::RD_KAFKA_EVENT_ERROR => ClientEvent::Error(read_error(event)),
            rd::RD_KAFKA_EVENT_REBALANCE => {
                let list = rd::rd_kafka_event_topic_partition_list(event);
                ClientEvent::Rebalance(rd::rd_kafka_event_error(event), copy(list)?)
            }
            rd::RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut message): (*const c_char, *const c_char) =
                    (std::ptr::null(), std::ptr::null());
                let mut level = 0;
                match rd::rd_kafka_event_log(event, &mut facility, &mut message, &mut level) {
                    0 => ClientEvent::Log {
                        level: log_level(level),
                        facility: text(facility),
                        message: text(message),
                    },
                    _ => ClientEvent::Other,
                }
            }
            _ => ClientEvent::Other,
        })
    }
}

/// # Safety
/// The event is alive, and an error.
unsafe fn read_error(event: *mut rd::rd_kafka_event_t) -> ClientError {
    // SAFETY: by the caller; the partition is ours until it is destroyed.
    unsafe {
        let partition = rd::rd_kafka_event_topic_partition(event);
        let place = (!partition.is_null()).then(|| {
            let topic = text((*partition).topic);
            let place = TopicPartition::new(&topic, (*partition).partition);
            let offset = (*partition).offset;
            rd::rd_kafka_topic_partition_destroy(partition);
            (place, offset)
        });
        ClientError {
            code: rd::rd_kafka_event_error(event).into(),
            is_fatal: rd::rd_kafka_event_error_is_fatal(event) != 0,
            reason: text(rd::rd_kafka_event_error_string(event)),
            place,
        }
    }
}

/// # Safety
/// The list is null or alive.
unsafe fn copy(list: *mut rd::rd_kafka_topic_partition_list_t) -> KafkaResult<TopicPartitionList> {
    let mut copied = TopicPartitionList::new();
    if list.is_null() {
        return Ok(copied);
    }
    // SAFETY: by the caller.
    if unsafe { (*list).elems.is_null() } {
        return Ok(copied);
    }
    // SAFETY: by the caller; `elems` holds `cnt` elements.
    let elements = unsafe { std::slice::from_raw_parts((*list).elems, (*list).cnt as usize) };
    for element in elements {
        // SAFETY: a topic's name is never null.
        let topic = unsafe { text(element.topic) };
        let offset = Offset::from_raw(element.offset);
        copied.add_partition_offset(&topic, element.partition, offset)?;
    }
    Ok(copied)
}

/// # Safety
/// Null, or a C string.
unsafe fn text(raw: *const c_char) -> String {
    match raw.is_null() {
        true => String::new(),
        // SAFETY: by the caller.
        false => unsafe { CStr::from_ptr(raw) }
            .to_string_lossy()
            .trim()
            .to_owned(),
    }
}

/// librdkafka's levels are those of syslog.
fn log_level(level: i32) -> RDKafkaLogLevel {
    match level {
        0 => RDKafkaLogLevel::Emerg,
        1 => RDKafkaLogLevel::Alert,
        2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}

/// The high watermark of a partition as its last fetch told it; without asking.
pub(super) fn known_end(client: *mut rd::rd_kafka_t, topic: &str, partition: i32) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut start, mut end) = (-1, -1);
    // SAFETY: the client is alive; the name is copied.
    let code = unsafe {
        rd::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut start, &mut end)
    };
    (code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(end)
}
