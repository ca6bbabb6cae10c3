//! What can be done about defects.
//!
//! An object that is whole is believed more than its row, for it proves itself;
//! the row is written anew from it. An object that is missing or damaged is
//! looked for: beside its place, in the backup bucket, in Kafka. Its bytes go
//! where it was, if nothing lies there, or else under a new key beside it, which
//! the row then names; what is damaged stays where it is and is set aside.

mod counts;
mod object;
mod orphan;
mod record;
mod row;

use std::sync::Arc;

use super::finding::Repair;
use super::{Result, Stream, Verifier};
use crate::catalogue::{Row, SetAside, StoredRow};
use crate::store::{Location, StoreError};

/// Whether and from where defects are mended.
#[derive(Clone, Default)]
pub struct Mending {
    /// Only tells what would be done.
    pub dry_run: bool,
    /// Where copies of objects are, under the same keys.
    pub backup_bucket: Option<String>,
    /// Where records may still be.
    pub stream: Option<Stream>,
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
            Err(StoreError::NotFound { .. } | StoreError::Unreadable { .. }) => Ok(None),
            // A bucket that only a damaged row names is nothing to rely on.
            Err(StoreError::Refused { .. })
                if bucket != self.store.bucket() && self.store.check().await.is_ok() =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn row_of_uuid(&self, uuid: uuid::Uuid) -> Result<Option<StoredRow>> {
        let rows = self.ask(move |catalogue| catalogue.fetch(&[uuid])).await?;
        Ok(rows.into_iter().next())
    }

    /// Makes a row say something else, unless this is a dry run.
    pub(super) async fn write_row(&self, id: i64, row: Row) -> Result<bool> {
        if self.is_dry_run() {
            return Ok(true);
        }
        self.ask(move |catalogue| catalogue.upkeep().mend(id, &row))
            .await
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
