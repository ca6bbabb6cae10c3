//! How far each type is published, what was sent, and what could not be:
//! PostgreSQL or SQLite, behind one trait.

mod ends;
mod mark;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::config::{DatabaseConfig, NamedBy};
use crate::database::DatabaseError;
use crate::entities::{Position, TypeId};

pub use mark::{MARK_BYTES, Mark};
pub use postgres::PostgresPositions;
pub use sqlite::SqlitePositions;

/// What a type is to do, whoever publishes it; kept for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Running,
    Paused,
    /// Its topic is to be removed and its position forgotten; then it is paused.
    Rebuilding,
    /// The last rebuild failed. Only another rebuild is allowed.
    Locked,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Mode::Running => "running",
            Mode::Paused => "paused",
            Mode::Rebuilding => "rebuilding",
            Mode::Locked => "locked",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "paused" => Mode::Paused,
            "rebuilding" => Mode::Rebuilding,
            "locked" => Mode::Locked,
            _ => Mode::Running,
        }
    }
}

/// Where a type stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `None` when another type has taken it since.
    pub topic: Option<String>,
    /// Everything up to here is on Kafka or in the quarantine.
    pub position: Position,
    /// Up to here nothing is remembered of what was sent: it was taken over
    /// from Aether's table or from the topic, and counts as sent.
    pub known_from: Position,
    /// One more with each rebuild.
    pub generation: i64,
    pub mode: Mode,
    /// Partition → the offset after the last message that is counted in.
    pub log_ends: BTreeMap<i32, i64>,
}

/// What [`Positions::claim`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    Standing(Standing),
    /// The topic is another type's.
    Taken(TypeId),
}

/// Entities that were sent, from one of a position to one of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub first: Position,
    pub last: Position,
    pub marks: Vec<Mark>,
    /// They follow what was sent before; late ones lie between it.
    pub is_in_order: bool,
}

impl Sent {
    /// Entities that lie between what was sent before; `None` of none.
    pub fn late(entities: Vec<(Position, Mark)>) -> Option<Self> {
        let first = entities.iter().map(|(position, _)| position).min()?.clone();
        let last = entities.iter().map(|(position, _)| position).max()?.clone();
        Some(Self {
            first,
            last,
            marks: entities.into_iter().map(|(_, mark)| mark).collect(),
            is_in_order: false,
        })
    }
}

/// What a committed transaction adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub position: Position,
    /// Where the position is taken over, and nothing is known of what is below.
    pub known_from: Option<Position>,
    pub log_ends: BTreeMap<i32, i64>,
    pub sent: Vec<Sent>,
    /// In the quarantine no more.
    pub released: Vec<(Uuid, Position)>,
}

/// An entity that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable {
    pub id: Uuid,
    pub modified: Position,
    pub reason: String,
    /// Of its payload's text.
    pub bytes: u64,
}

/// One row of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub of: TypeId,
    pub entity: Unsendable,
    /// Milliseconds since 1970-01-01 UTC, by the database's clock.
    pub found_at: i64,
    /// Whether it is to be tried again.
    pub replay: bool,
}

/// Why the positions could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PositionsError {
    /// The database cannot be reached or failed. Nothing of the call took
    /// effect, or all of it did: retry it whole.
    #[error("{database}: {cause}")]
    Unavailable { database: String, cause: String },
    /// Credentials, permissions or the schema are wrong. No retry helps.
    #[error("{database}: {cause}")]
    Refused { database: String, cause: String },
    /// The type was rebuilt meanwhile, or has no row: whoever wrote this is not
    /// its owner any more.
    #[error("{of} was rebuilt by another instance meanwhile")]
    Superseded { of: TypeId },
}

impl PositionsError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<DatabaseError> for PositionsError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable { database, cause } => Self::Unavailable { database, cause },
            DatabaseError::Refused { database, cause } => Self::Refused { database, cause },
        }
    }
}

type Answer<T> = Result<T, PositionsError>;

/// The positions. One contract suite (`tests/produce/positions.rs`) runs over
/// both implementations. Every call is one transaction, durable on `Ok`, and
/// blocks.
pub trait Positions: Send + Sync {
    /// What messages call it.
    fn name(&self) -> &str;

    /// Brings the schema to this program's version, one instance at a time.
    /// `Refused` when the database is of a newer version.
    fn migrate(&self) -> Answer<()>;

    /// Where the type stands and that this topic is its own. One that is not
    /// known begins where Aether's table `offset` says, which is looked up by
    /// the schema's id, or at the start.
    fn claim(&self, of: &TypeId, topic: &str) -> Answer<Claimed>;

    /// Where a type stands, if it is known.
    fn standing(&self, of: &TypeId) -> Answer<Option<Standing>>;

    /// Every type that is known, in order.
    fn all(&self) -> Answer<Vec<(TypeId, Standing)>>;

    /// Lets another type have this one's topic.
    fn release_topic(&self, of: &TypeId) -> Answer<()>;

    /// Adds what a transaction did, all of it or nothing. Position and ends of
    /// the log never go back. `Superseded` when the generation is another one.
    /// Aether's table, where there is one, follows with the lowest position of
    /// the realms that share the schema.
    fn record(&self, of: &TypeId, generation: i64, progress: &Progress) -> Answer<()>;

    /// Sets the mode to `to` if it is one of `from` (compare and set), and if the
    /// generation is this one where one is given. Returns whether it was set.
    fn change_mode(
        &self,
        of: &TypeId,
        generation: Option<i64>,
        from: &[Mode],
        to: Mode,
    ) -> Answer<bool>;

    /// Ends the rebuild that was ordered for this generation: back to the start,
    /// with nothing sent and nothing in the quarantine; the generation is one
    /// more, and the type is paused. Aether's table follows. `Superseded` when
    /// the generation is another one or no rebuild is ordered.
    fn reset(&self, of: &TypeId, generation: i64) -> Answer<()>;

    /// The marks of what was sent, or is in the quarantine, with `from` ≤
    /// position ≤ `to`; some of what lies beside may be among them.
    fn known(&self, of: &TypeId, from: &Position, to: &Position) -> Answer<HashSet<Mark>>;

    /// Puts entities into the quarantine; for one that is there the reason is
    /// the new one, and it is not to be tried again.
    fn quarantine(&self, of: &TypeId, entities: &[Unsendable]) -> Answer<()>;

    /// Up to `limit` rows of the quarantine after `after` (type, modified, id),
    /// of one type or of all, in that order.
    fn quarantined(
        &self,
        of: Option<&TypeId>,
        after: Option<&Quarantined>,
        limit: usize,
    ) -> Answer<Vec<Quarantined>>;

    /// How many entities of each type are in the quarantine.
    fn quarantine_counts(&self) -> Answer<BTreeMap<TypeId, u64>>;

    /// Marks entities of the quarantine to be tried again, of one type or of
    /// all, all of them or this one. How many.
    fn ask_replay(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64>;

    /// Up to `limit` of a type's entities that are to be tried again.
    fn to_replay(&self, of: &TypeId, limit: usize) -> Answer<Vec<Unsendable>>;

    /// Gives entities up for good, all or this one: they count as sent. How many.
    fn drop_quarantined(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64>;
}

/// Opens the configured positions. `migrate` is the caller's next call.
pub fn open(config: &DatabaseConfig, named_by: NamedBy) -> Answer<Box<dyn Positions>> {
    Ok(match config {
        DatabaseConfig::Sqlite(sqlite) => Box::new(SqlitePositions::open(sqlite)?),
        DatabaseConfig::Postgres(postgres) => {
            Box::new(PostgresPositions::open(postgres, named_by)?)
        }
    })
}
