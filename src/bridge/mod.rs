//! The bridge between an agent's event bus and Kafka.
//!
//! ```text
//! agent ─► HTTP ─► Outgoing: form ─► Kafka acknowledges ─► 2xx
//! agent ◄─ HTTP ◄─ Incoming: form ◄─ record;  taken ─► offset
//!                                └─► dead letter
//! ```
//! Outwards an event is answered for when all replicas have it; whoever gets no
//! such answer sends it again. Inwards a record is committed when the agent has
//! taken it. Either way something may come twice and nothing is lost.
//!
//! [`Incoming`] is a thread, as librdkafka's polls block; while the agent is
//! away its partitions are paused and polled on, so that the group keeps them.

mod agent;
mod browse;
mod courier;
mod form;
mod gate;
mod incoming;
mod json;
mod names;
mod outgoing;
mod pace;
mod topic_map;

use crate::config::{BridgeConfig, MessageForm};

pub use agent::{Agent, NoClient};
pub use browse::{BrowseFailure, Browser};
pub use courier::Courier;
pub use form::{Event, Form, Given, Unfit};
pub use gate::{Counts, Gate};
pub use incoming::Incoming;
pub use names::{NameError, of_webhook, to_bus, to_kafka};
pub use outgoing::{Outgoing, PublishFailure};

/// The form that the configuration asks for.
pub fn form(config: &BridgeConfig) -> Form {
    let plugin = &config.plugin;
    match config.messages {
        MessageForm::Plain => Form::Plain {
            events: topic_map::plain(),
        },
        MessageForm::Enveloped => Form::Enveloped {
            events: plugin
                .topic_map
                .clone()
                .unwrap_or_else(topic_map::enveloped),
            outbound_topic: plugin
                .outbound_topic
                .clone()
                .unwrap_or_else(|| "acapy-outbound-message".to_owned()),
        },
    }
}
