//! Files that are not what they should be.

use std::path::Path;
use std::time::Instant;

use archive_ingest::catalogue::{self, Catalogue, CatalogueError};
use archive_ingest::config::{DatabaseConfig, SqliteConfig};

use crate::messages::*;
use crate::place::Place;

fn open(path: &Path) -> Result<Box<dyn Catalogue>, CatalogueError> {
    catalogue::open(&DatabaseConfig::Sqlite(SqliteConfig {
        path: path.to_owned(),
    }))
}

/// The one line that opening or migrating gives.
fn refusal(path: &Path) -> String {
    let error = open(path)
        .and_then(|catalogue| catalogue.migrate())
        .unwrap_err();
    assert!(matches!(error, CatalogueError::Refused { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "not a database, ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(
        refusal(&path),
        format!(
            "sqlite {}: the file is no SQLite database: correct db-path",
            path.display()
        )
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_directory_in_the_files_place_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(directory.path()),
        format!(
            "sqlite {}: the file cannot be opened or made: correct db-path, or the permissions of the file and its directory",
            directory.path().display()
        )
    );
}

#[test]
fn a_path_through_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refusal = refusal(&file.join("below/archive.db"));
    assert!(
        refusal.contains("the directory") && refusal.ends_with("correct db-path"),
        "{refusal}"
    );
}

#[test]
fn a_file_that_may_not_be_written_to_is_refused() {
    let place = Place::sqlite();
    let DatabaseConfig::Sqlite(SqliteConfig { path }) = &place.config else {
        unreachable!("Place::sqlite");
    };
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions).unwrap();
    if std::fs::OpenOptions::new().write(true).open(path).is_ok() {
        eprintln!("SKIPPED: permissions do not stop this user");
        return;
    }
    let error = open(path)
        .and_then(|catalogue| catalogue.claim(&[claim_of(&message(1))]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "sqlite {}: the file or its directory cannot be written to: correct the permissions",
            path.display()
        )
    );
}

#[test]
fn a_file_that_another_program_keeps_locked_is_waited_for_ten_seconds() {
    let place = Place::sqlite();
    let DatabaseConfig::Sqlite(SqliteConfig { path }) = &place.config else {
        unreachable!("Place::sqlite");
    };
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let error = place.catalogue.claim(&[claim_of(&message(1))]).unwrap_err();
    assert!(start.elapsed().as_secs() >= 9);
    assert!(matches!(error, CatalogueError::Unavailable { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "sqlite {}: another program has kept it locked for 10 s",
            path.display()
        )
    );
    other.execute_batch("ROLLBACK").unwrap();
    archive(&*place.catalogue, &[message(1)]);
}

#[test]
fn uuids_are_text_that_the_sqlite_shell_finds() {
    let place = Place::sqlite();
    archive(&*place.catalogue, &[message(1)]);
    let found = place.number(&format!(
        "SELECT count(*) FROM messages WHERE uuid = '{}'",
        message(1).uuid
    ));
    assert_eq!(found, 1);
}
