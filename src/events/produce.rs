//! Events onto a topic, in the registry's wire format.

use std::time::Duration;

use serde_json::Value;

use crate::avro::{Encoder, Misfit, SchemaError};
use crate::kafka::{Cluster, KafkaFailure, RecordProducer};
use crate::record::{Record, TimestampType};
use crate::registry::{BlockingRegistry, RegistryError, wire};

/// All acknowledgements may take this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kafka chooses the partition, by the key where there is one.
const ANY_PARTITION: i32 = -1;

/// Why JSON is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("{part} {misfit}")]
    Misfit { part: &'static str, misfit: Misfit },
    /// They would be lost without a word.
    #[error("{part} has {count} members that its schema does not have")]
    LeftOut { part: &'static str, count: u64 },
}

/// Encodes events of one kind.
pub struct EventWriter {
    key: Option<Part>,
    value: Part,
}

struct Part {
    name: &'static str,
    definition: String,
    encoder: Encoder,
}

/// An event without the ids of its schemas.
pub struct Event {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

impl Event {
    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.value.len() + self.key.as_ref().map_or(0, Vec::len)
    }
}

/// What an event's schemas are to the registry.
#[derive(Clone, Copy, Debug)]
pub struct SchemaIds {
    key: Option<u32>,
    value: u32,
}

impl EventWriter {
    /// The schemas as JSON texts. Events without a schema of the key have none.
    pub fn new(key: Option<&str>, value: &str) -> Result<Self, SchemaError> {
        let part = |name, definition: &str| {
            Ok(Part {
                name,
                definition: definition.to_owned(),
                encoder: Encoder::new(definition)?,
            })
        };
        Ok(Self {
            key: key.map(|key| part("the key's", key)).transpose()?,
            value: part("the value's", value)?,
        })
    }

    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Encodes one event. `key` counts only where keys have a schema.
    pub fn encode(&self, key: &Value, value: &Value) -> Result<Event, EventError> {
        Ok(Event {
            key: self.key.as_ref().map(|part| part.encode(key)).transpose()?,
            value: self.value.encode(value)?,
        })
    }

    /// Makes sure that the registry has the schemas, as `TOPIC-key` and
    /// `TOPIC-value`.
    pub fn register(
        &self,
        registry: &BlockingRegistry,
        topic: &str,
    ) -> Result<SchemaIds, RegistryError> {
        let value =
            registry.register_patiently(&format!("{topic}-value"), &self.value.definition)?;
        let key = self.key.as_ref();
        let key =
            key.map(|part| registry.register_patiently(&format!("{topic}-key"), &part.definition));
        Ok(SchemaIds {
            key: key.transpose()?,
            value,
        })
    }
}

impl Part {
    fn encode(&self, value: &Value) -> Result<Vec<u8>, EventError> {
        let part = self.name;
        let mut out = Vec::new();
        let encoded = self.encoder.encode(&value.to_string(), &mut out);
        match encoded.map_err(|misfit| EventError::Misfit { part, misfit })? {
            told if told.left_out > 0 => Err(EventError::LeftOut {
                part,
                count: told.left_out,
            }),
            _ => Ok(out),
        }
    }
}

/// Sends events: acknowledged by all in-sync replicas, each once, when this
/// returns without an error. After an error some may be on the topic.
pub fn send(
    cluster: &Cluster,
    topic: &str,
    ids: SchemaIds,
    events: Vec<Event>,
) -> Result<(), KafkaFailure> {
    let producer = RecordProducer::open(cluster)?;
    for event in events {
        producer.send(&Record {
            topic: topic.into(),
            partition: ANY_PARTITION,
            offset: 0,
            // The client makes it now.
            timestamp: 0,
            timestamp_type: TimestampType::Create,
            key: (ids.key.zip(event.key)).map(|(id, datum)| wire::join(id, datum)),
            value: Some(wire::join(ids.value, event.value)),
            headers: vec![],
        })?;
    }
    producer.flush(PATIENCE)
}
