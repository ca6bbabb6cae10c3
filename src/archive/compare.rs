//! Rows that do not say which delivery they archive: another archiver's, and
//! direct uploads. Only the object tells whether it is the same message: a CRC
//! can be forged.

use std::sync::Arc;

use tracing::warn;

use crate::catalogue::StoredRow;
use crate::envelope;
use crate::record::Delivery;
use crate::store::{Health, Operation, Store, StoreError};

/// Whether a row's object has the content of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Same,
    Different,
    /// The object is there, and cannot be read while others can: why.
    Unreadable(String),
}

/// Whether the object of `row` has the content of `delivery`, on its topic.
/// An object that is missing or is no document is nothing to rely on: the
/// record is then stored as a message of its own. One that cannot be read at
/// the moment may have it: neither is known until it can.
pub(super) async fn same_content(
    store: &Arc<dyn Store>,
    health: &Health,
    row: &StoredRow,
    delivery: &Delivery,
) -> Result<Compared, StoreError> {
    let body = match store.get(&row.row.location()).await {
        Ok(body) => body,
        Err(StoreError::NotFound { key, .. }) => {
            warn!("{key} of row {} is missing from the store", row.row.uuid);
            return Ok(Compared::Different);
        }
        Err(error @ StoreError::Unreadable { .. }) => {
            warn!("row {}: {error}", row.row.uuid);
            return Ok(Compared::Different);
        }
        Err(error) => {
            let (bucket, key) = (&row.row.bucket, &row.row.key);
            return match health
                .is_working(&**store, Operation::Get, bucket, key)
                .await
            {
                true => Ok(Compared::Unreadable(error.to_string())),
                false => Err(error),
            };
        }
    };
    let document = match envelope::decode(&body) {
        Ok(document) => document,
        Err(error) => {
            warn!("{} of row {}: {error}", row.row.key, row.row.uuid);
            return Ok(Compared::Different);
        }
    };
    let digest = envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    );
    Ok(
        match *document.topic == *delivery.topic && digest == delivery.digest {
            true => Compared::Same,
            false => Compared::Different,
        },
    )
}
