//! The schema, brought to this program's version.

use std::time::{Duration, Instant};

use refinery::{Runner, SchemaVersion, Target};
use tracing::subscriber::NoSubscriber;

use crate::postgres_server::{Connector, Fault, Session};

mod embedded {
    refinery::embed_migrations!("src/catalogue/migrations/postgres");
}

/// Which migrations have been applied.
const HISTORY: &str = "archive_ingest_migrations";

/// One instance migrates at a time: "archive" in ASCII, big-endian.
const LOCK: i64 = 0x0061_7263_6869_7665;
const LOCK_POLL: Duration = Duration::from_millis(200);
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// Applies what is missing, on a connection of its own whose end frees the
/// lock, whatever happens.
pub fn migrate(connector: &Connector) -> Result<(), Fault> {
    let mut session = connector.migrator()?;
    lock(&mut session, connector.name())?;
    let before = version(&mut session)?;
    refuse_newer(before)?;
    for wanted in (before + 1)..=known() {
        apply(&mut session, wanted)?;
        tracing::info!(
            database = connector.name(),
            version = wanted,
            "schema migrated"
        );
    }
    Ok(())
}

/// Polled: to wait for the lock inside a statement would hold a snapshot open,
/// for which index builds elsewhere would wait in turn.
fn lock(session: &mut Session, database: &str) -> Result<(), Fault> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let row = session.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])?;
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

/// One migration and the record of it, in one transaction. The library's own
/// telling of its steps is not for this program's users.
fn apply(session: &mut Session, wanted: SchemaVersion) -> Result<(), Fault> {
    let runner = runner()
        .set_target(Target::Version(wanted))
        .set_grouped(true);
    tracing::subscriber::with_default(NoSubscriber::new(), || session.migrate(&runner))
}

fn runner() -> Runner {
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name(HISTORY);
    runner
}

/// The newest version that this program knows.
fn known() -> SchemaVersion {
    let runner = runner();
    let versions = runner.get_migrations().iter().map(|one| one.version());
    versions.max().unwrap_or(0)
}

/// The database's version; 0 before the first migration.
fn version(session: &mut Session) -> Result<SchemaVersion, Fault> {
    let exists = session.query_one("SELECT to_regclass($1) IS NOT NULL", &[&HISTORY])?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let sql = format!("SELECT coalesce(max(version), 0) FROM {HISTORY}");
    Ok(session.query_one(&sql, &[])?.try_get(0)?)
}

fn refuse_newer(version: SchemaVersion) -> Result<(), Fault> {
    let known = known();
    if version > known {
        return Err(Fault::Refused(format!(
            "the database is of a newer version ({version}), this program knows up to {known}: use a newer archive_ingest"
        )));
    }
    Ok(())
}

/// Whether the schema is of this program's version.
pub fn check(session: &mut Session) -> Result<(), Fault> {
    let version = version(session)?;
    refuse_newer(version)?;
    if version < known() {
        return Err(Fault::Refused(format!(
            "the database is of version {version}, this program needs {}: start archive_ingest run, which migrates it",
            known()
        )));
    }
    Ok(())
}
