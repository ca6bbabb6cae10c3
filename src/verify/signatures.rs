//! Whether rows carry a valid signature.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::defect::Kind;
use super::{Result, Verifier};
use crate::catalogue::StoredRow;
use crate::envelope::Document;
use crate::signing::{SigningKeys, Verdict};

/// What was found about signatures, of the rows that this run looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    pub valid: u64,
    /// Rows from before signing began, of another archiver, or unconfirmed.
    pub unsigned: u64,
    /// Signed rows that were not checked: no key is configured, or it takes the
    /// object's content (direct uploads, without `deep`).
    pub not_checked: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counter {
    valid: AtomicU64,
    unsigned: AtomicU64,
    not_checked: AtomicU64,
    /// Of the catalogue's state; not set where nothing was ever signed.
    pub signed_after: OnceLock<i64>,
}

impl Counter {
    pub fn read(&self) -> Signatures {
        Signatures {
            valid: self.valid.load(Ordering::Relaxed),
            unsigned: self.unsigned.load(Ordering::Relaxed),
            not_checked: self.not_checked.load(Ordering::Relaxed),
        }
    }
}

impl Verifier {
    /// `document`: the row's object, where it was read.
    pub(super) async fn check_signature(
        &self,
        stored: &StoredRow,
        document: Option<&Document>,
    ) -> Result<Option<Kind>> {
        let (row, counter) = (&stored.row, &self.progress.signatures);
        let count = |of: &AtomicU64| of.fetch_add(1, Ordering::Relaxed);
        let Some(signature) = &row.signature else {
            let is_ours = row.origin.is_some() || row.direct_upload;
            let is_late = counter
                .signed_after
                .get()
                .is_some_and(|last| stored.id > *last);
            if self.keys.is_some() && is_ours && is_late && !self.is_unconfirmed(row.uuid).await? {
                return Ok(Some(Kind::SignatureMissing));
            }
            count(&counter.unsigned);
            return Ok(None);
        };
        let signed = row.signed().or_else(|| document?.signed());
        let (Some(keys), Some(signed)) = (&self.keys, signed) else {
            count(&counter.not_checked);
            return Ok(None);
        };
        let key = signature.key_id.clone();
        Ok(match keys.check(signature, &signed) {
            Verdict::Valid => {
                count(&counter.valid);
                None
            }
            Verdict::Invalid => Some(Kind::SignatureInvalid { key }),
            Verdict::UnknownKey => Some(Kind::SignatureKeyUnknown { key }),
        })
    }

    pub(super) async fn is_unconfirmed(&self, uuid: uuid::Uuid) -> Result<bool> {
        let uuids = [uuid];
        let found = self
            .ask(move |catalogue| catalogue.upkeep().which_unconfirmed(&uuids))
            .await?;
        Ok(!found.is_empty())
    }
}

/// Why an object's own signature does not vouch for it; `None` where it does.
pub(super) fn unconfirmed(keys: &SigningKeys, document: &Document) -> Option<String> {
    let (Some(signature), Some(signed)) = (&document.annotations.signature, document.signed())
    else {
        return Some("it has no signature".to_owned());
    };
    match keys.check(signature, &signed) {
        Verdict::Valid => None,
        Verdict::Invalid => Some(format!(
            "its signature by key {} is wrong",
            signature.key_id
        )),
        Verdict::UnknownKey => Some(format!(
            "it is signed by key {}, which is not configured: add it to ARCHIVE_SIGNING_KEYS_OLD",
            signature.key_id
        )),
    }
}
