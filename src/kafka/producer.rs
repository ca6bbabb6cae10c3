//! Writes records as they are: null and empty kept apart, headers with any
//! name, the timestamp given.

#![allow(
    unsafe_code,
    reason = "header names that are no text can only be written through the C interface"
)]

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka_sys as rd;

use super::client::{Cluster, KafkaFailure};
use super::headers::HeaderList;
use crate::record::Record;

/// A producer of [`Record`]s.
pub struct RecordProducer {
    producer: BaseProducer<Deliveries>,
    cluster: String,
}

/// Keeps the first delivery that failed.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<String>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(|lock| lock.into_inner());
            failed.get_or_insert_with(|| error.to_string());
        }
    }
}

impl RecordProducer {
    /// An idempotent producer (`acks=all`) on this cluster.
    pub fn open(cluster: &Cluster) -> Result<Self, KafkaFailure> {
        let mut config = cluster.client_config();
        config.set("enable.idempotence", "true");
        let producer = config
            .create_with_context(Deliveries::default())
            .map_err(|error| cluster.failure(error))?;
        Ok(Self {
            producer,
            cluster: cluster.name().to_owned(),
        })
    }

    /// Hands a record over, to its topic and partition, with its timestamp.
    /// `offset` and `timestamp_type` are the broker's to give. librdkafka turns
    /// the timestamp 0 into now.
    pub fn send(&self, record: &Record) -> Result<(), KafkaFailure> {
        let topic = CString::new(&*record.topic)
            .map_err(|_| self.failure("a topic name cannot hold a NUL"))?;
        loop {
            match enqueue(self.producer.client().native_ptr(), &topic, record) {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                    self.producer.poll(Duration::from_millis(100));
                }
                error => return Err(self.failure(rd::RDKafkaErrorCode::from(error))),
            }
        }
    }

    /// Waits until everything handed over is acknowledged. An error names the
    /// first record that was not.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaFailure> {
        self.producer
            .flush(timeout)
            .map_err(|error| self.failure(error))?;
        let context: &Arc<Deliveries> = self.producer.client().context();
        let mut failed = context
            .failed
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        match failed.take() {
            None => Ok(()),
            Some(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, cause: impl ToString) -> KafkaFailure {
        KafkaFailure::Unavailable {
            cluster: self.cluster.clone(),
            cause: cause.to_string(),
        }
    }
}

/// Hands a record to a producer, which copies it: to its topic and partition,
/// with its timestamp.
pub(super) fn enqueue(
    client: *mut rd::rd_kafka_t,
    topic: &CStr,
    record: &Record,
) -> rd::rd_kafka_resp_err_t {
    use rd::rd_kafka_vtype_t as kind;
    let headers = HeaderList::new(&record.headers).into_raw();
    // SAFETY: the client is alive; `vu` is plain data; each element's member is the one that
    // its vtype names, and every pointer outlives the call (RD_KAFKA_MSG_F_COPY
    // copies key and value). The header list is the library's after
    // success and ours after an error.
    unsafe {
        let element = |vtype, set: &dyn Fn(&mut rd::rd_kafka_vu_s)| {
            let mut vu: rd::rd_kafka_vu_s = std::mem::zeroed();
            vu.vtype = vtype;
            set(&mut vu);
            vu
        };
        let memory = |bytes: &Option<Vec<u8>>| rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
            ptr: bytes
                .as_ref()
                .map_or(ptr::null(), |b| b.as_ptr().cast::<c_void>())
                .cast_mut(),
            size: bytes.as_ref().map_or(0, Vec::len),
        };
        let elements = [
            element(kind::RD_KAFKA_VTYPE_TOPIC, &|vu| vu.u.cstr = topic.as_ptr()),
            element(kind::RD_KAFKA_VTYPE_PARTITION, &|vu| {
                vu.u.i32_ = record.partition
            }),
            element(kind::RD_KAFKA_VTYPE_KEY, &|vu| {
                vu.u.mem = memory(&record.key)
            }),
            element(kind::RD_KAFKA_VTYPE_VALUE, &|vu| {
                vu.u.mem = memory(&record.value)
            }),
            element(kind::RD_KAFKA_VTYPE_TIMESTAMP, &|vu| {
                vu.u.i64_ = record.timestamp
            }),
            element(kind::RD_KAFKA_VTYPE_HEADERS, &|vu| vu.u.headers = headers),
            element(kind::RD_KAFKA_VTYPE_MSGFLAGS, &|vu| {
                vu.u.i = rd::RD_KAFKA_MSG_F_COPY
            }),
        ];
        let error = rd::rd_kafka_produceva(client, elements.as_ptr(), elements.len());
        if error.is_null() {
            return rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        drop(HeaderList::from_raw(headers));
        let code = rd::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        code
    }
}
