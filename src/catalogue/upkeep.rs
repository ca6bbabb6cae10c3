//! What verifying and mending an archive need of its catalogue.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{CatalogueError, CatalogueState, Cursor, Row, StoredRow};

/// An object in a message's place that is none, left where it is: nothing is
/// ever deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    pub bucket: String,
    pub key: String,
    pub reason: String,
}

/// What `verify` did and found. Times are ms since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// 0 before it is saved for the first time.
    pub id: i64,
    /// The options that chose what is looked at.
    pub asked: String,
    pub started_at: i64,
    pub saved_at: i64,
    /// `None` while it is under way, and where it was stopped.
    pub finished_at: Option<i64>,
    pub messages: i64,
    pub objects: i64,
    /// Of objects that were read.
    pub bytes: i64,
    /// How many of each kind.
    pub defects: BTreeMap<String, i64>,
    /// How many of them were mended at once.
    pub mended: i64,
    /// Where it goes on, in words that only the verifier knows.
    pub place: Option<String>,
}

impl Verification {
    /// Defects that it left.
    pub fn left(&self) -> i64 {
        let found: i64 = self.defects.values().sum();
        (found - self.mended).max(0)
    }
}

/// Rows of a topic, counted in the order of (timestamp, id).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedPage {
    pub messages: i64,
    /// Earliest and latest timestamp, ms since 1970-01-01 UTC; 0 of nothing.
    pub earliest: i64,
    pub latest: i64,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Rows that one page counts.
pub(super) const COUNTED: i64 = 100_000;
macro_rules! counted_limit {
    () => {
        " LIMIT 100000"
    };
}
pub(super) use counted_limit;

impl CountedPage {
    /// Of what a backend read: how many rows, their earliest and latest
    /// timestamp, and the greatest id at the latest.
    pub(super) fn new(messages: i64, times: Option<(i64, i64)>, last_id: Option<i64>) -> Self {
        let (earliest, latest) = times.unwrap_or_default();
        let next = last_id.filter(|_| messages == COUNTED).map(|id| Cursor {
            timestamp: latest,
            id,
        });
        Self {
            messages,
            earliest,
            latest,
            next,
        }
    }
}

/// The rarer calls, which the archiver never makes. Each is one transaction and
/// durable on `Ok`, as the others are.
pub trait Upkeep: Send + Sync {
    /// Adds rows of objects that lie in the store already, without a claim,
    /// where their UUID has no row, and gives the UUIDs that have one now which
    /// they had not before. The counts in `topics` follow.
    fn adopt(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError>;

    /// As [`Upkeep::adopt`], of objects that no valid signature vouches for: the
    /// new rows are unconfirmed.
    fn adopt_unconfirmed(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError>;

    /// A message is unconfirmed no more: a valid signature was found.
    fn confirm(&self, uuid: Uuid) -> Result<(), CatalogueError>;

    /// Which of these messages are unconfirmed.
    fn which_unconfirmed(&self, uuids: &[Uuid]) -> Result<Vec<Uuid>, CatalogueError>;

    /// The catalogue's identity, and whether it has every row.
    fn state(&self) -> Result<CatalogueState, CatalogueError>;

    /// Marks the catalogue as incomplete until the rebuild of this part (the
    /// second number says of how many) and of all others has ended. Returns the
    /// position that an earlier rebuild of this part, which did not end, saved.
    fn begin_rebuild(&self, part: (i32, i32)) -> Result<Option<String>, CatalogueError>;

    /// Saves how far the rebuild of a part has come, in words that only the
    /// verifier knows; nothing where the rebuild has ended.
    fn save_rebuild(&self, part: (i32, i32), position: &str) -> Result<(), CatalogueError>;

    /// Ends the rebuild of a part. Whether the catalogue is complete now: then,
    /// if rows were added since the rebuild began, it has another id.
    fn end_rebuild(&self, part: (i32, i32)) -> Result<bool, CatalogueError>;

    /// Remembers, for the first time only, that rows are signed from now on.
    /// Whether it was the first time.
    fn begin_signing(&self) -> Result<bool, CatalogueError>;

    /// Makes a row say what `row` says, if it still is as it was read. Returns
    /// whether it did: not if the row was changed or removed meanwhile, or if
    /// another row has the UUID.
    fn mend(&self, read: &StoredRow, row: &Row) -> Result<bool, CatalogueError>;

    /// The first topic after one, by name, that has rows, whatever `topics` says.
    fn topic_after(&self, topic: Option<&str>) -> Result<Option<String>, CatalogueError>;

    /// One page of a topic's rows, counted along an index.
    fn count_page(&self, topic: &str, after: Option<Cursor>)
    -> Result<CountedPage, CatalogueError>;

    /// Corrects what `topics` says of a topic by what its rows say, whoever writes
    /// meanwhile. No lock is held while they are counted.
    fn recount(&self, topic: &str) -> Result<(), CatalogueError>;

    /// Marks the gaps of these topics (`None`: of all) that are not yet, and
    /// gives how many those were.
    fn acknowledge_gaps(&self, topics: Option<&[String]>) -> Result<u64, CatalogueError>;

    /// Remembers objects for good; one that is known stays as it is.
    fn set_aside(&self, objects: &[SetAside]) -> Result<(), CatalogueError>;

    /// Which of these keys of `bucket` were set aside.
    fn which_set_aside(&self, bucket: &str, keys: &[String])
    -> Result<Vec<String>, CatalogueError>;

    /// Adds a verification (`id` 0) or brings it up to date; gives its id.
    fn save_verification(&self, verification: &Verification) -> Result<i64, CatalogueError>;

    /// The last verifications, the newest first.
    fn verifications(&self, limit: usize) -> Result<Vec<Verification>, CatalogueError>;

    /// The row that was added last.
    fn newest_row(&self) -> Result<Option<StoredRow>, CatalogueError>;

    /// When that row was archived, ms since 1970-01-01 UTC by the catalogue's
    /// clock; `None` in rows of older versions and in rows read from objects.
    fn newest_archived_at(&self) -> Result<Option<i64>, CatalogueError>;
}

/// The counts as the tables hold them.
pub(super) fn defects_to_json(defects: &BTreeMap<String, i64>) -> String {
    let pairs = defects.iter().map(|(k, n)| (k.clone(), (*n).into()));
    serde_json::Value::Object(pairs.collect()).to_string()
}

/// The inverse; `None` where it is no such text.
pub(super) fn defects_from_json(text: &str) -> Option<BTreeMap<String, i64>> {
    serde_json::from_str(text).ok()
}
