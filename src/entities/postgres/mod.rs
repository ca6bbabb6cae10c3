//! The two views of an Aether kernel in PostgreSQL 10 or newer.

mod check;
mod collation;
mod lock;
mod look;
mod page;
mod registry;
mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::slice::from_ref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use uuid::Uuid;

use super::horizon::Horizon;
use super::stamp;
use super::{
    Bound, Entity, EntitySource, EntityType, Page, Pages, Position, Receive, SourceError, TypeId,
    TypeLock,
};
use crate::config::{BoundConfig, NamedBy, PostgresConfig};
use crate::postgres_server::{Connector, Fault, Session, Sessions, Words};

use collation::Order;
use lock::LockSession;
use page::{Span, Spread};
use rows::{Columns, Types};

/// A session of this source. Other instances' transactions under this name
/// write no entity, so that nobody waits for them.
const READER: &str = "archive_ingest reader";

/// Beside what holds for every session. Compiling a plan costs more than the
/// queries here take. A plan without their values, which the server changes to
/// after some executions, reads and sorts all that is left of a span for each
/// page, because it takes a span to be small.
const SETTINGS: &str = "
    SET application_name = 'archive_ingest reader';
    SET default_transaction_read_only = on;
    SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'jit';
    SELECT set_config(name, 'force_custom_plan', false) FROM pg_settings
        WHERE name = 'plan_cache_mode';
";

/// Pieces in which ids and positions are read: under 2 MB.
const RANGE_ROWS: usize = 10_000;

/// Ids that one query fetches.
const FETCH_IDS: usize = 500;

const OF_STANZA: &Words = &Words {
    host: "kernel-host",
    port: "kernel-port",
    name: "kernel-name",
    username: "kernel-username",
    password: "KERNEL_PASSWORD",
    sslmode: "kernel-sslmode",
    sslrootcert: "kernel-sslrootcert",
    pool_size: "kernel-connections",
    wrong_schema: WRONG_SCHEMA,
    schema_remedy: "correct kernel-name, or have the kernel make its views",
};

const OF_AETHER: &Words = &Words {
    host: "POSTGRES_HOST",
    port: "POSTGRES_PORT",
    name: "POSTGRES_DBNAME",
    username: "POSTGRES_USER",
    password: "POSTGRES_PASSWORD",
    sslmode: "PGSSLMODE",
    sslrootcert: "PGSSLROOTCERT",
    pool_size: "KERNEL_DB_POOL_SIZE",
    wrong_schema: WRONG_SCHEMA,
    schema_remedy: "correct POSTGRES_DBNAME, or have the kernel make its views",
};

const WRONG_SCHEMA: &str = "its views are not a kernel's";

/// An Aether kernel's entities, in PostgreSQL. Nothing is written there.
pub struct KernelSource {
    connector: Arc<Connector>,
    sessions: Sessions,
    locks: Arc<LockSession>,
    horizon: Mutex<Horizon>,
    /// How the server orders `modified`, once it was asked.
    order: OnceLock<Order>,
    /// Realms with an entity.
    live: Mutex<HashSet<String>>,
    /// Types whose last page was full, and how the next one is to be read.
    spread: Mutex<HashMap<TypeId, Spread>>,
}

impl KernelSource {
    /// Connects to nothing yet. `Refused` when the TLS settings cannot be
    /// followed.
    pub fn open(
        server: &PostgresConfig,
        named_by: NamedBy,
        bound: &BoundConfig,
    ) -> Result<Self, SourceError> {
        let words = match named_by {
            NamedBy::Stanza => OF_STANZA,
            NamedBy::AetherEnvironment => OF_AETHER,
        };
        let connector = Arc::new(Connector::new(server, words)?.with_settings(SETTINGS));
        // One connection is the locks'.
        let readers = server.pool_size.saturating_sub(1);
        Ok(Self {
            sessions: Sessions::new(connector.clone(), readers),
            locks: Arc::new(LockSession::new(connector.clone())),
            horizon: Mutex::new(Horizon::new(bound.clone())),
            order: OnceLock::new(),
            live: Mutex::default(),
            spread: Mutex::default(),
            connector,
        })
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, SourceError> {
        Ok(self.sessions.run(call)?)
    }

    /// Remembers how a type's page was read; whether there is more after it, or
    /// that it failed.
    fn learn(&self, of: &TypeId, spread: Spread, more: Option<bool>) {
        let mut known = held(&self.spread);
        match more {
            Some(true) => {
                known.entry(of.clone()).or_insert(Spread::Dense);
            }
            Some(false) => {
                known.remove(of);
            }
            // It may have passed too many rows of other types.
            None if spread == Spread::Dense => {
                known.insert(of.clone(), Spread::Sparse);
            }
            None => {}
        }
    }

    fn order(&self) -> Result<Order, SourceError> {
        if let Some(order) = self.order.get() {
            return Ok(*order);
        }
        let order = self.call(|session| Ok(collation::of_modified(session)?.order))?;
        Ok(*self.order.get_or_init(|| order))
    }
}

/// What a lock guards here is whole whenever it is free, also after a panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EntitySource for KernelSource {
    fn describe(&self) -> String {
        self.connector.name().to_owned()
    }

    fn check(&self) -> Result<Vec<String>, SourceError> {
        let zone = held(&self.horizon).time_zone();
        let (warnings, order) = self.call(|session| check::check(session, &zone))?;
        self.order.get_or_init(|| order);
        Ok(warnings)
    }

    fn types(&self) -> Result<Vec<EntityType>, SourceError> {
        let mut live = held(&self.live);
        self.call(|session| registry::types(session, &mut live))
    }

    fn bound(&self) -> Result<Bound, SourceError> {
        // Looks follow each other: the lock is held from the first statement to
        // the conclusion.
        let mut horizon = held(&self.horizon);
        let look = self.call(look::look)?;
        Ok(horizon.after(&look))
    }

    fn page(
        &self,
        of: &TypeId,
        after: &Position,
        bound: &Bound,
        limit: usize,
        bytes: usize,
    ) -> Result<Page, SourceError> {
        let order = self.order()?;
        let spread = match stamp::is_far(after, &bound.below) {
            false => Spread::Near,
            true => *held(&self.spread).get(of).unwrap_or(&Spread::Sparse),
        };
        let span = Span {
            of: Types(from_ref(of)),
            from: after,
            includes_from: false,
            below: &bound.below,
            spread,
        };
        let rows =
            self.call(|session| page::page(session, order, Columns::Entity, &span, limit, bytes));
        self.learn(of, spread, rows.as_ref().ok().map(|rows| rows.more));
        Ok(rows?.into_page())
    }

    fn pages(
        &self,
        of: &[TypeId],
        after: &Position,
        bound: &Bound,
        limit: usize,
        bytes: usize,
    ) -> Result<Pages, SourceError> {
        let order = self.order()?;
        let span = Span {
            of: Types(of),
            from: after,
            includes_from: false,
            below: &bound.below,
            spread: match stamp::is_far(after, &bound.below) {
                false => Spread::Near,
                true => Spread::Dense,
            },
        };
        let read =
            self.call(|session| page::page(session, order, Columns::Entity, &span, limit, bytes))?;
        // Also a row of none of the types tells how far the walk has come. There
        // may be none where rows were changed while they were read.
        let end = match (read.more, read.rows.last()) {
            (false, _) => &bound.below,
            (true, Some(last)) => &last.entity.modified,
            (true, None) => after,
        };
        let mut pages = Pages {
            end: end.clone().max(after.clone()),
            more: read.more,
            of: BTreeMap::new(),
        };
        for row in read.rows {
            if let Some(of) = row.of.and_then(|place| of.get(place)) {
                pages.of.entry(of.clone()).or_default().push(row.entity);
            }
        }
        Ok(pages)
    }

    fn range(
        &self,
        of: &TypeId,
        from: &Position,
        to: &Position,
        receive: &mut Receive<'_>,
    ) -> Result<(), SourceError> {
        let order = self.order()?;
        super::read_range(from, to, receive, |from, includes_from| {
            let span = Span {
                of: Types(from_ref(of)),
                from,
                includes_from,
                below: to,
                spread: Spread::Sparse,
            };
            let rows = self.call(|session| {
                page::page(session, order, Columns::Id, &span, RANGE_ROWS, usize::MAX)
            })?;
            Ok(rows.into_page())
        })
    }

    fn news(&self, from: &Position, to: &Position) -> Result<Vec<TypeId>, SourceError> {
        if to <= from {
            return Ok(Vec::new());
        }
        let (first, end) = match self.order()? {
            Order::Bytes => (from.as_str(), to.as_str().to_owned()),
            Order::Seconds => stamp::whole_seconds(from, to),
        };
        self.call(|session| registry::news(session, first, &end))
    }

    fn fetch(&self, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, SourceError> {
        let mut entities = Vec::with_capacity(ids.len());
        for ids in ids.chunks(FETCH_IDS) {
            entities.extend(self.call(|session| rows::fetch(session, of, ids))?);
        }
        super::sort(&mut entities);
        Ok(entities)
    }

    fn count(&self, of: &TypeId) -> Result<u64, SourceError> {
        self.call(|session| registry::count(session, of))
    }

    fn lock(&self, of: &TypeId) -> Result<Option<Box<dyn TypeLock>>, SourceError> {
        Ok(LockSession::lock(&self.locks, of)?)
    }
}
