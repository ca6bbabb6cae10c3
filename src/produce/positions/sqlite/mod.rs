//! The positions in a SQLite file. Aether keeps its table in PostgreSQL only, so
//! nothing is taken over here.

mod migrate;
mod quarantine;
mod record;
mod sent;
mod standing;

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::{
    Answer, Claimed, Mark, Mode, Positions, PositionsError, Progress, Quarantined, Standing,
    Unsendable,
};
use crate::config::SqliteConfig;
use crate::entities::{Position, TypeId};
use crate::sqlite_file::{Connections, Fault};

/// Positions in a file, which may be the catalogue's.
pub struct SqlitePositions {
    connections: Connections,
}

impl SqlitePositions {
    /// Opens the file, or makes it and its directory.
    pub fn open(config: &SqliteConfig) -> Answer<Self> {
        let connections = Connections::open(&config.path, "db-path")?;
        Ok(Self { connections })
    }

    fn read<T>(&self, call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.connections.read(call)?)
    }

    fn write<T>(&self, call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.connections.write(call)?)
    }
}

impl Positions for SqlitePositions {
    fn name(&self) -> &str {
        self.connections.name()
    }

    fn migrate(&self) -> Answer<()> {
        self.write(migrate::migrate)
    }

    fn claim(&self, of: &TypeId, topic: &str) -> Answer<Claimed> {
        self.write(|file| standing::claim(file, of, topic))
    }

    fn standing(&self, of: &TypeId) -> Answer<Option<Standing>> {
        self.read(|file| standing::find(file, of))
    }

    fn all(&self) -> Answer<Vec<(TypeId, Standing)>> {
        self.read(standing::all)
    }

    fn release_topic(&self, of: &TypeId) -> Answer<()> {
        const RELEASE: &str =
            "UPDATE producer_positions SET topic = NULL WHERE realm = ? AND schema_id = ?";
        self.write(|file| {
            Ok(file
                .execute(RELEASE, params![of.realm, of.schema_id])
                .map(drop)?)
        })
    }

    fn record(&self, of: &TypeId, generation: i64, progress: &Progress) -> Answer<()> {
        let done = self.write(|file| record::record(file, of, generation, progress))?;
        superseded_unless(done, of)
    }

    fn change_mode(
        &self,
        of: &TypeId,
        generation: Option<i64>,
        from: &[Mode],
        to: Mode,
    ) -> Answer<bool> {
        // A write transaction is the only one of its file.
        self.write(|file| {
            let Some(before) = standing::find(file, of)? else {
                return Ok(false);
            };
            let is_meant = generation.is_none_or(|meant| meant == before.generation);
            if !is_meant || !from.contains(&before.mode) {
                return Ok(false);
            }
            const SET: &str =
                "UPDATE producer_positions SET mode = ?3 WHERE realm = ?1 AND schema_id = ?2";
            Ok(file.execute(SET, params![of.realm, of.schema_id, to.word()])? == 1)
        })
    }

    fn reset(&self, of: &TypeId, generation: i64) -> Answer<()> {
        let done = self.write(|file| record::reset(file, of, generation))?;
        superseded_unless(done, of)
    }

    fn known(&self, of: &TypeId, from: &Position, to: &Position) -> Answer<HashSet<Mark>> {
        self.read(|file| sent::known(file, of, from, to))
    }

    fn quarantine(&self, of: &TypeId, entities: &[Unsendable]) -> Answer<()> {
        self.write(|file| quarantine::add(file, of, entities))
    }

    fn quarantined(
        &self,
        of: Option<&TypeId>,
        after: Option<&Quarantined>,
        limit: usize,
    ) -> Answer<Vec<Quarantined>> {
        self.read(|file| quarantine::list(file, of, after, limit))
    }

    fn quarantine_counts(&self) -> Answer<BTreeMap<TypeId, u64>> {
        self.read(quarantine::counts)
    }

    fn ask_replay(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.write(|file| quarantine::ask_replay(file, of, id))
    }

    fn to_replay(&self, of: &TypeId, limit: usize) -> Answer<Vec<Unsendable>> {
        self.read(|file| quarantine::to_replay(file, of, limit))
    }

    fn drop_quarantined(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.write(|file| quarantine::give_up(file, of, id))
    }
}

fn superseded_unless(done: bool, of: &TypeId) -> Answer<()> {
    match done {
        true => Ok(()),
        false => Err(PositionsError::Superseded { of: of.clone() }),
    }
}
