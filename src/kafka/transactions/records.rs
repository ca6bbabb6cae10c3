//! Records with all that they have, and a note of how far they go, in one
//! transaction.

use std::ffi::CString;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka_sys as rd;

use super::{Delivered, PATIENCE, TransactionFailure, TransactionalProducer};
use crate::kafka::client::{Cluster, KafkaFailure};
use crate::kafka::group_note::GroupNote;
use crate::kafka::producer::enqueue;
use crate::record::Record;

/// What the client may hold beside one record, KiB.
const QUEUE_KIB: usize = 16 * 1024;

/// What a record's fields take in a request beside their bytes.
const OVERHEAD: usize = 64 * 1024;

impl TransactionalProducer {
    /// As [`TransactionalProducer::open`], for records of up to `largest`
    /// bytes.
    pub fn open_for_records(
        cluster: &Cluster,
        transactional_id: &str,
        largest: usize,
    ) -> Result<Self, KafkaFailure> {
        // The client's own bounds: 1,000,000 is its default, 1 GB its most.
        let largest = (largest + OVERHEAD).clamp(1_000_000, 1_000_000_000);
        let queue = QUEUE_KIB + 2 * largest / 1024;
        Self::open_with(
            cluster,
            transactional_id,
            &[
                ("message.max.bytes", &largest.to_string()),
                ("queue.buffering.max.kbytes", &queue.to_string()),
                ("linger.ms", "5"),
            ],
        )
    }

    /// Publishes records to their topics and partitions, with their timestamps,
    /// and leaves the note in its group, in one transaction: both are there on
    /// `Ok`. `offset` and `timestamp_type` are the broker's to give. Blocks.
    pub fn publish_records(
        &self,
        records: impl IntoIterator<Item = Record>,
        note: &GroupNote,
        text: &str,
    ) -> Result<(), TransactionFailure> {
        *self.context().state() = Delivered::default();
        let published = self.try_records(records, note, text);
        let failed = self.context().state().failed;
        published.map_err(|error| self.failure(error, failed))
    }

    fn try_records(
        &self,
        records: impl IntoIterator<Item = Record>,
        note: &GroupNote,
        text: &str,
    ) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        for record in records {
            self.send_record(&record)?;
        }
        // Without its delivery reports a commit would wait for ever.
        if !self.drain(PATIENCE) {
            return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
        }
        if let Some(failed) = self.context().state().failed {
            return Err(KafkaError::MessageProduction(failed));
        }
        let (offsets, group) = note.to_commit(text)?;
        self.producer
            .send_offsets_to_transaction(&offsets, &group, PATIENCE)?;
        self.producer.commit_transaction(PATIENCE)
    }

    fn send_record(&self, record: &Record) -> Result<(), KafkaError> {
        let illegal = |_| KafkaError::MessageProduction(RDKafkaErrorCode::InvalidTopic);
        let topic = CString::new(&*record.topic).map_err(illegal)?;
        loop {
            match enqueue(self.producer.client().native_ptr(), &topic, record) {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                    self.producer.poll(std::time::Duration::from_millis(50));
                }
                error => {
                    let code = rd::RDKafkaErrorCode::from(error);
                    return Err(KafkaError::MessageProduction(code));
                }
            }
        }
    }
}
