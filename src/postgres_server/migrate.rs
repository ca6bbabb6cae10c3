//! The schema, brought to this program's version.

use std::time::{Duration, Instant};

use refinery::{Runner, SchemaVersion, Target};
use tracing::subscriber::NoSubscriber;

use super::connect::Connector;
use super::error::Fault;
use super::session::Session;

/// The migrations of a room, and how they are kept apart from other rooms'.
pub struct Migrations {
    /// The table that says which have been applied.
    pub history: &'static str,
    /// The advisory lock by which one instance migrates at a time.
    pub lock: i64,
    /// What the library has embedded.
    pub runner: fn() -> Runner,
}

const LOCK_POLL: Duration = Duration::from_millis(200);
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

impl Migrations {
    /// Applies what is missing, on a connection of its own whose end frees the
    /// lock, whatever happens.
    pub fn apply(&self, connector: &Connector) -> Result<(), Fault> {
        let mut session = connector.migrator()?;
        lock(&mut session, self.lock, connector.name())?;
        let before = self.version(&mut session)?;
        self.refuse_newer(before)?;
        for wanted in (before + 1)..=self.known() {
            self.apply_one(&mut session, wanted)?;
            tracing::info!(
                database = connector.name(),
                version = wanted,
                "schema migrated"
            );
        }
        Ok(())
    }

    /// One migration and the record of it, in one transaction. The library's own
    /// telling of its steps is not for this program's users.
    fn apply_one(&self, session: &mut Session, wanted: SchemaVersion) -> Result<(), Fault> {
        let runner = self
            .named_runner()
            .set_target(Target::Version(wanted))
            .set_grouped(true);
        tracing::subscriber::with_default(NoSubscriber::new(), || session.migrate(&runner))
    }

    fn named_runner(&self) -> Runner {
        let mut runner = (self.runner)();
        runner.set_migration_table_name(self.history);
        runner
    }

    /// The newest version that this program knows.
    fn known(&self) -> SchemaVersion {
        let runner = self.named_runner();
        let versions = runner.get_migrations().iter().map(|one| one.version());
        versions.max().unwrap_or(0)
    }

    /// The database's version; 0 before the first migration.
    fn version(&self, session: &mut Session) -> Result<SchemaVersion, Fault> {
        let exists = session.query_one("SELECT to_regclass($1) IS NOT NULL", &[&self.history])?;
        if !exists.try_get::<_, bool>(0)? {
            return Ok(0);
        }
        let sql = format!("SELECT coalesce(max(version), 0) FROM {}", self.history);
        Ok(session.query_one(&sql, &[])?.try_get(0)?)
    }

    fn refuse_newer(&self, version: SchemaVersion) -> Result<(), Fault> {
        let known = self.known();
        if version > known {
            return Err(Fault::Refused(format!(
                "the database is of a newer version ({version}), this program knows up to {known}: use a newer archive_ingest"
            )));
        }
        Ok(())
    }

    /// Whether the schema is of this program's version.
    pub fn check(&self, session: &mut Session) -> Result<(), Fault> {
        let version = self.version(session)?;
        self.refuse_newer(version)?;
        if version < self.known() {
            return Err(Fault::Refused(format!(
                "the database is of version {version}, this program needs {}: start archive_ingest run, which migrates it",
                self.known()
            )));
        }
        Ok(())
    }
}

/// Polled: to wait for the lock inside a statement would hold a snapshot open,
/// for which index builds elsewhere would wait in turn.
fn lock(session: &mut Session, id: i64, database: &str) -> Result<(), Fault> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let row = session.query_one("SELECT pg_try_advisory_lock($1)", &[&id])?;
        if row.try_get(0)? {
            return Ok(());
        }
        if start.elapsed() > LOCK_PATIENCE {
            return Err(Fault::Unavailable(format!(
                "another instance has been migrating the schema for {} s",
                LOCK_PATIENCE.as_secs()
            )));
        }
        if !told {
            tracing::info!(database, "waiting for another instance's migration");
            told = true;
        }
        std::thread::sleep(LOCK_POLL);
    }
}
