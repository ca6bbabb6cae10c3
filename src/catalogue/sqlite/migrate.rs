//! The schema, brought to this program's version.
//!
//! The version is the file's `user_version`. The library that finds the
//! migrations would apply them in transactions of its own, between which
//! another process could begin the same; here one transaction, which only one
//! process has at a time, reads the version and does all that follows from it.

use crate::sqlite_file::Fault;
use rusqlite::Transaction;

mod embedded {
    refinery::embed_migrations!("src/catalogue/migrations/sqlite");
}

/// Version and SQL of each migration, in order.
fn migrations() -> Vec<(i32, String)> {
    let runner = embedded::migrations::runner();
    let mut migrations: Vec<_> = runner
        .get_migrations()
        .iter()
        .filter_map(|one| Some((one.version(), one.sql()?.to_owned())))
        .collect();
    migrations.sort();
    migrations
}

/// Applies what is missing.
pub fn migrate(file: &Transaction<'_>) -> Result<(), Fault> {
    let before = version(file)?;
    refuse_newer(before)?;
    for (version, sql) in migrations() {
        if version > before {
            file.execute_batch(&sql)?;
            file.pragma_update(None, "user_version", version)?;
            tracing::info!(database = file.path(), version, "schema migrated");
        }
    }
    Ok(())
}

fn version(file: &Transaction<'_>) -> Result<i32, Fault> {
    Ok(file.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The newest version that this program knows.
fn known() -> i32 {
    migrations().last().map_or(0, |(version, _)| *version)
}

fn refuse_newer(version: i32) -> Result<(), Fault> {
    let known = known();
    if version > known {
        return Err(Fault::Refused(format!(
            "the database is of a newer version ({version}), this program knows up to {known}: use a newer archive_ingest"
        )));
    }
    Ok(())
}

/// Whether the schema is of this program's version.
pub fn check(file: &Transaction<'_>) -> Result<(), Fault> {
    let version = version(file)?;
    refuse_newer(version)?;
    if version < known() {
        return Err(Fault::Refused(format!(
            "the database is of version {version}, this program needs {}: start archive_ingest run, which migrates it",
            known()
        )));
    }
    Ok(())
}
