//! Rows that do not say which delivery they archive: another archiver's, and
//! direct uploads. Only the object tells whether it is the same message: a CRC
//! can be forged.

use std::sync::Arc;

use tracing::warn;

use crate::catalogue::StoredRow;
use crate::envelope;
use crate::record::Delivery;
use crate::store::{Store, StoreError};

/// Whether the object of `row` has the content of `delivery`, on its topic.
/// An object that is missing or is no document is nothing to rely on: the
/// record is then stored as a message of its own.
pub(super) async fn same_content(
    store: &Arc<dyn Store>,
    row: &StoredRow,
    delivery: &Delivery,
) -> Result<bool, StoreError> {
    let body = match store.get(&row.row.location()).await {
        Ok(body) => body,
        Err(StoreError::NotFound { key, .. }) => {
            warn!("{key} of row {} is missing from the store", row.row.uuid);
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let document = match envelope::decode(&body) {
        Ok(document) => document,
        Err(error) => {
            warn!("{} of row {}: {error}", row.row.key, row.row.uuid);
            return Ok(false);
        }
    };
    let digest = envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    );
    Ok(*document.topic == *delivery.topic && digest == delivery.digest)
}
