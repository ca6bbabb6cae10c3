//! What the listener is the front of.

use async_trait::async_trait;
use bytes::Bytes;

/// An event of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEvent {
    /// On the agent's bus, with `::`.
    pub topic: String,
    /// What the agent sent, not looked at yet.
    pub payload: Bytes,
    pub wallet_id: Option<String>,
    pub id: Option<String>,
}

/// Why something is not on Kafka, or not to be had of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeFailure {
    /// The bridge was stopped by an order.
    Stopped,
    /// What was sent is wrong.
    Wrong(String),
    /// Larger than Kafka takes.
    TooLarge(String),
    /// There is no such topic, or nobody wants events of it.
    NotThere(String),
    /// Kafka does not take it.
    Refused(String),
    /// Kafka does not answer in time.
    Away(String),
}

/// The bridge of this process.
#[async_trait]
pub trait BridgePort: Send + Sync {
    /// Returns when all replicas have the event.
    async fn event(&self, event: AgentEvent) -> Result<(), BridgeFailure>;

    /// The same for an event that an agent without the plugin tells, under the
    /// topic that its webhooks have.
    async fn webhook(
        &self,
        topic: &str,
        wallet_id: Option<String>,
        payload: Bytes,
    ) -> Result<(), BridgeFailure>;

    /// Puts a JSON value on a topic.
    async fn produce(&self, topic: &str, value: Bytes) -> Result<(), BridgeFailure>;

    /// Lets everything through, or nothing.
    fn set_running(&self, running: bool);

    /// What it has done, as JSON.
    fn status(&self) -> serde_json::Value;

    /// Topics of the cluster.
    async fn topics(&self) -> Result<Vec<String>, BridgeFailure>;

    /// The last values of a topic, oldest first; `None` is a tombstone.
    async fn values(
        &self,
        topic: &str,
        limit: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, BridgeFailure>;
}
