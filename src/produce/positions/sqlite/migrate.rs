//! The tables' version.

use rusqlite::Transaction;

use crate::sqlite_file::Fault;

mod embedded {
    refinery::embed_migrations!("src/produce/positions/migrations/sqlite");
}

/// A version of its own: the file's belongs to the catalogue, which may be in
/// it too.
pub(super) fn migrate(file: &Transaction<'_>) -> Result<(), Fault> {
    file.execute_batch("CREATE TABLE IF NOT EXISTS producer_version (version INTEGER NOT NULL)")?;
    const VERSION: &str = "SELECT coalesce(max(version), 0) FROM producer_version";
    let before: i32 = file.query_row(VERSION, [], |row| row.get(0))?;
    let runner = embedded::migrations::runner();
    let mut migrations: Vec<_> = runner
        .get_migrations()
        .iter()
        .filter_map(|one| Some((one.version(), one.sql()?)))
        .collect();
    migrations.sort();
    let known = migrations.last().map_or(0, |(version, _)| *version);
    if before > known {
        return Err(Fault::Refused(format!(
            "the producer's tables are of a newer version ({before}), this program knows up to {known}: use a newer archive_ingest"
        )));
    }
    for (version, sql) in migrations {
        if version > before {
            file.execute_batch(sql)?;
            file.execute("INSERT INTO producer_version VALUES (?)", [version])?;
        }
    }
    Ok(())
}
