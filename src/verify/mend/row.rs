//! A row and its object that do not agree, or of which the object is missing.

use tracing::{debug, info};

use super::object;
use crate::catalogue::{Origin, Row, StoredRow};
use crate::envelope::{self, Document, object_key};
use crate::store::StoreError;
use crate::verify::content::digest_of;
use crate::verify::describe::{self, prove, proved, row_of};
use crate::verify::finding::Repair;
use crate::verify::objects::uuid_of;
use crate::verify::{Mending, Result, Verifier};

/// How a message gets row and object again.
enum Plan {
    /// The row is to say this.
    Row { row: Box<Row>, how: String },
    /// These bytes are to be stored.
    Object { bytes: Vec<u8>, how: String },
}

impl Verifier {
    /// `None` where nothing is to be mended.
    pub(in crate::verify) async fn mend_row(&self, stored: &StoredRow) -> Result<Option<Repair>> {
        let Some(mending) = &self.mending else {
            return Ok(None);
        };
        let row = &stored.row;
        let repair = match self.plan(mending, row).await? {
            Ok(Plan::Row { row: new, how }) => self.carry_out_row(stored, *new, how).await?,
            Ok(Plan::Object { bytes, how }) => self.carry_out_object(stored, bytes, how).await?,
            Err(why) => Repair::impossible(why).of_row(row),
        };
        Ok(Some(repair))
    }

    async fn carry_out_row(&self, stored: &StoredRow, new: Row, how: String) -> Result<Repair> {
        let old = &stored.row;
        // An object that nothing confirms does not make its message public.
        let mut new = new;
        if new.public && !old.public && self.is_unconfirmed(old.uuid).await? {
            new.public = false;
        }
        let repair = Repair::done(how).of_row(&new);
        if !self.write_row(stored, new.clone()).await? {
            // Another repair may have reached it first: two objects exchanged.
            let now = self.row_of_uuid(old.uuid).await?;
            let now = now.filter(|now| now.id == stored.id);
            return Ok(match now {
                Some(now) if self.evidence(&now.row).await?.is_some() => {
                    Repair::done("it was repaired with another message").of_row(&now.row)
                }
                _ => Repair::impossible("the row has changed meanwhile").of_row(old),
            });
        }
        if old.key != new.key {
            self.forget_place(old).await?;
        }
        Ok(repair)
    }

    async fn carry_out_object(
        &self,
        stored: &StoredRow,
        bytes: Vec<u8>,
        how: String,
    ) -> Result<Repair> {
        let old = &stored.row;
        let key = self.store_again(old, &bytes).await?;
        let document = envelope::decode(&bytes).ok();
        let place = (self.store.bucket(), key.as_str());
        let new = document.and_then(|document| row_of(&document, &bytes, place, Some(old)));
        match new {
            Some(new) => self.carry_out_row(stored, new, how).await,
            None => Ok(Repair::impossible("its bytes cannot be described").of_row(old)),
        }
    }

    /// What lies where the row no longer looks, if its key is one of this
    /// message's. Another message's object is not this one's to set aside.
    async fn forget_place(&self, old: &Row) -> Result<()> {
        if uuid_of(&old.key) != Some(old.uuid) || old.bucket != self.store.bucket() {
            return Ok(());
        }
        let place = old.location();
        let reason = match self.get(&place).await {
            Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(StoreError::Unreadable { .. }) => "unreadable; the message's object lies elsewhere",
            Err(error) => return Err(error.into()),
            Ok(bytes) => match proved(&bytes) {
                None => "damaged; the message's object lies elsewhere",
                Some(document) if document.annotations.uuid != old.uuid => {
                    let repair = self.mend_stray(&document, &old.key, &bytes).await?;
                    info!(key = old.key, repaired = repair.mended, "{}", repair.how);
                    return Ok(());
                }
                Some(document) if !is_same_delivery(old, &document) => return Ok(()),
                Some(_) => "tampered or a copy; the message's object lies elsewhere",
            },
        };
        self.leave_aside(&old.bucket, &old.key, reason).await
    }

    /// What to do, or why nothing can be done.
    async fn plan(
        &self,
        mending: &Mending,
        row: &Row,
    ) -> Result<std::result::Result<Plan, String>> {
        let here = self.bytes_at(&row.bucket, &row.key).await?;
        if let Some(bytes) = &here
            && let Some(document) = self.object_of(row, bytes)
            && let Some(new) = row_of(&document, bytes, (&row.bucket, &row.key), Some(row))
        {
            let (row, how) = (
                Box::new(new),
                "the row is written anew from its object".to_owned(),
            );
            return Ok(Ok(Plan::Row { row, how }));
        }
        if let Some(plan) = self.object_elsewhere(row).await? {
            return Ok(Ok(plan));
        }
        if let Some(bytes) = &here
            && let Some(plan) = self.wrong_uuid(row, bytes).await?
        {
            return Ok(Ok(plan));
        }
        if let Some(plan) = self.noncurrent_version(row).await? {
            return Ok(Ok(plan));
        }
        if let Some(plan) = self.copy_in_backup(mending, row).await? {
            return Ok(Ok(plan));
        }
        if let Some(bytes) = &here
            && let Some(plan) = self.exchanged_object(row, bytes).await?
        {
            return Ok(Ok(plan));
        }
        self.copy_in_kafka(mending, row).await
    }

    /// Where its key could also be.
    async fn object_elsewhere(&self, row: &Row) -> Result<Option<Plan>> {
        let bucket = self.store.bucket();
        for key in object::places(row) {
            if key == row.key && row.bucket == bucket {
                continue;
            }
            let Some(bytes) = self.bytes_at(bucket, &key).await? else {
                continue;
            };
            if let Some(document) = self.object_of(row, &bytes)
                && let Some(row) = row_of(&document, &bytes, (bucket, &key), Some(row))
            {
                let how = "the row names the object that lies beside".to_owned();
                let row = Box::new(row);
                return Ok(Some(Plan::Row { row, how }));
            }
        }
        Ok(None)
    }

    /// The object and its key say another UUID, which no row has.
    async fn wrong_uuid(&self, row: &Row, bytes: &[u8]) -> Result<Option<Plan>> {
        let Ok(document) = envelope::decode(bytes) else {
            return Ok(None);
        };
        let uuid = document.annotations.uuid;
        let is_named = uuid_of(&row.key) == Some(uuid) && uuid != row.uuid;
        let mut origin = row.origin.iter();
        if origin.any(|origin| origin.digest != digest_of(&document)) {
            return Ok(None);
        }
        if !is_named || prove(bytes, &document).is_none() || self.row_of_uuid(uuid).await?.is_some()
        {
            return Ok(None);
        }
        let described = row_of(&document, bytes, (&row.bucket, &row.key), Some(row));
        Ok(described.map(|row| Plan::Row {
            row: Box::new(row),
            how: "the row gets the UUID of its object".to_owned(),
        }))
    }

    /// What the key held before somebody replaced or deleted it, where the
    /// bucket keeps versions.
    async fn noncurrent_version(&self, row: &Row) -> Result<Option<Plan>> {
        let own = object_key(&row.topic, row.timestamp, row.uuid);
        let is_named = uuid_of(&row.key) == Some(row.uuid) && row.bucket == self.store.bucket();
        let named = is_named.then(|| row.key.clone());
        let keys = named
            .iter()
            .chain(named.as_ref().is_none_or(|key| *key != own).then_some(&own));
        for key in keys {
            for version in self.versions(key).await? {
                if let Some(bytes) = self.version(key, &version).await?
                    && self.object_of(row, &bytes).is_some()
                {
                    let how = format!("its object is stored again from version {version} of {key}");
                    return Ok(Some(Plan::Object { bytes, how }));
                }
            }
        }
        Ok(None)
    }

    async fn copy_in_backup(&self, mending: &Mending, row: &Row) -> Result<Option<Plan>> {
        let Some(bucket) = &mending.backup_bucket else {
            return Ok(None);
        };
        for key in object::places(row) {
            if let Some(bytes) = self.bytes_at(bucket, &key).await?
                && self.object_of(row, &bytes).is_some()
            {
                let how = format!("its object is stored again from bucket {bucket}");
                return Ok(Some(Plan::Object { bytes, how }));
            }
        }
        Ok(None)
    }

    /// Another message's object lies here: this one's may lie there.
    async fn exchanged_object(&self, row: &Row, bytes: &[u8]) -> Result<Option<Plan>> {
        let Ok(document) = envelope::decode(bytes) else {
            return Ok(None);
        };
        let other = document.annotations.uuid;
        if other == row.uuid {
            return Ok(None);
        }
        let Some(other) = self.row_of_uuid(other).await? else {
            return Ok(None);
        };
        let mut keys = object::places(&other.row);
        keys.push(other.row.key);
        for key in keys {
            if let Some(bytes) = self.bytes_at(self.store.bucket(), &key).await?
                && self.object_of(row, &bytes).is_some()
            {
                let how = "its object is stored again from another message's place".to_owned();
                return Ok(Some(Plan::Object { bytes, how }));
            }
        }
        Ok(None)
    }

    async fn copy_in_kafka(
        &self,
        mending: &Mending,
        row: &Row,
    ) -> Result<std::result::Result<Plan, String>> {
        let no_copy = match &mending.backup_bucket {
            Some(bucket) => format!("bucket {bucket} has no whole copy"),
            None => "no backup bucket is named".to_owned(),
        };
        let Some(stream) = mending.stream.clone() else {
            return Ok(Err(format!("{no_copy}, and no Kafka is chosen")));
        };
        let Some(origin) = row.origin.clone() else {
            return Ok(Err(format!(
                "{no_copy}, and where it was in Kafka is not known"
            )));
        };
        let topic = row.topic.clone();
        let (partition, offset) = (origin.partition, origin.offset);
        let fetch = move || stream.record(&topic, partition, offset);
        let record = match tokio::task::spawn_blocking(fetch).await? {
            Ok(record) => record,
            Err(error) => return Ok(Err(format!("{no_copy}, and {error}"))),
        };
        let is_its = |record: &crate::record::Record| {
            let delivery = envelope::delivery(record);
            delivery.digest == origin.digest
                && (Some(&delivery) == row.delivery().as_ref()
                    || envelope::derived_uuid(&delivery, 0) == row.uuid)
        };
        let Some(record) = record.filter(is_its) else {
            debug!(
                "{} partition {partition} offset {offset} is gone",
                row.topic
            );
            return Ok(Err(format!(
                "{no_copy}, and Kafka has no record with its digest there (any more)"
            )));
        };
        Ok(Ok(Plan::Object {
            bytes: describe::encode(&record, row),
            how: "its object is stored again from Kafka".to_owned(),
        }))
    }
}

/// Whether an object says that it was where the row says. One that was
/// elsewhere is another message, even under the same UUID.
fn is_same_delivery(row: &Row, document: &Document) -> bool {
    let is_place = |origin: &Origin| {
        let (partition, offset) = (document.partition, document.offset);
        partition.is_none_or(|partition| partition == origin.partition)
            && offset.is_none_or(|offset| offset == origin.offset)
    };
    let same_content = |origin: &Origin| origin.digest == digest_of(document);
    let origin = row.origin.as_ref();
    row.topic == document.topic && origin.is_none_or(|of| is_place(of) || same_content(of))
}
