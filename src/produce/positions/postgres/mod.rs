//! The positions in PostgreSQL 12 or newer.

mod aether;
mod quarantine;
mod record;
mod sent;
mod standing;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Answer, Claimed, Mark, Mode, Positions, PositionsError, Progress, Quarantined, Standing,
    Unsendable,
};
use crate::config::{NamedBy, PostgresConfig};
use crate::entities::{Position, TypeId};
use crate::postgres_server::{Connector, Fault, Migrations, Session, Sessions, Words};

mod embedded {
    refinery::embed_migrations!("src/produce/positions/migrations/postgres");
}

const MIGRATIONS: Migrations = Migrations {
    history: "archive_ingest_producer_migrations",
    // "produce" in ASCII, big-endian.
    lock: 0x0070_726f_6475_6365,
    runner: embedded::migrations::runner,
};

const OF_STANZA: &Words = &Words::of_database_stanza(
    "its schema is not the producer's",
    "correct db-name, or start archive_ingest produce, which makes the tables",
);

const OF_AETHER: &Words = &Words {
    host: "OFFSET_DB_HOST",
    port: "OFFSET_DB_PORT",
    name: "OFFSET_DB_NAME",
    username: "OFFSET_DB_USER",
    password: "OFFSET_DB_PASSWORD",
    sslmode: "the server's TLS",
    sslrootcert: "its certificate",
    pool_size: "OFFSET_DB_POOL_SIZE",
    wrong_schema: "its schema is not the producer's",
    schema_remedy: "correct OFFSET_DB_NAME",
};

/// Positions in a PostgreSQL database, Aether's table `offset` beside them or
/// not.
pub struct PostgresPositions {
    connector: Arc<Connector>,
    sessions: Sessions,
}

impl PostgresPositions {
    /// Connects once, within 10 s, so that whatever is wrong is told here, in the
    /// words of whoever configured it.
    pub fn open(config: &PostgresConfig, named_by: NamedBy) -> Answer<Self> {
        let words = match named_by {
            NamedBy::Stanza => OF_STANZA,
            NamedBy::AetherEnvironment => OF_AETHER,
        };
        let connector = Arc::new(Connector::new(config, words)?);
        let sessions = Sessions::open(&connector, config.pool_size)?;
        Ok(Self {
            connector,
            sessions,
        })
    }

    fn call<T>(&self, call: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.sessions.run(call)?)
    }
}

impl Positions for PostgresPositions {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn migrate(&self) -> Answer<()> {
        let migrated = MIGRATIONS.apply(&self.connector);
        Ok(migrated.map_err(|fault| self.connector.error(fault))?)
    }

    fn claim(&self, of: &TypeId, topic: &str) -> Answer<Claimed> {
        self.call(|session| standing::claim(session, of, topic))
    }

    fn standing(&self, of: &TypeId) -> Answer<Option<Standing>> {
        self.call(|session| standing::find(session, of))
    }

    fn all(&self) -> Answer<Vec<(TypeId, Standing)>> {
        self.call(standing::all)
    }

    fn release_topic(&self, of: &TypeId) -> Answer<()> {
        const RELEASE: &str =
            "UPDATE producer_positions SET topic = NULL WHERE realm = $1 AND schema_id = $2";
        self.call(|session| {
            session
                .execute(RELEASE, &[&of.realm, &of.schema_id])
                .map(drop)
        })
    }

    fn record(&self, of: &TypeId, generation: i64, progress: &Progress) -> Answer<()> {
        let done = self.call(|session| record::record(session, of, generation, progress))?;
        superseded_unless(done, of)
    }

    fn change_mode(
        &self,
        of: &TypeId,
        generation: Option<i64>,
        from: &[Mode],
        to: Mode,
    ) -> Answer<bool> {
        const CHANGE: &str = "UPDATE producer_positions SET mode = $3
            WHERE realm = $1 AND schema_id = $2 AND mode = ANY($4)
                AND ($5::bigint IS NULL OR generation = $5)";
        let from: Vec<&str> = from.iter().map(|mode| mode.word()).collect();
        let changed = self.call(|session| {
            session.execute(
                CHANGE,
                &[&of.realm, &of.schema_id, &to.word(), &from, &generation],
            )
        })?;
        Ok(changed == 1)
    }

    fn reset(&self, of: &TypeId, generation: i64) -> Answer<()> {
        let done = self.call(|session| record::reset(session, of, generation))?;
        superseded_unless(done, of)
    }

    fn known(&self, of: &TypeId, from: &Position, to: &Position) -> Answer<HashSet<Mark>> {
        self.call(|session| sent::known(session, of, from, to))
    }

    fn quarantine(&self, of: &TypeId, entities: &[Unsendable]) -> Answer<()> {
        self.call(|session| quarantine::add(session, of, entities))
    }

    fn quarantined(
        &self,
        of: Option<&TypeId>,
        after: Option<&Quarantined>,
        limit: usize,
    ) -> Answer<Vec<Quarantined>> {
        self.call(|session| quarantine::list(session, of, after, limit))
    }

    fn quarantine_counts(&self) -> Answer<BTreeMap<TypeId, u64>> {
        self.call(quarantine::counts)
    }

    fn ask_replay(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.call(|session| quarantine::ask_replay(session, of, id))
    }

    fn to_replay(&self, of: &TypeId, limit: usize) -> Answer<Vec<Unsendable>> {
        self.call(|session| quarantine::to_replay(session, of, limit))
    }

    fn drop_quarantined(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.call(|session| quarantine::give_up(session, of, id))
    }
}

fn superseded_unless(done: bool, of: &TypeId) -> Answer<()> {
    match done {
        true => Ok(()),
        false => Err(PositionsError::Superseded { of: of.clone() }),
    }
}
