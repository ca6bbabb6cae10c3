//! What can be done about defects.
//!
//! The row's content digest is the evidence. Only bytes with that digest are the
//! message's object; of them the rest of a damaged row is read. An object that
//! is missing, damaged or contradicts the digest is looked for: beside its
//! place, among the noncurrent versions of its key, in the backup bucket, in
//! Kafka. Its bytes go where it was, if nothing lies there, or else under a new
//! key beside it, which the row then names; what is damaged stays where it is
//! and is set aside. An object that proves to be another message is not set
//! aside until that message has its row and its object.
//!
//! A repair changes a row only if it still is as it was read.

mod counts;
mod object;
mod orphan;
mod record;
mod row;

use std::sync::Arc;

use super::describe::is_object_of;
use super::finding::Repair;
use super::{Result, Stream, Verifier};
use crate::catalogue::{Row, SetAside, StoredRow};
use crate::envelope::Document;
use crate::store::Location;

/// Whether and from where defects are mended.
#[derive(Clone)]
pub struct Mending {
    /// Only tells what would be done.
    pub dry_run: bool,
    /// Where copies of objects are, under the same keys.
    pub backup_bucket: Option<String>,
    /// Where records may still be.
    pub stream: Option<Stream>,
    /// Adds rows for objects that neither a claim nor Kafka confirms.
    pub adopt_orphans: bool,
    /// Which topics anyone may read: never taken from an object.
    pub is_public: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Verifier {
    pub(super) fn is_dry_run(&self) -> bool {
        self.mending.as_ref().is_some_and(|mending| mending.dry_run)
    }

    /// The bytes there, if there are any that can be read.
    pub(super) async fn bytes_at(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let at = Location {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            range: None,
        };
        match self.get(&at).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_of_one_object() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn row_of_uuid(&self, uuid: uuid::Uuid) -> Result<Option<StoredRow>> {
        let rows = self.ask(move |catalogue| catalogue.fetch(&[uuid])).await?;
        Ok(rows.into_iter().next())
    }

    /// Makes a row say something else, unless this is a dry run. Returns false
    /// if it is not as it was read any more.
    pub(super) async fn write_row(&self, read: &StoredRow, row: Row) -> Result<bool> {
        if self.is_dry_run() {
            return Ok(true);
        }
        let read = read.clone();
        self.ask(move |catalogue| catalogue.upkeep().mend(&read, &row))
            .await
    }

    /// Whether anyone may read this topic, as far as is configured.
    fn is_public(&self, topic: &str) -> bool {
        let mending = self.mending.as_ref();
        mending.is_some_and(|mending| (mending.is_public)(topic))
    }

    /// As [`is_object_of`]. Whether the message is public is not believed of the
    /// object alone: the row or the configuration must say the same.
    fn object_of(&self, row: &Row, bytes: &[u8]) -> Option<Document> {
        let document = is_object_of(row, bytes)?;
        let notes = &document.annotations;
        let is_confirmed = notes.digest.is_none()
            || notes.public == row.public
            || notes.public == self.is_public(&document.topic);
        is_confirmed.then_some(document)
    }

    /// Leaves an object where it is, for good and known.
    pub(super) async fn leave_aside(&self, bucket: &str, key: &str, reason: &str) -> Result<()> {
        if self.is_dry_run() {
            return Ok(());
        }
        let object = Arc::new(SetAside {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            reason: reason.to_owned(),
        });
        self.ask(move |catalogue| {
            let object = SetAside::clone(&object);
            catalogue.upkeep().set_aside(&[object])
        })
        .await
    }
}

impl Repair {
    fn of_row(self, row: &Row) -> Self {
        Self {
            topic: Some(row.topic.to_string()),
            uuid: Some(row.uuid),
            key: Some(row.key.clone()),
            ..self
        }
    }
}
