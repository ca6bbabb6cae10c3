//! An object in a message's place that no row names.

use crate::catalogue::StoredRow;
use crate::envelope::{self, Document};
use crate::verify::content;
use crate::verify::describe::{is_object_of, prove, row_of};
use crate::verify::finding::Repair;
use crate::verify::objects::Candidate;
use crate::verify::{Result, Verifier};

impl Verifier {
    /// `None` where nothing is to be mended.
    pub(in crate::verify) async fn mend_orphan(
        &self,
        candidate: &Candidate,
    ) -> Result<Option<Repair>> {
        if self.mending.is_none() {
            return Ok(None);
        }
        let (uuid, key) = (candidate.uuid, &candidate.object.key);
        let Some(bytes) = self.bytes_at(self.store.bucket(), key).await? else {
            return Ok(Some(Repair::impossible("it cannot be read")));
        };
        let whole = envelope::decode(&bytes)
            .ok()
            .filter(|document| prove(&bytes, document).is_some());
        let own = whole.filter(|document| document.annotations.uuid == uuid);
        let repair = match (self.row_of_uuid(uuid).await?, own) {
            (Some(stored), own) => self.settle(&stored, key, &bytes, own).await?,
            (None, Some(document)) => self.adopt(&document, key, &bytes).await?,
            (None, None) => Repair::impossible(
                "it is damaged, and no row says what it was: compare with Kafka (--against-kafka) \
                 or a backup",
            ),
        };
        Ok(Some(Repair {
            uuid: Some(uuid),
            key: Some(key.clone()),
            ..repair
        }))
    }

    async fn adopt(&self, document: &Document, key: &str, bytes: &[u8]) -> Result<Repair> {
        let Some(row) = row_of(document, bytes, (self.store.bucket(), key), None) else {
            return Ok(Repair::impossible("it is too large to be a message"));
        };
        if !self.is_dry_run() {
            self.ask(move |catalogue| catalogue.upkeep().adopt(std::slice::from_ref(&row)))
                .await?;
        }
        Ok(Repair::done("it gets a row, read from it"))
    }

    /// The message has a row that names another object, or another place.
    async fn settle(
        &self,
        stored: &StoredRow,
        key: &str,
        bytes: &[u8],
        own: Option<Document>,
    ) -> Result<Repair> {
        let row = &stored.row;
        let named = self.bytes_at(&row.bucket, &row.key).await?;
        let is_well = |bytes: &Vec<u8>| content::compare(row, bytes).is_empty();
        if named.as_ref().is_some_and(is_well) || row.object_offset.is_some() {
            return self.duplicate(stored, key, own).await;
        }
        let place = (self.store.bucket(), key);
        let new = is_object_of(row, bytes)
            .and_then(|document| row_of(&document, bytes, place, Some(row)));
        let Some(new) = new else {
            return Ok(Repair::impossible("its message's row has no whole object"));
        };
        Ok(match self.write_row(stored.id, new).await? {
            true => Repair::done("its message's row names it"),
            false => Repair::impossible("the row has changed meanwhile"),
        })
    }

    /// The message is well without it.
    async fn duplicate(
        &self,
        stored: &StoredRow,
        key: &str,
        own: Option<Document>,
    ) -> Result<Repair> {
        let row = &stored.row;
        let is_other = own.is_some_and(|document| {
            let digest = row.origin.as_ref().map(|origin| origin.digest);
            *document.topic != *row.topic
                || digest.is_some_and(|digest| digest != content::digest_of(&document))
        });
        if is_other {
            return Ok(Repair::impossible(
                "it is whole and another message than the one that has its UUID: keep it, and ask",
            ));
        }
        let reason = "a copy of, or damaged beside, the message's object";
        self.leave_aside(self.store.bucket(), key, reason).await?;
        Ok(Repair::done(format!(
            "set aside: the message has its object at {}",
            row.key
        )))
    }
}
