//! A single record, read again from Kafka.

use std::sync::{Arc, Mutex, PoisonError};

use super::Stream;
use crate::kafka::{Admin, KafkaFailure, SecondReader};
use crate::record::{Record, TopicId};

/// The clients that read single records, opened by the first question: a client for
/// each record would connect and log in each time.
#[derive(Clone, Default)]
pub struct RecordClients(Arc<Mutex<Clients>>);

#[derive(Default)]
struct Clients {
    reader: Option<SecondReader>,
    admin: Option<Admin>,
}

impl Stream {
    /// The record at that place; `None` where Kafka has none there (any more).
    /// Blocks.
    pub(in crate::verify) fn record(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, KafkaFailure> {
        let clients = &self.record_clients.0;
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut clients.reader {
            Some(reader) => reader,
            none => none.insert(SecondReader::open(&self.cluster)?),
        };
        reader.record(topic, partition, offset)
    }

    /// The id that the topic has now, where the brokers give ids. Blocks.
    pub(in crate::verify) fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, KafkaFailure> {
        let clients = &self.record_clients.0;
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let admin = match &mut clients.admin {
            Some(admin) => admin,
            none => none.insert(Admin::open(&self.cluster, self.group())?),
        };
        admin.topic_id(topic)
    }
}
