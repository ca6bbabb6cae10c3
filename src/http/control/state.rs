//! What a producer shows and what it can be told.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Serialize, Serializer};

/// Of each realm, of each topic (a schema's name, without the realm).
pub type Realms<T> = BTreeMap<String, BTreeMap<String, T>>;

/// A running producer.
#[async_trait]
pub trait ProducerControl: Send + Sync {
    /// How many entities the kernel holds of each type. The error is one line.
    async fn topics(&self) -> Result<Realms<u64>, String>;

    /// What it does, from memory: it answers while kernel and Kafka are away.
    async fn status(&self) -> ProducerState;

    /// Realms that have done nothing for too long, and for how many seconds.
    fn idle_realms(&self) -> BTreeMap<String, u64>;

    /// Whether the kernel's database answers, within seconds.
    async fn is_kernel_there(&self) -> bool;

    /// Whether Kafka answers, within seconds.
    async fn is_kafka_there(&self) -> bool;

    /// Does what is ordered; a rebuild goes on in the background.
    async fn order(&self, order: Order, realm: &str, topic: &str) -> Result<(), ControlFailure>;
}

/// What a topic can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Only from [`TopicStatus::Normal`].
    Pause,
    /// Only from [`TopicStatus::Paused`].
    Resume,
    /// Deletes the topic and its position and ends in
    /// [`TopicStatus::Paused`], or in [`TopicStatus::Locked`] when it failed.
    Rebuild,
}

/// Why an order was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlFailure {
    #[error("Bad realm name: {0}")]
    NoRealm(String),
    #[error("Realm {realm} has no topic {topic}")]
    NoTopic { realm: String, topic: String },
    /// The topic's state does not allow it, or it could not be done.
    #[error("Operation failed on {topic}")]
    Failed { topic: String },
}

/// What a topic is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicStatus {
    Initializing,
    Paused,
    Locked,
    Rebuilding,
    Normal,
    Error,
}

impl fmt::Display for TopicStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Initializing => "TopicStatus.INITIALIZING",
            Self::Paused => "TopicStatus.PAUSED",
            Self::Locked => "TopicStatus.LOCKED",
            Self::Rebuilding => "TopicStatus.REBUILDING",
            Self::Normal => "TopicStatus.NORMAL",
            Self::Error => "TopicStatus.ERROR",
        })
    }
}

impl Serialize for TopicStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `GET /status`. Times are RFC 3339, in UTC.
#[derive(Clone, Debug, Serialize)]
pub struct ProducerState {
    /// `db`: entities are read from the kernel's database.
    pub kernel_mode: String,
    pub kernel_last_check: Option<String>,
    pub kernel_last_check_error: Option<String>,
    pub kafka_container_accessible: bool,
    /// What the client knows of the cluster's brokers.
    pub kafka_broker_information: serde_json::Value,
    pub kafka_last_submission_error: Option<String>,
    pub topics: Realms<TopicState>,
}

/// One topic in `GET /status`.
#[derive(Clone, Debug, Serialize)]
pub struct TopicState {
    pub operating_status: TopicStatus,
    pub last_changeset_status: Changeset,
    /// The last pass that left entities behind; null when none did.
    pub last_errors_set: serde_json::Value,
}

/// What became of the entities of one pass.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changeset {
    pub changes: u64,
    pub failed: u64,
    pub succeeded: u64,
    pub timestamp: Option<String>,
}
