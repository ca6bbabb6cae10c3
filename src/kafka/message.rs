//! A record out of the client's message, with nothing lost.

#![allow(
    unsafe_code,
    reason = "a record's parts can only be read exactly through the C interface"
)]

use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::message::BorrowedMessage;
use rdkafka_sys as rd;
use tracing::debug;

use super::client::{Cluster, KafkaFailure};
use super::headers;
use super::second_reader::SecondReader;
use crate::record::{Record, TimestampType};

/// Makes records of the client's messages.
pub(super) struct MessageReader {
    config: ClientConfig,
    cluster: String,
}

impl MessageReader {
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            config: cluster.client_config(),
            cluster: cluster.name().to_owned(),
        }
    }

    /// The whole record. One whose headers librdkafka cannot read (it takes no
    /// more than 100,000) is fetched again by the second reader, which takes any
    /// number; `None` if Kafka has removed it meanwhile. A failure means that the
    /// record was not read, and must not be passed over.
    pub fn read(
        &self,
        message: &BorrowedMessage<'_>,
        topic: Arc<str>,
    ) -> Result<Option<Record>, KafkaFailure> {
        // SAFETY: the message is alive as long as `message`.
        unsafe { self.read_raw(message.ptr(), &topic) }
    }

    /// As [`MessageReader::read`].
    ///
    /// # Safety
    /// The message is alive, and a record.
    pub unsafe fn read_raw(
        &self,
        raw: *const rd::rd_kafka_message_t,
        topic: &Arc<str>,
    ) -> Result<Option<Record>, KafkaFailure> {
        // SAFETY: by the caller; its payload is null or valid for its length.
        let (code, partition, offset, value) = unsafe {
            match read_record(raw, topic.clone()) {
                Ok(record) => return Ok(Some(record)),
                Err(code) => (
                    code,
                    (*raw).partition,
                    (*raw).offset,
                    headers::bytes((*raw).payload, (*raw).len),
                ),
            }
        };
        debug!(%code, topic = &**topic, partition, offset, "headers not read, fetching the record again");
        let reader = SecondReader::with_config(&self.config, &self.cluster);
        let record = reader.and_then(|mut reader| reader.record(topic, partition, offset));
        let record = record.map_err(|failure| {
            failure.at(&format!(
                "{topic} partition {partition} offset {offset}: \
                 the client does not read its headers ({code})"
            ))
        })?;
        let same = record.filter(|record| record.value == value);
        Ok(same)
    }
}

/// # Safety
/// The message is alive, and a record.
unsafe fn read_record(
    raw: *const rd::rd_kafka_message_t,
    topic: Arc<str>,
) -> Result<Record, rd::RDKafkaErrorCode> {
    let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: by the caller; key and payload are null or valid for their
    // lengths.
    unsafe {
        let timestamp = rd::rd_kafka_message_timestamp(raw, &mut kind);
        Ok(Record {
            topic,
            partition: (*raw).partition,
            offset: (*raw).offset,
            timestamp,
            timestamp_type: timestamp_type(kind),
            key: headers::bytes((*raw).key, (*raw).key_len),
            value: headers::bytes((*raw).payload, (*raw).len),
            headers: headers::read(raw)?,
        })
    }
}

fn timestamp_type(kind: rd::rd_kafka_timestamp_type_t) -> TimestampType {
    use rd::rd_kafka_timestamp_type_t as kinds;
    match kind {
        kinds::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => TimestampType::None,
        kinds::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampType::Create,
        kinds::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimestampType::LogAppend,
    }
}
