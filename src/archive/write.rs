//! The object of a message: stored under its key, or found there.

use tracing::warn;
use uuid::Uuid;

use super::failure::ArchiveError;
use super::workshop::Workshop;
use crate::catalogue::{Lying, Origin, Row};
use crate::envelope::{self, Annotations};
use crate::record::{Delivery, Record, TopicId};
use crate::signing::Verdict;
use crate::store::{Location, Put, StoreError};

/// Keys that may be tried when foreign objects lie under a message's own.
const ALTERNATIVES: u32 = 100;

/// Stores `record` under `uuid`, which is claimed for `delivery`, and gives the
/// row that describes the object.
///
/// An object that an earlier try left there is taken as it is. An object of
/// that key that is something else is left alone: the message gets a key
/// beside it, which the catalogue tells.
pub(super) async fn store_message(
    workshop: &Workshop,
    record: &Record,
    topic_id: Option<TopicId>,
    delivery: &Delivery,
    uuid: Uuid,
) -> Result<Row, ArchiveError> {
    let store = &workshop.store;
    let public = workshop.topics.is_public(&record.topic);
    let mut annotations = Annotations {
        topic_id,
        ..envelope::annotate(record, delivery.digest, uuid, public)
    };
    annotations.sign(record, workshop.signing.as_ref());
    let own_key = envelope::object_key(&record.topic, record.timestamp, uuid);
    for attempt in 1..=ALTERNATIVES {
        let key = envelope::key_beside(&own_key, attempt);
        let body = envelope::encode(record, &annotations);
        let row = describe(record, delivery, &annotations, &body, store.bucket(), &key)?;
        match store.put_new(&key, body).await? {
            Put::Stored => return Ok(row),
            Put::Exists => {
                if let Some(row) = adopt(workshop, record, delivery, uuid, &key).await? {
                    return Ok(row);
                }
                warn!("{}: {key} is not message {uuid}; left alone", store.name());
            }
        }
    }
    Err(ArchiveError::Store(StoreError::Refused {
        store: store.name().to_owned(),
        cause: format!("{ALTERNATIVES} foreign objects lie where {own_key} should be"),
    }))
}

/// The row of an object that is there already, if it archives this delivery
/// under this UUID. Its bytes may differ from today's encoding (what is public
/// may have been configured anew), so the row describes what is there.
///
/// An object may have been stored without a signature, or with a key that is not
/// known here: the record from Kafka confirms it, and the row is signed. One
/// with a wrong signature of a known key is not taken.
async fn adopt(
    workshop: &Workshop,
    record: &Record,
    delivery: &Delivery,
    uuid: Uuid,
    key: &str,
) -> Result<Option<Row>, ArchiveError> {
    let store = &workshop.store;
    let at = Location {
        bucket: store.bucket().to_owned(),
        key: key.to_owned(),
        range: None,
    };
    let body = match store.get(&at).await {
        Ok(body) => body,
        Err(StoreError::Unreadable { .. }) => return Ok(None),
        // It was there a moment ago: the store is not of one mind yet.
        Err(StoreError::NotFound { store, key }) => {
            let cause = format!("{key} exists and does not");
            return Err(StoreError::Unavailable { store, cause }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let Ok(document) = envelope::decode(&body) else {
        return Ok(None);
    };
    let digest = envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    );
    let ours = document.annotations.uuid == uuid
        && *document.topic == *delivery.topic
        && document.partition == Some(delivery.partition)
        && document.offset == Some(delivery.offset)
        && document.timestamp == delivery.timestamp
        && digest == delivery.digest;
    if !ours {
        return Ok(None);
    }
    let mut row = describe(
        record,
        delivery,
        &document.annotations,
        &body,
        store.bucket(),
        key,
    )?;
    if let (Some(origin), Some(kind)) = (&mut row.origin, document.timestamp_type) {
        origin.timestamp_type = kind;
    }
    if let Some(keys) = &workshop.signing {
        let verdict = match (&document.annotations.signature, document.signed()) {
            (Some(signature), Some(signed)) => keys.check(signature, &signed),
            _ => Verdict::UnknownKey,
        };
        match verdict {
            Verdict::Valid => {}
            Verdict::Invalid => return Ok(None),
            Verdict::UnknownKey => row.signature = row.signed().map(|of| keys.sign(&of)),
        }
    }
    Ok(Some(row))
}

fn describe(
    record: &Record,
    delivery: &Delivery,
    annotations: &Annotations,
    body: &[u8],
    bucket: &str,
    key: &str,
) -> Result<Row, ArchiveError> {
    let object = Lying {
        bucket,
        key,
        bytes: body,
    };
    let row =
        Row::describe(&record.topic, record.timestamp, annotations, object).ok_or_else(|| {
            ArchiveError::Broken {
                part: "encoder",
                cause: format!(
                    "{} bytes are more than a BSON document can have",
                    body.len()
                ),
            }
        })?;
    Ok(Row {
        origin: Some(origin_of(record, annotations.topic_id, delivery)),
        ..row
    })
}

/// Where on the stream a delivery was, as its row tells.
pub(super) fn origin_of(record: &Record, topic_id: Option<TopicId>, delivery: &Delivery) -> Origin {
    Origin {
        partition: delivery.partition,
        offset: delivery.offset,
        timestamp_type: record.timestamp_type,
        digest: delivery.digest,
        topic_id,
    }
}
