//! Whether ranges of a log hold any record at all.
//!
//! The last offsets of a partition may be control records of transactions, or
//! what compaction left out: no record of such a range ever comes, and only a
//! consumer that reads it knows. Statistics of the reading consumer would tell
//! too, at the cost of some kilobytes of JSON a partition for each look.

#![allow(
    unsafe_code,
    reason = "the high-level client does not tell of which topic an end was reached"
)]

use std::collections::HashMap;
use std::ffi::CStr;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;
use rdkafka_sys as rd;

use super::admin::partition_list;
use super::client::Cluster;
use super::partition::TopicPartition;

/// Longer than a broker that works needs to say that there is nothing.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Makes a consumer for each question, which joins no group and commits nothing.
pub(super) struct Probe {
    config: ClientConfig,
}

/// What one poll of the consumer told.
struct Told {
    partition: TopicPartition,
    /// The offset of a record, or `None` at the end of the partition.
    record: Option<i64>,
}

impl Probe {
    /// `group` is only named, because a credential may be allowed no other.
    pub fn new(cluster: &Cluster, group: &str) -> Self {
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            // One record is enough.
            .set("fetch.message.max.bytes", "1024")
            .set("queued.min.messages", "1")
            .set("fetch.wait.max.ms", "50");
        Self { config }
    }

    /// Those of the partitions whose range holds no committed record. One that
    /// cannot be decided within a few seconds is not among them.
    pub fn empty(
        &self,
        ranges: &[(TopicPartition, Range<i64>)],
    ) -> KafkaResult<Vec<TopicPartition>> {
        let consumer: BaseConsumer = self.config.create()?;
        let begins = ranges.iter().map(|(p, r)| (p, Offset::Offset(r.start)));
        consumer.assign(&partition_list(begins)?)?;
        let mut open: HashMap<&TopicPartition, &Range<i64>> =
            ranges.iter().map(|(p, range)| (p, range)).collect();
        let mut empty = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !open.is_empty() && Instant::now() < deadline {
            let Some(told) = poll(&consumer) else {
                continue;
            };
            let Some(range) = open.remove(&told.partition) else {
                continue;
            };
            if told.record.is_none_or(|offset| offset >= range.end) {
                empty.push(told.partition);
            }
        }
        Ok(empty)
    }
}

fn poll(consumer: &BaseConsumer) -> Option<Told> {
    let timeout_ms = POLL.as_millis() as i32;
    // SAFETY: the client is alive; the message is ours until it is destroyed,
    // and so is its topic's name.
    unsafe {
        let message = rd::rd_kafka_consumer_poll(consumer.client().native_ptr(), timeout_ms);
        if message.is_null() {
            return None;
        }
        let told = read(&*message);
        rd::rd_kafka_message_destroy(message);
        told
    }
}

/// `None` for errors, which the client goes on after by itself.
unsafe fn read(message: &rd::rd_kafka_message_t) -> Option<Told> {
    let record = match message.err {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Some(message.offset),
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => None,
        _ => return None,
    };
    // SAFETY: by the caller; records and ends always have a topic.
    let topic = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(message.rkt)) };
    Some(Told {
        partition: TopicPartition::new(&topic.to_string_lossy(), message.partition),
        record,
    })
}
