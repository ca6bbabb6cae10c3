//! What a database holds as entities, read as soon as it is committed.
//!
//! An entity source gives pages of entities in the order of their positions,
//! and a bound below which nothing new appears any more. Reading up to the
//! bound, page after page, therefore misses nothing, whatever commits late.
//! Calls block and must not be made on a thread of an async runtime.

mod demo;
mod horizon;
mod postgres;
mod stamp;
mod types;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::config::{KernelConfig, KernelKind};
use crate::database::DatabaseError;
use crate::shutdown::Shutdown;

pub use self::demo::{DemoSource, DemoWriter};
pub use self::postgres::KernelSource;
pub use types::{conflicting, topic_conflicts};

/// What tells one entity type from another. Realms may share a schema, and then
/// they are two types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId {
    pub realm: String,
    pub schema_id: Uuid,
}

impl fmt::Display for TypeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.realm, self.schema_id)
    }
}

/// A registered type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityType {
    pub id: TypeId,
    /// Not unique, not even in a realm: see [`conflicting`].
    pub schema_name: String,
    /// The Avro schema, JSON text with every attribute that the registry has.
    pub definition: String,
    /// The registry's mark for this state of the definition.
    pub revision: String,
    /// The projects' own uses of the schema in this realm, in order.
    pub decorators: Vec<Uuid>,
}

/// A place in the order of a type's entities: the whole `modified` text, such
/// as `2026-01-01T00:00:00.123456-0f0db3e6-8283-5bd8-bc95-23904c144fe1`, or the
/// beginning of one.
///
/// Positions are ordered as bytes, which is the order of time: whole seconds
/// come without a fraction, and `-` stands before `.` and before every digit.
/// Of equal times the rest of the text decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(String);

impl Position {
    pub fn new(modified: impl Into<String>) -> Self {
        Self(modified.into())
    }

    /// Before every entity.
    pub fn start() -> Self {
        Self::default()
    }

    pub fn is_start(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<String> for Position {
    fn from(modified: String) -> Self {
        Self(modified)
    }
}

impl From<&str> for Position {
    fn from(modified: &str) -> Self {
        Self(modified.to_owned())
    }
}

// `str` and `Position` are ordered and hashed alike.
impl Borrow<str> for Position {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One entity, of whatever status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub id: Uuid,
    pub modified: Position,
    /// JSON text as the database gives it, numbers with all their digits.
    pub payload: String,
}

impl Entity {
    /// The order in which entities are given.
    fn cmp_place(&self, other: &Self) -> Ordering {
        (&self.modified, &self.id).cmp(&(&other.modified, &other.id))
    }
}

/// How far a type may be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Nothing new appears at a position before this one, under the source's
    /// condition. [`Position::start`]: nothing may be read yet.
    pub below: Position,
    /// Why the bound is not nearer to now, where something keeps it back.
    pub held_back: Option<HeldBack>,
}

/// What keeps a bound back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// For messages, for example `an open transaction (pid 4711, user aether,
    /// idle in transaction)`.
    pub by: String,
    /// Since when, milliseconds since 1970-01-01 UTC by the database's clock.
    pub since_ms: i64,
    /// How long that is.
    pub lasting: Duration,
    /// It lasts longer than the configured most, so the bound has moved past
    /// it: what it commits yet is found by looking back, not by the walk.
    pub ignored: bool,
}

/// Entities that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub entities: Vec<Entity>,
    /// Whether there may be more below the bound.
    pub more: bool,
}

/// Entities of several types that follow the same position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Of each type in its order; a type without any may be missing.
    pub of: BTreeMap<TypeId, Vec<Entity>>,
    /// Nothing of these types is missing up to this position.
    pub end: Position,
    /// Whether there may be more between it and the bound.
    pub more: bool,
}

/// Opens the configured kernel. [`EntitySource::check`] is the caller's next
/// call: only it connects to a server. A demo kernel is made where it is
/// missing.
pub fn open(config: &KernelConfig) -> Result<Box<dyn EntitySource>, SourceError> {
    Ok(match &config.kind {
        KernelKind::Demo { path } => Box::new(DemoSource::open(path, &config.bound)?),
        KernelKind::Aether { server, named_by } => {
            Box::new(KernelSource::open(server, *named_by, &config.bound)?)
        }
    })
}

/// Starts what makes a few new entities a second in a demo kernel that is open,
/// until it is told to end; `None` for a kernel of somebody's own.
pub fn start_demo(
    config: &KernelConfig,
    shutdown: Shutdown,
) -> Result<Option<DemoWriter>, SourceError> {
    match &config.kind {
        KernelKind::Demo { path } => demo::start_writer(path, shutdown).map(Some),
        KernelKind::Aether { .. } => Ok(None),
    }
}

/// Hands over what pages of ids hold, one page after another from `from` on.
/// `next` reads those after a position, or from it on.
fn read_range(
    from: &Position,
    to: &Position,
    receive: &mut Receive<'_>,
    next: impl Fn(&Position, bool) -> Result<Page, SourceError>,
) -> Result<(), SourceError> {
    let (mut from, mut includes_from) = (from.clone(), true);
    while from < *to {
        let page = next(&from, includes_from)?;
        let Some(last) = page.entities.last() else {
            break;
        };
        (from, includes_from) = (last.modified.clone(), false);
        for entity in page.entities {
            receive(entity.id, entity.modified)?;
        }
        if !page.more {
            break;
        }
    }
    Ok(())
}

fn sort(entities: &mut [Entity]) {
    entities.sort_by(Entity::cmp_place);
}

/// Why a source could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The database cannot be reached or failed: the same call may succeed
    /// later.
    #[error("{database}: {cause}")]
    Unavailable { database: String, cause: String },
    /// Credentials, permissions, the views, the kind of server: no retry helps.
    #[error("{database}: {cause}")]
    Refused { database: String, cause: String },
    /// A caller's own function ended [`EntitySource::range`] before its end.
    #[error("{0}")]
    Interrupted(String),
}

impl From<DatabaseError> for SourceError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable { database, cause } => Self::Unavailable { database, cause },
            DatabaseError::Refused { database, cause } => Self::Refused { database, cause },
        }
    }
}

impl SourceError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Receives ids and positions one after another; an error of its own
/// ([`SourceError::Interrupted`]) ends the reading and is given back.
pub type Receive<'a> = dyn FnMut(Uuid, Position) -> Result<(), SourceError> + 'a;

/// A database with entities. One contract suite (`tests/entities/`) runs over
/// every implementation. No call leaves a transaction open; all calls together
/// use the configured number of connections, and wait for one where all are
/// busy.
pub trait EntitySource: Send + Sync {
    /// What messages call it, for example `postgres 127.0.0.1:5432/aether`.
    fn describe(&self) -> String;

    /// Connects and looks whether everything is as the other calls need it.
    /// Warnings (one line each) say what works less well than it could, and
    /// what to do. `Refused`: a standby, views that are missing or not readable,
    /// an order of `modified` that is not even that of whole seconds.
    fn check(&self) -> Result<Vec<String>, SourceError>;

    /// The types that are registered now in realms with at least one entity,
    /// ordered by [`TypeId`]. Schemas of one name are all listed: see
    /// [`conflicting`].
    fn types(&self) -> Result<Vec<EntityType>, SourceError>;

    /// How far may be read now. It never goes back while the source is open.
    ///
    /// The condition, which only the application can keep: `modified` is
    /// stamped at most window + margin before the entity's transaction begins,
    /// by the database's clock; and an entity that is stamped is in the view
    /// from its commit on. What breaks it (a clock that is wrong, a mapping or a
    /// project that is made active again) is found by looking back with
    /// [`EntitySource::range`].
    fn bound(&self) -> Result<Bound, SourceError>;

    /// The entities of a type with `after` < position < `bound.below`, ordered
    /// by (modified, id), from the first on: at most about `limit`, and no more
    /// after about `bytes` of payload, but one at least if there is one.
    /// Entities with equal `modified` always come in one page, so that the last
    /// one's position is where the next page starts.
    ///
    /// After a page without `more`, `bound.below` may be the next `after`: it
    /// saves walking again over what other types have written meanwhile.
    fn page(
        &self,
        of: &TypeId,
        after: &Position,
        bound: &Bound,
        limit: usize,
        bytes: usize,
    ) -> Result<Page, SourceError>;

    /// As [`EntitySource::page`], for types that have all been read up to
    /// `after`, and `limit` and `bytes` for all of them together. A source that
    /// has its entities in one order of all types reads them in one walk.
    fn pages(
        &self,
        of: &[TypeId],
        after: &Position,
        bound: &Bound,
        limit: usize,
        bytes: usize,
    ) -> Result<Pages, SourceError> {
        let each = of.len().max(1);
        let mut pages = Pages {
            of: BTreeMap::new(),
            end: bound.below.clone().max(after.clone()),
            more: false,
        };
        for one in of {
            let page = self.page(one, after, bound, limit / each, bytes / each)?;
            if page.more {
                let end = page.entities.last().map_or(after, |last| &last.modified);
                pages.end = pages.end.min(end.clone());
                pages.more = true;
            }
            pages.of.insert(one.clone(), page.entities);
        }
        for entities in pages.of.values_mut() {
            entities.retain(|entity| entity.modified <= pages.end);
        }
        Ok(pages)
    }

    /// Ids and positions with `from` ≤ position < `to`, ordered by (modified,
    /// id), read in pieces: memory stays the same however many there are, and
    /// no connection is held while `receive` works.
    fn range(
        &self,
        of: &TypeId,
        from: &Position,
        to: &Position,
        receive: &mut Receive<'_>,
    ) -> Result<(), SourceError>;

    /// The types, of whatever name, with entities at `from` ≤ position < `to`,
    /// and perhaps some more: one question for all types, for whoever has read
    /// each of them up to `from`.
    fn news(&self, from: &Position, to: &Position) -> Result<Vec<TypeId>, SourceError>;

    /// The entities of these ids as they are now, ordered by (modified, id);
    /// ids that the type does not have (any more) are left out.
    fn fetch(&self, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, SourceError>;

    /// How many entities a type has, those above the bound included.
    fn count(&self, of: &TypeId) -> Result<u64, SourceError>;

    /// The right to publish a type, for one instance at a time; `None` while
    /// another instance (or another lock of this one) has it. It ends with the
    /// lock, and with the process however that ends.
    fn lock(&self, of: &TypeId) -> Result<Option<Box<dyn TypeLock>>, SourceError>;
}

/// The right to publish a type. Given up when dropped.
///
/// It tells who should publish, it does not stop a request that is already
/// under way: what must not happen twice needs a fence of its own.
pub trait TypeLock: Send {
    /// Whether the right is still one's own: asks the database, and is `false`
    /// for good once the connection that held it was lost. Ask before each
    /// batch of work.
    fn is_held(&self) -> bool;
}
