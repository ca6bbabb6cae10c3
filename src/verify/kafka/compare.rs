//! Records of Kafka against the catalogue.
//!
//! A record's row is found by its UUID: the client's, or one that follows from
//! the delivery. So it is an index that is asked, and the same one that the
//! archiver asks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use crate::catalogue::{Retry, StoredRow};
use crate::envelope;
use crate::record::{Delivery, Record, TopicId};
use crate::store::StoreError;
use crate::verify::content::digest_of;
use crate::verify::defect::{Defect, Kind};
use crate::verify::finding::Findings;
use crate::verify::{Result, Verifier};

/// A record on the way to its row.
struct Sought {
    record: Record,
    /// Of the topic that it was read of.
    topic_id: Option<TopicId>,
    delivery: Delivery,
    client_uuid: Option<Uuid>,
    attempt: u32,
    /// A row that is this record's but for some field.
    near: Option<StoredRow>,
    found: Found,
}

enum Found {
    NotYet,
    Archived,
    /// The message has a row; the record repeats it.
    Retry(Uuid),
    Missing,
    /// It may be of this row, whose object cannot be read.
    Unknown(Box<StoredRow>, String),
}

/// Partitions with records of a batch that are not in the archive as they are in
/// Kafka, and with records that were archived only by the comparison.
#[derive(Default)]
pub(super) struct Compared {
    pub differing: HashSet<i32>,
    pub repaired: HashSet<i32>,
}

impl Sought {
    fn new(record: Record, topic_id: Option<TopicId>) -> Self {
        Self {
            topic_id,
            delivery: envelope::delivery(&record),
            client_uuid: envelope::client_uuid(&record.headers),
            record,
            attempt: 0,
            near: None,
            found: Found::NotYet,
        }
    }

    fn is_client_attempt(&self) -> bool {
        self.client_uuid.is_some() && self.attempt == 0
    }

    /// The UUID that it may have.
    fn uuid(&self) -> Uuid {
        envelope::wanted_uuid(self.client_uuid, &self.delivery, self.attempt)
    }

    /// The UUID that it asks for first.
    fn own_uuid(&self) -> Uuid {
        envelope::wanted_uuid(self.client_uuid, &self.delivery, 0)
    }

    fn defect(&self) -> Option<Defect> {
        let (partition, offset) = (self.record.partition, self.record.offset);
        if let Found::Unknown(row, cause) = &self.found {
            let cause = cause.clone();
            return Some(Defect::of_row(&row.row, Kind::UnreadableObject { cause }));
        }
        let kind = match (&self.found, &self.near) {
            (Found::Missing, None) => Kind::NotArchived { partition, offset },
            (Found::Missing, Some(row)) => self.difference(row)?,
            (Found::Archived, Some(row)) => self.difference(row)?,
            _ => return None,
        };
        let topic = &self.record.topic;
        Some(Defect::of_record(topic, self.own_uuid(), kind))
    }

    /// The first field in which a row is not the record's.
    fn difference(&self, row: &StoredRow) -> Option<Kind> {
        let origin = row.row.origin.as_ref()?;
        let record = &self.record;
        let fields = [
            ("topic", record.topic.to_string(), row.row.topic.to_string()),
            (
                "partition",
                record.partition.to_string(),
                origin.partition.to_string(),
            ),
            (
                "offset",
                record.offset.to_string(),
                origin.offset.to_string(),
            ),
            (
                "timestamp",
                record.timestamp.to_string(),
                row.row.timestamp.to_string(),
            ),
            (
                "timestamp_type",
                record.timestamp_type.as_str().to_owned(),
                origin.timestamp_type.as_str().to_owned(),
            ),
            (
                "content_digest",
                self.delivery.digest.to_string(),
                origin.digest.to_string(),
            ),
        ];
        let differs = fields.into_iter().find(|(_, kafka, row)| kafka != row)?;
        let (field, kafka, catalogue) = differs;
        Some(Kind::UnlikeKafka {
            partition: record.partition,
            offset: record.offset,
            field,
            kafka,
            catalogue,
        })
    }
}

impl Verifier {
    pub(super) async fn compare_records(
        &self,
        batch: Vec<Record>,
        topic_id: Option<TopicId>,
        findings: &Findings,
    ) -> Result<Compared> {
        let mut compared = Compared::default();
        let mut sought: Vec<Sought> = batch
            .into_iter()
            .map(|record| Sought::new(record, topic_id))
            .collect();
        while sought.iter().any(|one| matches!(one.found, Found::NotYet)) {
            self.seek(&mut sought).await?;
        }
        self.seek_foreign(&mut sought).await?;
        let known = self.known_retries(&sought).await?;
        for one in &sought {
            let defect = match one.found {
                Found::Retry(uuid) if !is_known(&known, one, uuid) => {
                    let (partition, offset) = (one.record.partition, one.record.offset);
                    let unlike = one.near.as_ref().and_then(|row| one.difference(row));
                    let kind = unlike.unwrap_or(Kind::RetryNotRecorded { partition, offset });
                    Some(Defect::of_record(&one.record.topic, uuid, kind))
                }
                _ => one.defect(),
            };
            if let Some(defect) = defect {
                let repair = self.mend_record(&one.record, topic_id, &defect).await?;
                let is_repaired = repair.as_ref().is_some_and(|repair| repair.mended);
                let partitions = match is_repaired && !self.is_dry_run() {
                    true => &mut compared.repaired,
                    false => &mut compared.differing,
                };
                partitions.insert(one.record.partition);
                findings.tell_of(vec![defect], repair).await?;
            }
        }
        Ok(compared)
    }

    /// One look at the row of the UUID that each may have.
    async fn seek(&self, sought: &mut [Sought]) -> Result<()> {
        let open = |one: &&mut Sought| matches!(one.found, Found::NotYet);
        let asked: HashSet<Uuid> = sought.iter_mut().filter(open).map(|s| s.uuid()).collect();
        let asked: Vec<Uuid> = asked.into_iter().collect();
        let rows = self.ask(move |catalogue| catalogue.fetch(&asked)).await?;
        let rows: HashMap<Uuid, StoredRow> =
            rows.into_iter().map(|row| (row.row.uuid, row)).collect();
        for one in sought.iter_mut().filter(open) {
            let row = rows.get(&one.uuid());
            one.found = match row {
                None if one.is_client_attempt() => Found::NotYet,
                None => Found::Missing,
                Some(row) => self.judge(one, row).await?,
            };
            if matches!(one.found, Found::NotYet) {
                one.attempt += 1;
            }
        }
        Ok(())
    }

    async fn judge(&self, one: &mut Sought, row: &StoredRow) -> Result<Found> {
        let Some(delivery) = row.row.delivery() else {
            return self.compare_content(row, &one.delivery).await;
        };
        let is_same_place = delivery.topic == one.delivery.topic
            && delivery.partition == one.delivery.partition
            && delivery.offset == one.delivery.offset;
        let is_same_topic = TopicId::may_be_same(row.row.topic_id(), one.topic_id);
        if is_same_topic && delivery == one.delivery {
            // Only the timestamp's type is not a part of a delivery.
            one.near = Some(row.clone());
            return Ok(Found::Archived);
        }
        // A derived UUID is of this delivery and of no other, unless a client
        // has chosen it, or the topic had equal records before it was created
        // again.
        let is_derived = !one.is_client_attempt() && !row.row.is_client_uuid;
        if is_same_topic && (is_same_place || is_derived) {
            one.near = Some(row.clone());
        }
        if one.is_client_attempt() && delivery.same_message(&one.delivery) {
            return Ok(Found::Retry(row.row.uuid));
        }
        Ok(Found::NotYet)
    }

    /// Rows of another archiver have UUIDs that follow from nothing.
    async fn seek_foreign(&self, sought: &mut [Sought]) -> Result<()> {
        let is_open = |one: &Sought| matches!(one.found, Found::Missing) && one.near.is_none();
        let alike: Vec<(Arc<str>, i64, u32)> = sought
            .iter()
            .filter(|one| is_open(one))
            .map(|one| {
                let crc = crc32fast::hash(one.record.value.as_deref().unwrap_or_default());
                (one.record.topic.clone(), one.record.timestamp, crc)
            })
            .collect();
        if alike.is_empty() {
            return Ok(());
        }
        let mut rows = self
            .ask(move |catalogue| catalogue.foreign_rows(&alike))
            .await?;
        for one in sought.iter_mut().filter(|one| is_open(one)) {
            for index in 0..rows.len() {
                let is_alike = rows[index].row.topic == one.record.topic
                    && rows[index].row.timestamp == one.record.timestamp;
                let found = match rows[index].row.delivery() {
                    Some(delivery) if delivery == one.delivery => {
                        match TopicId::may_be_same(rows[index].row.topic_id(), one.topic_id) {
                            true => Found::Archived,
                            false => continue,
                        }
                    }
                    None if is_alike => self.compare_content(&rows[index], &one.delivery).await?,
                    _ => continue,
                };
                match found {
                    Found::NotYet => {}
                    Found::Unknown(..) => one.found = found,
                    _ => {
                        // Of two equal messages each has a row.
                        rows.swap_remove(index);
                        one.found = found;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a row that does not say which delivery it was has the content of
    /// this one: [`Found::NotYet`] if not.
    async fn compare_content(&self, row: &StoredRow, delivery: &Delivery) -> Result<Found> {
        let bytes = match self.get(&row.row.location()).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(Found::NotYet),
            Err(error @ StoreError::Unreadable { .. }) => {
                return Ok(Found::Unknown(Box::new(row.clone()), error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let is_same = envelope::decode(&bytes).is_ok_and(|document| {
            *document.topic == *delivery.topic && digest_of(&document) == delivery.digest
        });
        Ok(match is_same {
            true => Found::Archived,
            false => Found::NotYet,
        })
    }

    /// The retries that the catalogue knows of the places of these.
    async fn known_retries(&self, sought: &[Sought]) -> Result<HashMap<(i32, i64), Vec<Retry>>> {
        let mut spans: BTreeMap<(Arc<str>, i32), Range<i64>> = BTreeMap::new();
        for one in sought {
            if let Found::Retry(_) = one.found {
                let record = &one.record;
                let span = spans
                    .entry((record.topic.clone(), record.partition))
                    .or_insert(record.offset..record.offset + 1);
                span.start = span.start.min(record.offset);
                span.end = span.end.max(record.offset + 1);
            }
        }
        let mut known: HashMap<(i32, i64), Vec<Retry>> = HashMap::new();
        for ((topic, partition), span) in spans {
            let retries = self
                .ask(move |catalogue| catalogue.retries(&topic, partition, span.clone()))
                .await?;
            for retry in retries {
                let place = (retry.partition, retry.offset);
                known.entry(place).or_default().push(retry);
            }
        }
        Ok(known)
    }
}

/// Whether the catalogue knows the record as a retry of the message `uuid`.
fn is_known(known: &HashMap<(i32, i64), Vec<Retry>>, one: &Sought, uuid: Uuid) -> bool {
    let place = (one.record.partition, one.record.offset);
    known.get(&place).is_some_and(|retries| {
        retries
            .iter()
            .any(|retry| retry.uuid == uuid && TopicId::may_be_same(retry.topic_id, one.topic_id))
    })
}
