//! A record of Kafka's that the archive lacks.

use crate::catalogue::{Claim, Owner, Retry, Row};
use crate::envelope;
use crate::record::{Record, TopicId};
use crate::verify::defect::{Defect, Kind};
use crate::verify::describe::row_of;
use crate::verify::finding::Repair;
use crate::verify::{Result, Verifier};

impl Verifier {
    /// `None` where nothing is to be mended.
    pub(in crate::verify) async fn mend_record(
        &self,
        record: &Record,
        defect: &Defect,
    ) -> Result<Option<Repair>> {
        if self.mending.is_none() {
            return Ok(None);
        }
        let repair = match (&defect.kind, defect.uuid) {
            (Kind::NotArchived { .. }, _) => self.archive(record).await?,
            (Kind::RetryNotRecorded { .. }, Some(uuid)) => self.record_retry(record, uuid).await?,
            (Kind::UnreadableObject { .. }, _) => Repair::impossible(
                "whether its row is of this record cannot be told while the object is unreadable",
            ),
            _ => Repair::impossible(
                "row and Kafka contradict each other: `verify --deep --repair` asks the object",
            ),
        };
        Ok(Some(Repair {
            topic: Some(record.topic.to_string()),
            uuid: repair.uuid.or(defect.uuid),
            ..repair
        }))
    }

    async fn record_retry(&self, record: &Record, uuid: uuid::Uuid) -> Result<Repair> {
        let retry = Retry {
            uuid,
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
            topic_id: self.topic_id_of(record).await?,
        };
        if !self.is_dry_run() {
            self.ask(move |catalogue| catalogue.add(&[], std::slice::from_ref(&retry)))
                .await?;
        }
        Ok(Repair::done("it is recorded as a retry"))
    }

    /// As the archiver does: UUID claimed, object stored, row added.
    async fn archive(&self, record: &Record) -> Result<Repair> {
        let delivery = envelope::delivery(record);
        let derived = envelope::derived_uuid(&delivery, 0);
        let wanted = envelope::client_uuid(&record.headers).unwrap_or(derived);
        for uuid in [wanted, derived] {
            if self.is_dry_run() {
                return Ok(Repair::done("it is archived from Kafka"));
            }
            let claim = Claim {
                uuid,
                delivery: delivery.clone(),
            };
            let owners = self
                .ask(move |catalogue| catalogue.claim(std::slice::from_ref(&claim)))
                .await?;
            let is_mine = owners.iter().any(
                |(_, owner)| matches!(owner, Owner::Claim { delivery: of, .. } if *of == delivery),
            );
            if is_mine {
                return self.archive_under(record, uuid).await;
            }
        }
        Ok(Repair::impossible(
            "its UUIDs belong to other messages: let an archiver of a new group read the topic",
        ))
    }

    /// The life of its topic that a record of Kafka belongs to; `None` where more
    /// than one may be it, or none.
    async fn topic_id_of(&self, record: &Record) -> Result<Option<TopicId>> {
        let positions = self
            .ask(|catalogue| catalogue.positions().all_positions())
            .await?;
        let mut lives = positions.into_iter().filter(|position| {
            position.key.topic == record.topic
                && position.key.partition == record.partition
                && (position.first..position.next).contains(&record.offset)
        });
        Ok(match (lives.next(), lives.next()) {
            (Some(position), None) => position.key.topic_id,
            _ => None,
        })
    }

    async fn archive_under(&self, record: &Record, uuid: uuid::Uuid) -> Result<Repair> {
        let is_public = |stream: &super::Stream| (stream.is_public)(&record.topic);
        let public = self.stream.as_ref().is_some_and(is_public);
        let digest = envelope::delivery(record).digest;
        let mut notes = envelope::annotate(record, digest, uuid, public);
        notes.topic_id = self.topic_id_of(record).await?;
        notes.sign(record, self.keys.as_ref());
        let bytes = envelope::encode(record, &notes);
        let own = envelope::object_key(&record.topic, record.timestamp, uuid);
        let describe = |key: &str| -> Option<Row> {
            let document = envelope::decode(&bytes).ok()?;
            row_of(&document, &bytes, (self.store.bucket(), key), None)
        };
        let Some(row) = describe(&own) else {
            return Ok(Repair::impossible("its bytes cannot be described"));
        };
        let key = self.store_again(&row, &bytes).await?;
        let row = Row { key, ..row };
        let repair = Repair::done("it is archived from Kafka").of_row(&row);
        let added = self
            .ask(move |catalogue| catalogue.add(std::slice::from_ref(&row), &[]))
            .await?;
        Ok(match added.rows.is_empty() {
            false => repair,
            true => Repair::impossible("an archiver was quicker"),
        })
    }
}
