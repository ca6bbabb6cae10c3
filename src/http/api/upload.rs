//! Direct uploads, and retractions.
//!
//! An upload is archived in the order in which everything is: its UUID is
//! claimed, its object stored, its row added. Sent again, with the UUID that
//! its client chose, it is recognised.

use std::sync::Arc;
use std::time::Duration;

use bson::raw::{RawDocumentBuf, cstr};
use hyper::body::{Body as _, Incoming};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{error, warn};
use uuid::Uuid;

use super::Archive;
use super::message::parse_uuid;
use super::uploaded::{Uploaded, parse};
use crate::catalogue::{Claim, Lying, Owner, Row};
use crate::config::{TopicSelection, is_topic_name};
use crate::envelope::{self, Annotations};
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::request::Request;
use crate::http::respond;
use crate::record::{Delivery, Record, TimestampType};
use crate::signing::SigningKeys;
use crate::store::{Location, Put, StoreError};

/// What hop-client appends to the topic of a message that it uploads.
const OVERSIZED: &str = "+oversized";

/// Bytes of a topic without that. With it, it is a part of the object's key,
/// and no file system takes a part of more than 255.
const LONGEST_TOPIC: usize = 255 - OVERSIZED.len();

/// Uploads of the largest size that are held in memory at once.
const AT_ONCE: usize = 2;

/// What a permit for memory stands for, in bytes.
const UNIT: usize = 64 * 1024;

const MEMORY_PATIENCE: Duration = Duration::from_secs(10);

/// Owners that a UUID may turn out to have in turn, and keys that may be taken.
const TRIES: u32 = 10;

/// What takes uploads.
pub struct Uploads {
    largest: usize,
    topics: TopicSelection,
    signing: Option<SigningKeys>,
    memory: Arc<Semaphore>,
}

impl Uploads {
    pub fn new(largest: usize, topics: TopicSelection, signing: Option<SigningKeys>) -> Self {
        let units = AT_ONCE * largest.div_ceil(UNIT);
        Self {
            largest,
            topics,
            signing,
            memory: Arc::new(Semaphore::new(units)),
        }
    }

    /// Room for a body, before it is read.
    async fn room(&self, body: &Incoming) -> Result<OwnedSemaphorePermit, Problem> {
        let size = body.size_hint().exact().unwrap_or(self.largest as u64);
        // What is larger than the largest is refused without being read.
        let size = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(self.largest);
        let units = u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match timeout(
            MEMORY_PATIENCE,
            self.memory.clone().acquire_many_owned(units),
        )
        .await
        {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Problem::unavailable(
                "too many uploads at once: try again later",
            )),
        }
    }
}

/// What became of it.
struct Archived {
    uuid: Uuid,
    is_client_uuid: bool,
}

/// A try to archive under one UUID.
enum Outcome {
    Done,
    /// The UUID is another message's.
    Taken,
    /// Somebody was quicker: look again.
    Again,
}

impl Archive {
    /// Archives what is uploaded. Errors: 400 malformed, 413, 422 refused, 501
    /// where nothing is taken, 503.
    pub async fn upload(&self, topic: &str, request: Request) -> Result<Response<Body>, Problem> {
        let uploads = self.uploads.as_ref().ok_or_else(read_only)?;
        let plain = topic.strip_suffix(OVERSIZED).unwrap_or(topic);
        if !is_topic_name(plain) || plain.len() > LONGEST_TOPIC {
            return Err(refused(format!("{topic:?} is no name of a topic")));
        }
        let _room = uploads.room(&request.body).await?;
        let bytes = request.read_body(uploads.largest).await?;
        let uploaded = parse(&bytes).map_err(Problem::bad_request)?;
        drop(bytes);
        let public = uploads.topics.is_public(topic);
        let archived = self.archive(topic, uploaded, public).await?;
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("archive_uuid"), archived.uuid.to_string());
        document.append(cstr!("is_client_uuid"), archived.is_client_uuid);
        let mut response = respond::bson(document);
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    async fn archive(
        &self,
        topic: &str,
        uploaded: Uploaded,
        public: bool,
    ) -> Result<Archived, Problem> {
        let record = Record {
            topic: topic.into(),
            // It was never on the stream.
            partition: -1,
            offset: -1,
            timestamp: Timestamp::now().as_millisecond(),
            timestamp_type: TimestampType::None,
            key: uploaded.key,
            value: Some(uploaded.value),
            headers: uploaded.headers,
        };
        // Whoever uploads the same message claims for the same delivery,
        // whenever that is.
        let delivery = Delivery {
            timestamp: 0,
            ..envelope::delivery(&record)
        };
        let client_uuid = envelope::client_uuid(&record.headers);
        for _ in 0..TRIES {
            let uuid = client_uuid.unwrap_or_else(random_uuid);
            match self.archive_as(uuid, &record, &delivery, public).await? {
                Outcome::Done => {
                    return Ok(Archived {
                        uuid,
                        is_client_uuid: client_uuid.is_some(),
                    });
                }
                Outcome::Taken if client_uuid.is_some() => {
                    return Err(refused(format!("{uuid} is the UUID of another message")));
                }
                Outcome::Taken | Outcome::Again => {}
            }
        }
        Err(Problem::unavailable(
            "the message's UUID is being used: try again",
        ))
    }

    async fn archive_as(
        &self,
        uuid: Uuid,
        record: &Record,
        delivery: &Delivery,
        public: bool,
    ) -> Result<Outcome, Problem> {
        let claim = Claim {
            uuid,
            delivery: delivery.clone(),
            topic_id: None,
        };
        let claims = [claim];
        let owners = self.ask(move |catalogue| catalogue.claim(&claims)).await?;
        match owners.into_iter().next() {
            Some((_, Owner::Row(row))) => match self.is_same(&row.row, delivery).await? {
                true => Ok(Outcome::Done),
                false => Ok(Outcome::Taken),
            },
            Some((_, Owner::Claim { delivery: of, .. })) if of == *delivery => {
                self.store_and_add(uuid, record, delivery, public).await
            }
            _ => Ok(Outcome::Taken),
        }
    }

    async fn store_and_add(
        &self,
        uuid: Uuid,
        record: &Record,
        delivery: &Delivery,
        public: bool,
    ) -> Result<Outcome, Problem> {
        let row = self.store_new(uuid, record, delivery, public).await?;
        let claimed = delivery.clone();
        let added = self
            .ask(move |catalogue| catalogue.add_upload(&row, &claimed))
            .await?;
        Ok(if added { Outcome::Done } else { Outcome::Again })
    }

    /// Stores the object, or finds it where an earlier try left it, and gives
    /// its row. What is something else stays as it is, and the object lies
    /// beside it.
    async fn store_new(
        &self,
        uuid: Uuid,
        record: &Record,
        delivery: &Delivery,
        public: bool,
    ) -> Result<Row, Problem> {
        let mut annotations = Annotations {
            direct_upload: true,
            ..envelope::annotate(record, delivery.digest, uuid, public)
        };
        let keys = self.uploads.as_ref().and_then(|of| of.signing.as_ref());
        annotations.sign(record, keys);
        let own_key = envelope::object_key(&record.topic, record.timestamp, uuid);
        for attempt in 1..=TRIES {
            let key = envelope::key_beside(&own_key, attempt);
            let object = envelope::encode(record, &annotations);
            let lying = Lying {
                bucket: self.store.bucket(),
                key: &key,
                bytes: &object,
            };
            let row = Row::describe(&record.topic, record.timestamp, &annotations, lying)
                .ok_or_else(too_large)?;
            match self
                .store
                .put_new(&key, object)
                .await
                .map_err(store_failed)?
            {
                Put::Stored => return Ok(row),
                Put::Exists => {
                    if let Some(row) = self.adopt(uuid, delivery, &key).await? {
                        return Ok(row);
                    }
                    warn!(
                        "{}: {key} is not message {uuid}; left alone",
                        self.store.name()
                    );
                }
            }
        }
        Err(Problem::internal(
            "foreign objects lie where the message should be",
        ))
    }

    /// The row of an object that is there already, if it is this message.
    async fn adopt(
        &self,
        uuid: Uuid,
        delivery: &Delivery,
        key: &str,
    ) -> Result<Option<Row>, Problem> {
        let bucket = self.store.bucket();
        let at = Location {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            range: None,
        };
        let object = self.store.get(&at).await.map_err(store_failed)?;
        let Ok(document) = envelope::decode(&object) else {
            return Ok(None);
        };
        let is_same = document.annotations.uuid == uuid
            && document.annotations.direct_upload
            && holds(&document, delivery);
        if !is_same {
            return Ok(None);
        }
        let lying = Lying {
            bucket,
            key,
            bytes: &object,
        };
        let notes = &document.annotations;
        Row::describe(&document.topic, document.timestamp, notes, lying)
            .ok_or_else(too_large)
            .map(Some)
    }

    /// Whether a row's message is the one that is uploaded.
    async fn is_same(&self, row: &Row, delivery: &Delivery) -> Result<bool, Problem> {
        if row.topic != delivery.topic {
            return Ok(false);
        }
        if let Some(origin) = &row.origin {
            return Ok(origin.digest == delivery.digest);
        }
        let object = self
            .store
            .get(&row.location())
            .await
            .map_err(store_failed)?;
        Ok(envelope::decode(&object).is_ok_and(|document| holds(&document, delivery)))
    }

    /// Marks a message as retracted, or with `retracted=false` as no longer
    /// so. It stays where it is. Errors: 400, 404, 501, 503.
    pub async fn retract(&self, uuid: &str, query: &Query) -> Result<Response<Body>, Problem> {
        if self.uploads.is_none() {
            return Err(read_only());
        }
        let retracted = query.flag("retracted", true)?;
        let uuid = parse_uuid(uuid)?;
        let is_there = self
            .ask(move |catalogue| catalogue.set_retracted(uuid, retracted))
            .await?;
        match is_there {
            true => Ok(respond::bson(RawDocumentBuf::new())),
            false => Err(Problem::new(StatusCode::NOT_FOUND, "Message not found")),
        }
    }

    /// Room for a message that is held whole.
    pub async fn in_memory(&self) -> Result<OwnedSemaphorePermit, Problem> {
        super::in_time(self.shown.clone()).await
    }
}

fn holds(document: &envelope::Document, delivery: &Delivery) -> bool {
    let digest = envelope::content_digest(
        document.key.as_deref(),
        document.value.as_deref(),
        &document.headers,
    );
    document.topic == delivery.topic && digest == delivery.digest
}

fn too_large() -> Problem {
    refused("the message is larger than a BSON document can be".to_owned())
}

fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

fn read_only() -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "Server is configured as read-only; write operations are not supported",
    )
}

fn refused(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}

fn store_failed(failure: StoreError) -> Problem {
    match failure.is_passing() {
        true => {
            warn!("{failure}");
            Problem::unavailable("the object store does not answer: try again later")
        }
        false => {
            error!("{failure}");
            Problem::internal("the object store refuses: the server's log says why")
        }
    }
}
