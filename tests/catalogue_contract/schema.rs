//! The schema and its version.

use std::sync::Barrier;
use std::thread;

use archive_ingest::catalogue::{self, Catalogue, CatalogueError};
use archive_ingest::config::{DatabaseConfig, SqliteConfig};

use crate::messages::*;
use crate::place::{Place, ServerDatabase};

/// The number of the newest migration of a backend.
fn newest_migration(backend: &str) -> i32 {
    let folder = format!("src/catalogue/migrations/{backend}");
    let files = std::fs::read_dir(folder).unwrap();
    let numbers = files.map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        let (number, _) = name[1..].split_once("__").unwrap();
        number.parse().unwrap()
    });
    numbers.max().unwrap()
}

on_every_backend!(
    migrating_again_changes_nothing,
    a_database_of_a_newer_version_is_refused,
    a_migrated_database_passes_the_check,
);

fn migrating_again_changes_nothing(place: &Place) {
    archive(&*place.catalogue, &[message(1)]);
    place.catalogue.migrate().unwrap();
    place.open().migrate().unwrap();
    assert_eq!(place.catalogue.count(&Default::default()).unwrap(), 1);
}

fn a_migrated_database_passes_the_check(place: &Place) {
    place.open().check().unwrap();
}

fn a_database_of_a_newer_version_is_refused(place: &Place) {
    let known = match place.config {
        DatabaseConfig::Sqlite(_) => {
            place.execute("PRAGMA user_version = 1000");
            newest_migration("sqlite")
        }
        DatabaseConfig::Postgres(_) => {
            place.execute(
                "INSERT INTO archive_ingest_migrations
                 VALUES (1000, 'of_the_future', '2100-01-01T00:00:00Z', '1')",
            );
            newest_migration("postgres")
        }
    };
    let expected = format!(
        "{}: the database is of a newer version (1000), this program knows up to {known}: use a newer archive_ingest",
        place.catalogue.name()
    );
    for result in [place.catalogue.migrate(), place.catalogue.check()] {
        let error = result.unwrap_err();
        assert!(matches!(error, CatalogueError::Refused { .. }));
        assert_eq!(error.to_string(), expected);
    }
}

/// Opens and migrates four times at once, as four processes do.
fn migrate_at_once(config: &DatabaseConfig) {
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                catalogue::open(config).unwrap().migrate().unwrap();
            });
        }
    });
}

#[test]
fn four_processes_may_migrate_a_new_sqlite_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = DatabaseConfig::Sqlite(SqliteConfig {
        path: directory.path().join("archive.db"),
    });
    migrate_at_once(&config);
    let catalogue = catalogue::open(&config).unwrap();
    archive(&*catalogue, &[message(1)]);
    assert_eq!(catalogue.count(&Default::default()).unwrap(), 1);
}

#[test]
fn four_processes_may_migrate_a_new_postgres_database_at_once() {
    let Some(database) = ServerDatabase::create() else {
        return;
    };
    migrate_at_once(&DatabaseConfig::Postgres(database.config.clone()));
    let catalogue = database.open().unwrap();
    archive(&*catalogue, &[message(1)]);
    assert_eq!(catalogue.count(&Default::default()).unwrap(), 1);
}

/// Commands that only read make no tables.
fn assert_check_asks_for_a_migration(catalogue: &dyn Catalogue, known: i32) {
    let error = catalogue.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the database is of version 0, this program needs {known}: start archive_ingest run, which migrates it",
            catalogue.name()
        )
    );
}

#[test]
fn an_empty_database_does_not_pass_the_check_and_stays_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive.db");
    let config = DatabaseConfig::Sqlite(SqliteConfig { path: path.clone() });
    assert_check_asks_for_a_migration(
        &*catalogue::open(&config).unwrap(),
        newest_migration("sqlite"),
    );
    let tables: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 0);

    let Some(database) = ServerDatabase::create() else {
        return;
    };
    assert_check_asks_for_a_migration(&*database.open().unwrap(), newest_migration("postgres"));
    let tables: i64 = database
        .client()
        .query_one(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(tables, 0);
}
