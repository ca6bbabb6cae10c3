//! A row and its object that do not agree, or of which the object is missing.

use tracing::debug;

use super::object;
use crate::catalogue::{Row, StoredRow};
use crate::envelope;
use crate::verify::describe::{self, is_object_of, prove, row_of};
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
        let (old, id) = (&stored.row, stored.id);
        let repair = Repair::done(how).of_row(&new);
        if !self.write_row(id, new.clone()).await? {
            return Ok(Repair::impossible("the row has changed meanwhile").of_row(old));
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

    /// What lies where the row no longer looks is known from now on, if its key
    /// is one of this message's.
    async fn forget_place(&self, old: &Row) -> Result<()> {
        let is_own = uuid_of(&old.key) == Some(old.uuid) && old.bucket == self.store.bucket();
        if is_own && self.bytes_at(&old.bucket, &old.key).await?.is_some() {
            let reason = "not the message's object, which lies elsewhere";
            self.leave_aside(&old.bucket, &old.key, reason).await?;
        }
        Ok(())
    }

    /// What to do, or why nothing can be done.
    async fn plan(
        &self,
        mending: &Mending,
        row: &Row,
    ) -> Result<std::result::Result<Plan, String>> {
        let here = self.bytes_at(&row.bucket, &row.key).await?;
        if let Some(row) = here.as_ref().and_then(|bytes| believed(row, bytes)) {
            let how = "the row is written anew from its object".to_owned();
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
            if let Some(document) = is_object_of(row, &bytes)
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

    async fn copy_in_backup(&self, mending: &Mending, row: &Row) -> Result<Option<Plan>> {
        let Some(bucket) = &mending.backup_bucket else {
            return Ok(None);
        };
        for key in object::places(row) {
            if let Some(bytes) = self.bytes_at(bucket, &key).await?
                && is_object_of(row, &bytes).is_some()
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
                && is_object_of(row, &bytes).is_some()
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
            Some(&delivery) == row.delivery().as_ref()
                || envelope::derived_uuid(&delivery, 0) == row.uuid
        };
        let Some(record) = record.filter(is_its) else {
            debug!(
                "{} partition {partition} offset {offset} is gone",
                row.topic
            );
            return Ok(Err(format!("{no_copy}, and Kafka has it no more")));
        };
        Ok(Ok(Plan::Object {
            bytes: describe::encode(&record, row),
            how: "its object is stored again from Kafka".to_owned(),
        }))
    }
}

/// The row that says what the object at its place is.
fn believed(row: &Row, bytes: &[u8]) -> Option<Box<Row>> {
    let document = is_object_of(row, bytes)?;
    row_of(&document, bytes, (&row.bucket, &row.key), Some(row)).map(Box::new)
}
