//! What became of a restore.

use serde::Serialize;
use uuid::Uuid;

use super::record::Near;

/// So many records that are not exact are named; all are counted, and have
/// their header.
pub(super) const NAMED: usize = 1_000;

/// What became of one topic.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub topic: String,
    pub target: String,
    /// Records that were committed by now, by this run.
    pub restored: u64,
    /// Of these: producers' retries.
    pub retries: u64,
    /// What earlier runs had committed.
    pub before: u64,
    /// Messages that the archive could not give, earlier runs of this restore
    /// included.
    pub left_out: u64,
    /// Messages that were archived while they were restored, in between: they
    /// are not on the target.
    pub behind: u64,
    /// Bytes of documents read.
    pub bytes: u64,
    /// How many records of this run are not exact, for each reason.
    pub near: std::collections::BTreeMap<Near, u64>,
    /// The first of them.
    pub near_records: Vec<NearRecord>,
    pub ending: Ending,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was to be restored is there, but for what was left out.
    Done,
    /// It was told to stop.
    Stopped,
    /// It could not go on, because of this.
    Failed(String),
}

/// A record that is not exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearRecord {
    pub uuid: Uuid,
    pub topic: String,
    pub why: Vec<Near>,
    /// Milliseconds since 1970-01-01 UTC, as archived.
    pub timestamp: i64,
}

/// A message that was not restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub uuid: Uuid,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub key: Option<String>,
    pub why: Why,
    /// In words.
    pub cause: String,
}

/// Why a message was not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The archive has no message of this UUID.
    Unknown,
    /// Its object is not in the store.
    MissingObject,
    /// Its object is not what the catalogue says, or is no document.
    DamagedObject,
    /// The store cannot give it.
    UnreadableObject,
}
