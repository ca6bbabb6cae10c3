//! What is told while the comparison goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Defect, Result, VerifyError};

/// What is wrong with one thing (a message, an object, a topic, a record of
/// Kafka's), and what became of it where it was to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub defects: Vec<Defect>,
    pub repair: Option<Repair>,
}

/// What became of a thing that was to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Whether nothing is wrong with it any more; with a dry run, whether that
    /// would be so.
    pub mended: bool,
    /// What was done, would be done, or why nothing could be done.
    pub how: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Where the object is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where findings go, and how many of each kind there were.
pub(super) struct Findings {
    to: mpsc::Sender<Finding>,
    counts: Mutex<Counts>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// By kind; what was acknowledged is none.
    pub defects: BTreeMap<String, i64>,
    pub mended: u64,
}

impl Findings {
    /// `before`: what an earlier part of the same verification found.
    pub fn new(to: mpsc::Sender<Finding>, before: Counts) -> Self {
        Self {
            to,
            counts: Mutex::new(before),
        }
    }

    pub fn counts(&self) -> Counts {
        self.held().clone()
    }

    pub async fn tell(&self, defect: Defect) -> Result<()> {
        self.tell_of(vec![defect], None).await
    }

    /// Tells of one thing.
    pub async fn tell_of(&self, defects: Vec<Defect>, repair: Option<Repair>) -> Result<()> {
        if defects.is_empty() {
            return Ok(());
        }
        self.count(&defects, repair.as_ref());
        let sent = self.to.send(Finding { defects, repair }).await;
        sent.map_err(|_| VerifyError::Unheard)
    }

    fn count(&self, defects: &[Defect], repair: Option<&Repair>) {
        let mut counts = self.held();
        for defect in defects.iter().filter(|defect| !defect.is_known()) {
            let kind = defect.kind.name().to_owned();
            *counts.defects.entry(kind).or_default() += 1;
            counts.mended += u64::from(repair.is_some_and(|repair| repair.mended));
        }
    }

    fn held(&self) -> MutexGuard<'_, Counts> {
        // Counting does not panic.
        self.counts.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

impl Repair {
    pub(super) fn done(how: impl Into<String>) -> Self {
        Self::new(true, how)
    }

    pub(super) fn impossible(why: impl Into<String>) -> Self {
        Self::new(false, why)
    }

    fn new(mended: bool, how: impl Into<String>) -> Self {
        Self {
            mended,
            how: how.into(),
            topic: None,
            uuid: None,
            key: None,
        }
    }
}
