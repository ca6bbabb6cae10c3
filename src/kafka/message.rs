//! A record out of the client's message, with nothing lost.

#![allow(
    unsafe_code,
    reason = "a record's parts can only be read exactly through the C interface"
)]

use std::sync::Arc;

use rdkafka::message::BorrowedMessage;
use rdkafka_sys as rd;

use super::headers;
use crate::record::{Record, TimestampType};

pub(super) fn read_record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    let raw = message.ptr();
    let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is alive as long as `message`; key and payload are
    // null or valid for their lengths.
    unsafe {
        let timestamp = rd::rd_kafka_message_timestamp(raw, &mut kind);
        Record {
            topic,
            partition: (*raw).partition,
            offset: (*raw).offset,
            timestamp,
            timestamp_type: timestamp_type(kind),
            key: headers::bytes((*raw).key, (*raw).key_len),
            value: headers::bytes((*raw).payload, (*raw).len),
            headers: headers::read(raw),
        }
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
