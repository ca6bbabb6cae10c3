//! Where a log begins and ends, as the last fetch response said.

#![allow(
    unsafe_code,
    reason = "the high-level client only asks the broker, which takes a request each time"
)]

use std::ffi::CString;

use rdkafka_sys as rd;

use super::partition::TopicPartition;

/// The log start offset and the high watermark of a partition that `client`
/// reads; `None` before its first fetch response, and where the broker does not
/// say it (before Kafka 0.11). A record that was delivered is of this response or
/// an earlier one.
///
/// # Safety
/// The client is alive.
pub(super) unsafe fn last_seen(
    client: *mut rd::rd_kafka_t,
    partition: &TopicPartition,
) -> (Option<i64>, Option<i64>) {
    let Ok(topic) = CString::new(&*partition.topic) else {
        return (None, None);
    };
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive by this function's contract; the name is copied.
    let error = unsafe {
        rd::rd_kafka_get_watermark_offsets(
            client,
            topic.as_ptr(),
            partition.partition,
            &mut low,
            &mut high,
        )
    };
    let is_known =
        |offset: &i64| error == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && *offset >= 0;
    (Some(low).filter(is_known), Some(high).filter(is_known))
}
