//! The bridge behind its listener.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tracing::info;

use crate::bridge::{
    BrowseFailure, Browser, Event, Gate, Outgoing, PublishFailure, Unfit, of_webhook,
};
use crate::config::TopicGlobs;
use crate::http::bridge::{AgentEvent, BridgeFailure, BridgePort};
use crate::kafka::SendFailure;

pub(super) struct Port {
    pub outgoing: Arc<Outgoing>,
    pub browser: Arc<Browser>,
    /// Those of an agent without the plugin that are taken.
    pub webhook_topics: TopicGlobs,
    pub gate: Arc<Gate>,
}

#[async_trait]
impl BridgePort for Port {
    async fn event(&self, event: AgentEvent) -> Result<(), BridgeFailure> {
        let event = Event {
            topic: event.topic,
            payload: event.payload,
            wallet_id: event.wallet_id,
            id: event.id,
        };
        self.outgoing.publish(&event).await.map_err(failure)
    }

    async fn webhook(
        &self,
        topic: &str,
        wallet_id: Option<String>,
        payload: Bytes,
    ) -> Result<(), BridgeFailure> {
        if !self.webhook_topics.is_match(topic) {
            let topic: String = topic.chars().take(80).collect();
            return Err(BridgeFailure::NotThere(format!(
                "webhooks of topic {topic:?} are not taken: see bridge-webhook-topics"
            )));
        }
        let event = Event {
            topic: of_webhook(topic),
            payload,
            wallet_id,
            id: None,
        };
        self.outgoing.publish(&event).await.map_err(failure)
    }

    async fn produce(&self, topic: &str, value: Bytes) -> Result<(), BridgeFailure> {
        self.outgoing.produce(topic, value).await.map_err(failure)
    }

    fn set_running(&self, running: bool) {
        if self.gate.set_open(running) {
            match running {
                true => info!("started by an order"),
                false => info!("stopped by an order"),
            }
        }
    }

    fn status(&self) -> serde_json::Value {
        serde_json::to_value(self.gate.counts()).unwrap_or_default()
    }

    async fn topics(&self) -> Result<Vec<String>, BridgeFailure> {
        let browser = self.browser.clone();
        match spawn_blocking(move || browser.topics()).await {
            Ok(Ok(topics)) => Ok(topics),
            Ok(Err(failure)) => Err(BridgeFailure::Away(failure.to_string())),
            Err(ended) => Err(BridgeFailure::Away(ended.to_string())),
        }
    }

    async fn values(
        &self,
        topic: &str,
        limit: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, BridgeFailure> {
        let (browser, topic) = (self.browser.clone(), topic.to_owned());
        match spawn_blocking(move || browser.values(&topic, limit)).await {
            Ok(Ok(values)) => Ok(values),
            Ok(Err(none @ BrowseFailure::NoTopic(_))) => {
                Err(BridgeFailure::NotThere(none.to_string()))
            }
            Ok(Err(BrowseFailure::Kafka(failure))) => Err(BridgeFailure::Away(failure.to_string())),
            Err(ended) => Err(BridgeFailure::Away(ended.to_string())),
        }
    }
}

fn failure(failure: PublishFailure) -> BridgeFailure {
    let why = failure.to_string();
    match failure {
        PublishFailure::Stopped => BridgeFailure::Stopped,
        PublishFailure::Unfit(Unfit::NotWanted(_)) => BridgeFailure::NotThere(why),
        PublishFailure::Unfit(_) => BridgeFailure::Wrong(why),
        PublishFailure::Kafka(SendFailure::TooLarge(_)) => BridgeFailure::TooLarge(why),
        PublishFailure::Kafka(SendFailure::Refused(_)) => BridgeFailure::Refused(why),
        PublishFailure::Kafka(SendFailure::Away(_)) => BridgeFailure::Away(why),
    }
}
