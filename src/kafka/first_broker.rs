//! A client's first broker.

#![allow(
    unsafe_code,
    reason = "the high-level client asks for all topics, or for one by name"
)]

use std::ptr;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as rd;

/// Returns when a broker has answered, or after so long without one: whatever
/// is asked next tells why. Asks for no topic, so that none is made. Blocks.
pub(super) fn wait_for_broker<C: ClientContext>(client: &Client<C>, within: Duration) {
    let mut answer = ptr::null();
    let timeout = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives as long as the reference; an answer is destroyed
    // once, and there is none where the call has failed.
    unsafe {
        let asked = rd::rd_kafka_metadata(
            client.native_ptr(),
            0,
            ptr::null_mut(),
            &mut answer,
            timeout,
        );
        if asked == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            rd::rd_kafka_metadata_destroy(answer);
        }
    }
}
