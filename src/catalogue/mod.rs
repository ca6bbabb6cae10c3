//! What the archive holds: PostgreSQL or SQLite, behind one trait.
//!
//! The catalogue holds no payload and no header. Its calls block: from async
//! code they go through `tokio::task::spawn_blocking`.

mod ask;
mod describe;
mod filter;
mod lives;
mod positions;
mod postgres;
mod sqlite;
mod state;
mod stream;
mod stuck;
mod text;
mod upkeep;

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use crate::config::DatabaseConfig;
use crate::database::DatabaseError;
use crate::record::{ContentDigest, Delivery, Signature, TimestampType, TopicId};
use crate::signing::SignedMessage;
use crate::store::Location;

pub use self::ask::ask;
pub use self::describe::Lying;
pub use self::filter::{Cursor, RowFilter};
pub use self::positions::{
    ArchivedCount, ArchivedExtent, Positions, ReadInterval, ReadSpan, StreamKey, StreamPosition,
    StreamStart,
};
pub use self::postgres::{INDEXED_STATEMENTS as INDEXED_POSTGRES_STATEMENTS, PostgresCatalogue};
pub use self::sqlite::{INDEXED_STATEMENTS as INDEXED_SQLITE_STATEMENTS, SqliteCatalogue};
pub use self::state::CatalogueState;
pub use self::stream::{
    Appearance, Doubled, DoubledPage, IndexPlace, StreamExtent, StreamFilter, StreamPlace, Streams,
};
pub use self::stuck::Stuck;
pub use self::text::storable;
pub use self::upkeep::{CountedPage, SetAside, Upkeep, Verification};

/// One row of `messages`: an archived message.
///
/// Texts that came out of the message (`title` to `originator`) are kept as
/// [`storable`] gives them: at most 2,048 characters, U+0000 replaced by U+FFFD.
/// The stored object has them whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub topic: Arc<str>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    pub uuid: Uuid,
    /// Bytes of the message's BSON document.
    pub size: i32,
    pub key: String,
    pub bucket: String,
    /// CRC-32/ISO-HDLC of the message's BSON document.
    pub crc32: u32,
    pub is_client_uuid: bool,
    pub public: bool,
    pub direct_upload: bool,
    /// CRC-32/ISO-HDLC of the value; of no bytes for a tombstone.
    pub message_crc32: u32,
    pub title: String,
    pub sender: String,
    pub media_type: String,
    pub file_name: String,
    pub originator: String,
    pub retracted: bool,
    /// Where on the stream the message was; `None` in rows that another
    /// archiver wrote and in direct uploads.
    pub origin: Option<Origin>,
    /// First byte of the document within its object; `None` when the document
    /// is the whole object.
    pub object_offset: Option<i64>,
    /// `None` in rows that were written without a signing key.
    pub signature: Option<Signature>,
}

/// Where on the stream an archived message was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_type: TimestampType,
    pub digest: ContentDigest,
    /// `None` where the broker gave none, and in rows of older versions.
    pub topic_id: Option<TopicId>,
}

impl Row {
    /// Where the message's BSON document lies.
    pub fn location(&self) -> Location {
        let range = self.object_offset.map(|from| {
            let from = from as u64;
            from..from + self.size as u64
        });
        Location {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            range,
        }
    }

    /// What the row's signature is about. `None` where the row does not have all
    /// of it: another archiver's, or a direct upload's, whose digest only the
    /// object has.
    pub fn signed(&self) -> Option<SignedMessage<'_>> {
        let origin = self.origin.as_ref()?;
        Some(SignedMessage {
            uuid: self.uuid,
            digest: origin.digest,
            topic: &self.topic,
            partition: Some(origin.partition),
            offset: Some(origin.offset),
            timestamp: self.timestamp,
            timestamp_type: origin.timestamp_type,
            topic_id: origin.topic_id,
            public: self.public,
        })
    }

    /// The id of the topic that the message was read of, where it is known.
    pub fn topic_id(&self) -> Option<TopicId> {
        self.origin.as_ref()?.topic_id
    }

    /// The delivery that this row archives, where it is known.
    pub fn delivery(&self) -> Option<Delivery> {
        self.origin.as_ref().map(|origin| Delivery {
            topic: self.topic.clone(),
            partition: origin.partition,
            offset: origin.offset,
            timestamp: self.timestamp,
            digest: origin.digest,
        })
    }
}

/// A row with the serial number that the catalogue gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    pub id: i64,
    pub row: Row,
}

/// Whose a UUID is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A row of `messages`.
    Row(Box<StoredRow>),
    /// A claim whose row is not there yet. `age_ms`: how long ago it was made,
    /// by the catalogue's clock.
    Claim {
        delivery: Delivery,
        topic_id: Option<TopicId>,
        age_ms: i64,
    },
}

/// A UUID and the delivery that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub uuid: Uuid,
    pub delivery: Delivery,
    /// As [`Origin::topic_id`]; `None` in claims of older versions and of uploads.
    pub topic_id: Option<TopicId>,
}

/// Another delivery of a message that is already archived under `uuid`: a
/// producer's retry. Not stored again, but remembered, so that a comparison
/// with Kafka finds nothing missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub uuid: Uuid,
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    /// As [`Origin::topic_id`].
    pub topic_id: Option<TopicId>,
}

/// Offsets of a partition, [from, to), that Kafka no longer had when they were
/// to be read: lost before they were archived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    pub topic: Arc<str>,
    pub partition: i32,
    pub from: i64,
    pub to: i64,
    /// When it was found, ms since 1970-01-01 UTC, by the catalogue's clock;
    /// not asked for when it is recorded.
    pub found_at: i64,
    /// When somebody said that they know of it; not asked for either.
    pub acknowledged_at: Option<i64>,
    pub topic_id: Option<TopicId>,
    pub reason: GapReason,
}

impl Gap {
    /// The stream that it is a gap of.
    pub fn stream(&self) -> StreamKey {
        StreamKey {
            topic: self.topic.clone(),
            partition: self.partition,
            topic_id: self.topic_id,
        }
    }
}

/// Why offsets of a partition are not archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GapReason {
    /// Kafka's retention (or DeleteRecords) removed them before they were read.
    Retention,
    /// An operator skipped records that could not be read.
    Skipped,
    /// The log was truncated below what had been read of it.
    Truncated,
}

impl GapReason {
    /// The word for it in the catalogue and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Skipped => "skipped",
            Self::Truncated => "truncated",
        }
    }

    /// The inverse of [`GapReason::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "retention" => Some(Self::Retention),
            "skipped" => Some(Self::Skipped),
            "truncated" => Some(Self::Truncated),
            _ => None,
        }
    }
}

/// What [`Catalogue::add`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// UUIDs that have a row now which they had not before.
    pub rows: Vec<Uuid>,
    /// How many of the retries were not known before.
    pub retries: u64,
    /// Offsets that were recorded as a gap, and no longer are: they are archived.
    pub offsets_recovered: u64,
}

/// One row of `topics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    pub topic: String,
    pub messages: i64,
    /// Earliest and latest timestamp, ms since 1970-01-01 UTC.
    pub earliest: i64,
    pub latest: i64,
}

/// Why the catalogue could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The database cannot be reached, failed, or gave up a transaction.
    /// Nothing of the call took effect, or all of it did: retry it whole.
    #[error("{database}: {cause}")]
    Unavailable { database: String, cause: String },
    /// Credentials, permissions or the schema are wrong. No retry helps.
    #[error("{database}: {cause}")]
    Refused { database: String, cause: String },
}

impl CatalogueError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<DatabaseError> for CatalogueError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable { database, cause } => Self::Unavailable { database, cause },
            DatabaseError::Refused { database, cause } => Self::Refused { database, cause },
        }
    }
}

/// The catalogue. One contract suite (`tests/catalogue_contract.rs`) runs over
/// every implementation. Every call is one transaction and durable on `Ok`;
/// only [`Catalogue::claim`] is two, claims first, and may be repeated after
/// either of them.
pub trait Catalogue: Send + Sync {
    /// What messages call it, for example `postgres 127.0.0.1:5432/archive`.
    fn name(&self) -> &str;

    /// Brings the schema to this program's version, one instance at a time;
    /// an existing archive-core database is taken over without rewriting its
    /// rows. `Refused` when the database is of a newer version.
    fn migrate(&self) -> Result<(), CatalogueError>;

    /// Checks that the schema is of this program's version without changing
    /// anything: for commands that only read.
    fn check(&self) -> Result<(), CatalogueError>;

    /// The owner of each of these UUIDs; UUIDs that nobody owns are left out.
    /// Where both a row and a claim exist, the row is the owner.
    fn owners(&self, uuids: &[Uuid]) -> Result<Vec<(Uuid, Owner)>, CatalogueError>;

    /// Claims each UUID for its delivery where nobody owns it, and gives the
    /// owner of each as it is after that: one's own claim, or somebody else's
    /// claim or row. At most one claim a UUID may be passed. `Unavailable` while
    /// the catalogue is incomplete: a UUID that nobody seems to own may have an
    /// owner.
    fn claim(&self, claims: &[Claim]) -> Result<Vec<(Uuid, Owner)>, CatalogueError>;

    /// Adds rows whose claim still stands for the same delivery (the claim is
    /// spent by it) and remembers retries. Rows whose claim was lost, or whose
    /// UUID has a row, are not added and not in the answer. The counts in
    /// `topics` follow in the same transaction.
    fn add(&self, rows: &[Row], retries: &[Retry]) -> Result<Added, CatalogueError> {
        self.add_read(rows, retries, &[])
    }

    /// As [`Catalogue::add`], and notes in the same transaction what was read
    /// of the streams: their positions move over what is contiguous, and gaps
    /// keep only what is missing, unless the log was truncated.
    fn add_read(
        &self,
        rows: &[Row],
        retries: &[Retry],
        spans: &[ReadSpan],
    ) -> Result<Added, CatalogueError>;

    /// Adds the row of a direct upload, which has no origin, where the claim of
    /// its UUID for `delivery` still stands (it is spent by it). Whether it did:
    /// not when the claim was lost or the UUID has a row.
    fn add_upload(&self, row: &Row, delivery: &Delivery) -> Result<bool, CatalogueError>;

    /// Marks a message as retracted, or as no longer so. Whether there is one
    /// of this UUID.
    fn set_retracted(&self, uuid: Uuid, retracted: bool) -> Result<bool, CatalogueError>;

    /// Rows of another archiver that have one of these (topic, timestamp,
    /// message_crc32): what it may have written for a record that is seen
    /// again. Those without an origin that are not direct uploads, and those
    /// whose origin [`Catalogue::set_origin`] gave. Ordered by id.
    fn foreign_rows(
        &self,
        alike: &[(Arc<str>, i64, u32)],
    ) -> Result<Vec<StoredRow>, CatalogueError>;

    /// Gives a row without an origin the one that was found for it. Whether it
    /// did: not when the row has one by now.
    fn set_origin(&self, id: i64, origin: &Origin) -> Result<bool, CatalogueError>;

    /// Up to `limit` rows that match, after `after`, ordered by (timestamp,
    /// id), backwards with `reverse`.
    fn rows(
        &self,
        filter: &RowFilter,
        after: Option<Cursor>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<StoredRow>, CatalogueError>;

    /// `n` rows (or all, if fewer match) chosen at random.
    fn sample(&self, filter: &RowFilter, n: usize) -> Result<Vec<StoredRow>, CatalogueError>;

    /// How many rows match, in all.
    fn count(&self, filter: &RowFilter) -> Result<u64, CatalogueError>;

    /// Messages, earliest and latest time per topic of the rows that match,
    /// ordered by topic. Where only topics are asked for it is read from
    /// `topics`, else counted.
    fn count_by_topic(&self, filter: &RowFilter) -> Result<Vec<TopicSummary>, CatalogueError>;

    /// The retries that are known of a partition, offsets half open, ordered by
    /// offset: what a comparison with Kafka finds there beside the rows.
    fn retries(
        &self,
        topic: &str,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Vec<Retry>, CatalogueError>;

    /// Records gaps, and returns what was not recorded before. Of what retention
    /// removed only that is recorded which was not archived. The positions of
    /// their streams pass them.
    fn add_gaps(&self, gaps: &[Gap]) -> Result<Vec<Gap>, CatalogueError>;

    /// All gaps, ordered by topic, partition and offset.
    fn gaps(&self) -> Result<Vec<Gap>, CatalogueError>;

    /// What cannot be archived now, ordered by topic, partition and offset, each
    /// with the time since when, ms since 1970-01-01 UTC by the catalogue's clock.
    fn stuck(&self) -> Result<Vec<(Stuck, i64)>, CatalogueError>;

    /// Removes what has ended and adds what has begun. One that is known keeps its
    /// time and takes the cause.
    fn change_stuck(&self, ended: &[Stuck], begun: &[Stuck]) -> Result<(), CatalogueError>;

    /// Those of these keys of `bucket` under which a message lies that is only
    /// a part of its object ([`Row::object_offset`]).
    fn packed(&self, bucket: &str, keys: &[String]) -> Result<Vec<String>, CatalogueError>;

    /// The rows of these UUIDs; those that have none are left out.
    fn fetch(&self, uuids: &[Uuid]) -> Result<Vec<StoredRow>, CatalogueError>;

    /// The calls that keep the archive's positions.
    fn positions(&self) -> &dyn Positions;

    /// The calls that restoring needs.
    fn streams(&self) -> &dyn Streams;

    /// The calls that verifying and mending need.
    fn upkeep(&self) -> &dyn Upkeep;
}

/// Opens the configured catalogue and connects to it. `migrate` or `check` is
/// the caller's next call.
pub fn open(config: &DatabaseConfig) -> Result<Box<dyn Catalogue>, CatalogueError> {
    Ok(match config {
        DatabaseConfig::Sqlite(sqlite) => Box::new(SqliteCatalogue::open(sqlite)?),
        DatabaseConfig::Postgres(postgres) => Box::new(PostgresCatalogue::open(postgres)?),
    })
}
