//! An object in a message's place that no row names.

use tracing::debug;

use crate::catalogue::{Owner, Row, StoredRow};
use crate::envelope::{self, Annotations, Document, object_key};
use crate::kafka::KafkaFailure;
use crate::record::{ContentDigest, Delivery, Record, TopicId};
use crate::signing::SigningKeys;
use crate::verify::content::{self, digest_of};
use crate::verify::describe::{proved, record_of, row_of};
use crate::verify::finding::Repair;
use crate::verify::objects::Candidate;
use crate::verify::signatures::unconfirmed;
use crate::verify::{Result, Verifier};

/// Why an object whose UUID belongs to another message stays as it is.
const OTHER_MESSAGE: &str =
    "it is whole and another message than the one that has its UUID: keep it, and ask";

/// What confirms an object that nothing proves.
const ADOPT_ORPHANS: &str = "--adopt-orphans";

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
        let document = proved(&bytes);
        let repair = match (document, self.row_of_uuid(uuid).await?) {
            (Some(document), _) if document.annotations.uuid != uuid => {
                self.mend_stray(&document, key, &bytes).await?
            }
            (own, Some(stored)) => self.settle(&stored, key, &bytes, own).await?,
            (Some(document), None) => {
                let repair = self.adopt(&document, key, &bytes).await?;
                if let Some(place) = repair.key.as_ref().filter(|place| *place != key) {
                    let reason = format!("copied to {place}");
                    self.leave_aside(self.store.bucket(), key, &reason).await?;
                }
                repair
            }
            (None, None) => Repair::impossible(
                "it is damaged, and no row says what it was: compare with Kafka (--against-kafka) \
                 or a backup",
            ),
        };
        Ok(Some(Repair {
            uuid: repair.uuid.or(Some(uuid)),
            key: repair.key.clone().or_else(|| Some(key.clone())),
            ..repair
        }))
    }

    /// The object under a key of one message proves to be another message. That
    /// message gets its row, or its object back; only then this one is a copy,
    /// and set aside.
    pub(super) async fn mend_stray(
        &self,
        document: &Document,
        key: &str,
        bytes: &[u8],
    ) -> Result<Repair> {
        let uuid = document.annotations.uuid;
        let repair = match self.row_of_uuid(uuid).await? {
            None => {
                let place = object_key(&document.topic, document.timestamp, uuid);
                self.adopt(document, &place, bytes).await?
            }
            Some(stored) => match self.evidence(&stored.row).await? {
                Some(digest) if digest == digest_of(document) => Repair::done(format!(
                    "it is a copy of message {uuid}, which has its object at {}",
                    stored.row.key
                )),
                Some(_) => Repair::impossible(OTHER_MESSAGE),
                None => self.give_object(&stored, bytes).await?,
            },
        };
        if repair.mended {
            let reason = format!("a copy of message {uuid}");
            self.leave_aside(self.store.bucket(), key, &reason).await?;
        }
        Ok(repair)
    }

    /// The digest of a row's object, if that is what the row says in every
    /// field.
    pub(super) async fn evidence(&self, row: &Row) -> Result<Option<ContentDigest>> {
        let bytes = match self.get(&row.location()).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_of_one_object() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_well = content::compare(row, &bytes).is_empty();
        let document = envelope::decode(&bytes).ok().filter(|_| is_well);
        Ok(document.as_ref().map(digest_of))
    }

    /// A row whose object is missing or damaged gets these bytes again, if they
    /// are its.
    async fn give_object(&self, stored: &StoredRow, bytes: &[u8]) -> Result<Repair> {
        let row = &stored.row;
        let Some(document) = self.object_of(row, bytes) else {
            return Ok(Repair::impossible(OTHER_MESSAGE));
        };
        let key = self.store_again(row, bytes).await?;
        let place = (self.store.bucket(), key.as_str());
        let Some(new) = row_of(&document, bytes, place, Some(row)) else {
            return Ok(Repair::impossible("its bytes cannot be described"));
        };
        if self.write_row(stored, new).await? {
            let how = format!("message {} has its object at {key} again", row.uuid);
            return Ok(Repair::done(how));
        }
        // The repair of its own row may have been quicker.
        let digest = digest_of(&document);
        Ok(match self.row_of_uuid(row.uuid).await? {
            Some(now) if self.evidence(&now.row).await? == Some(digest) => {
                Repair::done(format!("message {} has its object again", row.uuid))
            }
            _ => Repair::impossible("the row has changed meanwhile"),
        })
    }

    /// Gives an object a row, if something else than the object itself confirms
    /// it. `key` is where it lies, or where it belongs.
    async fn adopt(&self, document: &Document, key: &str, bytes: &[u8]) -> Result<Repair> {
        let Some(confirmed) = self.confirmation(document).await? else {
            return Ok(Repair::impossible(
                "it gives no row by itself: neither a claim nor a record of Kafka (-H) confirms \
                 it; look at it, then give --adopt-orphans",
            ));
        };
        let public = self.is_public(&document.topic);
        // Whoever asks for it to be adopted does not prove it.
        let is_proved = confirmed != ADOPT_ORPHANS;
        let keys = self.keys.as_ref().filter(|_| is_proved);
        let (bytes, document) = match envelope_as(document, public, keys) {
            Some(bytes) => match envelope::decode(&bytes) {
                Ok(document) => (bytes, document),
                Err(error) => return Ok(Repair::impossible(error.to_string())),
            },
            None => (bytes.to_vec(), document.clone()),
        };
        let Some(mut row) = row_of(&document, &bytes, (self.store.bucket(), key), None) else {
            return Ok(Repair::impossible("it is too large to be a message"));
        };
        let is_unconfirmed = match &self.keys {
            Some(keys) if unconfirmed(keys, &document).is_some() => {
                row.signature = match is_proved {
                    true => row.signed().map(|signed| keys.sign(&signed)),
                    false => None,
                };
                !is_proved
            }
            _ => false,
        };
        // What lies there already is kept, and the same bytes are not stored twice.
        let place = self.store_again(&row, &bytes).await?;
        let row = Row { key: place, ..row };
        let repair = Repair::done(format!("it gets a row, confirmed by {confirmed}")).of_row(&row);
        if !self.is_dry_run() {
            let adopted = self
                .ask(move |catalogue| match is_unconfirmed {
                    true => catalogue
                        .upkeep()
                        .adopt_unconfirmed(std::slice::from_ref(&row)),
                    false => catalogue.upkeep().adopt(std::slice::from_ref(&row)),
                })
                .await?;
            if adopted.is_empty() {
                return Ok(Repair::impossible(
                    "its UUID got a row meanwhile: verify again",
                ));
            }
        }
        Ok(repair)
    }

    /// What says, beside the object, that this message was to be archived.
    async fn confirmation(&self, document: &Document) -> Result<Option<&'static str>> {
        let Some(mending) = &self.mending else {
            return Ok(None);
        };
        if let Some(keys) = &self.keys
            && unconfirmed(keys, document).is_none()
        {
            return Ok(Some("its signature"));
        }
        let (delivery, topic_id) = (delivery_of(document), document.annotations.topic_id);
        if let Some(delivery) = &delivery {
            let uuid = document.annotations.uuid;
            let owners = self.ask(move |catalogue| catalogue.owners(&[uuid])).await?;
            let claims = |(_, owner): &(uuid::Uuid, Owner)| match owner {
                Owner::Claim {
                    delivery: of,
                    topic_id: id,
                    ..
                } => of == delivery && TopicId::may_be_same(*id, topic_id),
                Owner::Row(_) => false,
            };
            if owners.iter().any(claims) {
                return Ok(Some("its claim"));
            }
        }
        if let (Some(stream), Some(delivery)) = (mending.stream.clone(), delivery)
            && delivery.partition >= 0
        {
            let (topic, partition, offset) =
                (delivery.topic.clone(), delivery.partition, delivery.offset);
            let fetch = move || -> std::result::Result<Option<Record>, KafkaFailure> {
                match TopicId::may_be_same(stream.topic_id(&topic)?, topic_id) {
                    true => stream.record(&topic, partition, offset),
                    false => Ok(None),
                }
            };
            match tokio::task::spawn_blocking(fetch).await? {
                Ok(Some(record)) if envelope::delivery(&record) == delivery => {
                    return Ok(Some("Kafka"));
                }
                Ok(_) => {}
                Err(error) => debug!(%error, "Kafka cannot confirm an object"),
            }
        }
        Ok(mending.adopt_orphans.then_some(ADOPT_ORPHANS))
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
        if let Some(digest) = self.evidence(row).await? {
            return self.duplicate(row, digest, key, own).await;
        }
        if row.object_offset.is_some() {
            return Ok(Repair::impossible("its message's row has no whole object"));
        }
        let place = (self.store.bucket(), key);
        let new = self
            .object_of(row, bytes)
            .and_then(|document| row_of(&document, bytes, place, Some(row)));
        let Some(new) = new else {
            return Ok(Repair::impossible("its message's row has no whole object"));
        };
        Ok(match self.write_row(stored, new).await? {
            true => Repair::done("its message's row names it"),
            false => Repair::impossible("the row has changed meanwhile"),
        })
    }

    /// The message is well without it, and has this digest.
    async fn duplicate(
        &self,
        row: &Row,
        digest: ContentDigest,
        key: &str,
        own: Option<Document>,
    ) -> Result<Repair> {
        let is_other = own.is_some_and(|document| {
            *document.topic != *row.topic || digest != digest_of(&document)
        });
        if is_other {
            return Ok(Repair::impossible(OTHER_MESSAGE));
        }
        let reason = "a copy of, or damaged beside, the message's object";
        self.leave_aside(self.store.bucket(), key, reason).await?;
        Ok(Repair::done(format!(
            "set aside: the message has its object at {}",
            row.key
        )))
    }
}

/// The delivery that claims the UUID of a document's message.
fn delivery_of(document: &Document) -> Option<Delivery> {
    document.annotations.digest?;
    let delivery = envelope::delivery(&record_of(document)?);
    Some(match document.annotations.direct_upload {
        // Uploads claim without a time.
        true => Delivery {
            timestamp: 0,
            ..delivery
        },
        false => delivery,
    })
}

/// The document as it is when it says `public`; `None` where it does, or is of
/// an archiver that does not say it.
fn envelope_as(document: &Document, public: bool, keys: Option<&SigningKeys>) -> Option<Vec<u8>> {
    let notes = &document.annotations;
    if notes.digest.is_none() || notes.public == public {
        return None;
    }
    let mut notes = Annotations {
        public,
        ..notes.clone()
    };
    let record = record_of(document)?;
    notes.sign(&record, keys);
    Some(envelope::encode(&record, &notes))
}
