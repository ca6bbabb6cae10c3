//! The demo kernel: made-up entities in a SQLite file, shaped as a kernel's
//! views, so that everything works with nothing installed.

mod content;
mod file;
mod lock;
mod read;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::horizon::{Horizon, Look, WORTH_TELLING};
use super::{
    Bound, Entity, EntitySource, EntityType, HeldBack, Page, Position, Receive, SourceError,
    TypeId, TypeLock,
};
use crate::config::BoundConfig;
use crate::sqlite_file::Connections;

pub use writer::{DemoWriter, start_writer};

/// Pieces in which ids and positions are read: under 2 MB.
const RANGE_ROWS: usize = 10_000;

/// Entities in a SQLite file, which several processes may use at once.
pub struct DemoSource {
    connections: Connections,
    path: PathBuf,
    horizon: Mutex<Horizon>,
    /// Since when somebody who writes has kept the file from being looked at,
    /// ms.
    locked_since: Mutex<Option<i64>>,
}

impl DemoSource {
    /// Opens the file, or makes it, its directory and its first entities.
    pub fn open(path: &Path, bound: &BoundConfig) -> Result<Self, SourceError> {
        let connections = Connections::open(path, "kernel-path")?;
        connections.write(|file| {
            file::create(file)?;
            content::fill(file)
        })?;
        Ok(Self {
            connections,
            path: path.to_owned(),
            horizon: Mutex::new(Horizon::new(bound.clone())),
            locked_since: Mutex::default(),
        })
    }
}

impl EntitySource for DemoSource {
    fn describe(&self) -> String {
        self.connections.name().to_owned()
    }

    fn check(&self) -> Result<Vec<String>, SourceError> {
        self.connections.read(read::check)?;
        Ok(Vec::new())
    }

    fn types(&self) -> Result<Vec<EntityType>, SourceError> {
        Ok(self.connections.read(read::types)?)
    }

    /// One process writes at a time. Whoever gets the right to write at a time
    /// knows that nobody else has a transaction open then.
    fn bound(&self) -> Result<Bound, SourceError> {
        // Looks follow each other. What a lock guards is whole whenever it is
        // free, also after a panic.
        let mut horizon = self.horizon.lock().unwrap_or_else(PoisonError::into_inner);
        let mut locked = self
            .locked_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let free = self
            .connections
            .try_write(|_| Ok(Timestamp::now().as_microsecond()))?;
        let Some(now) = free else {
            let now_ms = Timestamp::now().as_millisecond();
            let since_ms = *locked.get_or_insert(now_ms);
            return Ok(Bound {
                below: horizon.position(),
                held_back: held_back(since_ms, now_ms),
            });
        };
        *locked = None;
        let look = Look {
            now,
            open: Vec::new(),
        };
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
        let span = read::Span {
            of,
            from: after,
            includes_from: false,
            below: &bound.below,
        };
        Ok(self
            .connections
            .read(|file| read::page(file, &span, limit, bytes))?)
    }

    fn range(
        &self,
        of: &TypeId,
        from: &Position,
        to: &Position,
        receive: &mut Receive<'_>,
    ) -> Result<(), SourceError> {
        super::read_range(from, to, receive, |from, includes_from| {
            let span = read::Span {
                of,
                from,
                includes_from,
                below: to,
            };
            Ok(self
                .connections
                .read(|file| read::page_of_ids(file, &span, RANGE_ROWS))?)
        })
    }

    fn news(&self, from: &Position, to: &Position) -> Result<Vec<TypeId>, SourceError> {
        Ok(self.connections.read(|file| read::news(file, from, to))?)
    }

    fn fetch(&self, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, SourceError> {
        let mut entities = self.connections.read(|file| read::fetch(file, of, ids))?;
        super::sort(&mut entities);
        Ok(entities)
    }

    fn count(&self, of: &TypeId) -> Result<u64, SourceError> {
        Ok(self.connections.read(|file| read::count(file, of))?)
    }

    fn lock(&self, of: &TypeId) -> Result<Option<Box<dyn TypeLock>>, SourceError> {
        lock::lock(&self.path, of).map_err(|error| SourceError::Refused {
            database: self.describe(),
            cause: format!(
                "a lock file beside it cannot be made ({error}): correct the permissions"
            ),
        })
    }
}

fn held_back(since_ms: i64, now_ms: i64) -> Option<HeldBack> {
    let lasting = now_ms.saturating_sub(since_ms).max(0).unsigned_abs();
    let held = HeldBack {
        by: "a transaction that writes to the file".to_owned(),
        since_ms,
        lasting: std::time::Duration::from_millis(lasting),
        ignored: false,
    };
    (held.lasting >= WORTH_TELLING).then_some(held)
}
