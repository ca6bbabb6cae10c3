//! Events of the agent, to Kafka.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;

use super::form::{Event, Form, Unfit};
use super::gate::Gate;
use super::json::check_json;
use super::names;
use crate::config::{BridgeConfig, is_internal};
use crate::kafka::{Cluster, KafkaFailure, Letter, Outbox, SendFailure};

/// Sends events; may be shared.
pub struct Outgoing {
    outbox: Arc<Outbox>,
    form: Form,
    gate: Arc<Gate>,
}

/// Why an event is not on Kafka.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishFailure {
    /// The bridge was stopped: it takes nothing until it is started.
    #[error("the bridge is stopped")]
    Stopped,
    /// No retry helps.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// Retry.
    #[error("{0}")]
    Kafka(#[from] SendFailure),
}

impl Outgoing {
    pub fn open(
        cluster: &Arc<Cluster>,
        config: &BridgeConfig,
        form: Form,
        gate: Arc<Gate>,
    ) -> Result<Self, KafkaFailure> {
        let mut properties = config.plugin.producer.clone();
        // What this listener takes must not be too large for the client.
        let largest = (config.event_bytes + 65_536).to_string();
        properties
            .entry("message.max.bytes".to_owned())
            .or_insert(largest);
        Ok(Self {
            outbox: Arc::new(Outbox::open(cluster, &properties, config.delivery)?),
            form,
            gate,
        })
    }

    /// Returns when all replicas have every record that the event becomes.
    pub async fn publish(&self, event: &Event) -> Result<(), PublishFailure> {
        if !self.gate.is_open() {
            return Err(PublishFailure::Stopped);
        }
        let letters = self.form.letters(event)?;
        try_join_all(letters.iter().map(|letter| self.outbox.send(letter))).await?;
        self.gate.count_sent();
        Ok(())
    }

    /// Puts a value that is JSON on any topic that is not Kafka's own.
    pub async fn produce(&self, topic: &str, value: Bytes) -> Result<(), PublishFailure> {
        if !self.gate.is_open() {
            return Err(PublishFailure::Stopped);
        }
        // What is called like an event is written like one.
        let topic = names::to_kafka(topic).map_err(Unfit::from)?;
        if is_internal(&topic) {
            return Err(Unfit::not_wanted(&topic).into());
        }
        check_json(&value)?;
        let letter = Letter {
            topic,
            key: None,
            value: Some(value.to_vec()),
            headers: vec![],
        };
        Ok(self.outbox.send(&letter).await?)
    }

    /// What dead letters go out by.
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }
}
