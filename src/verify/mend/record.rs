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
        topic_id: Option<TopicId>,
        defect: &Defect,
    ) -> Result<Option<Repair>> {
        if self.mending.is_none() {
            return Ok(None);
        }
        let repair = match (&defect.kind, defect.uuid) {
            (Kind::NotArchived { .. }, _) => self.archive(record, topic_id).await?,
            (Kind::RetryNotRecorded { .. }, Some(uuid)) => {
                self.record_retry(record, topic_id, uuid).await?
            }
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

    async fn record_retry(
        &self,
        record: &Record,
        topic_id: Option<TopicId>,
        uuid: uuid::Uuid,
    ) -> Result<Repair> {
        let retry = Retry {
            uuid,
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
            topic_id,
        };
        if !self.is_dry_run() {
            self.ask(move |catalogue| catalogue.add(&[], std::slice::from_ref(&retry)))
                .await?;
        }
        Ok(Repair::done("it is recorded as a retry"))
    }

    /// As the archiver does: UUID claimed, object stored, row added.
    async fn archive(&self, record: &Record, topic_id: Option<TopicId>) -> Result<Repair> {
        if self.is_dry_run() {
            return Ok(Repair::done("it is archived from Kafka"));
        }
        let delivery = envelope::delivery(record);
        let client_uuid = envelope::client_uuid(&record.headers);
        for attempt in 0..envelope::MAX_UUID_ATTEMPTS {
            let uuid = envelope::wanted_uuid(client_uuid, &delivery, attempt);
            let claim = Claim {
                uuid,
                delivery: delivery.clone(),
                topic_id,
            };
            let owners = self
                .ask(move |catalogue| catalogue.claim(std::slice::from_ref(&claim)))
                .await?;
            let is_mine = |owner: &Owner| match owner {
                Owner::Claim {
                    delivery: of,
                    topic_id: id,
                    ..
                } => *of == delivery && TopicId::may_be_same(*id, topic_id),
                Owner::Row(_) => false,
            };
            if owners.iter().any(|(_, owner)| is_mine(owner)) {
                return self.archive_under(record, topic_id, uuid).await;
            }
        }
        Ok(Repair::impossible(
            "its UUIDs belong to other messages: let an archiver of a new group read the topic",
        ))
    }

    async fn archive_under(
        &self,
        record: &Record,
        topic_id: Option<TopicId>,
        uuid: uuid::Uuid,
    ) -> Result<Repair> {
        let is_public = |stream: &super::Stream| (stream.is_public)(&record.topic);
        let public = self.stream.as_ref().is_some_and(is_public);
        let digest = envelope::delivery(record).digest;
        let mut notes = envelope::annotate(record, digest, uuid, public);
        notes.topic_id = topic_id;
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
