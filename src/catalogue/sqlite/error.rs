//! What an error of SQLite means to the caller, decided in one place.

use rusqlite::ErrorCode;

use super::connections::BUSY_TIMEOUT;
use crate::catalogue::CatalogueError;

/// What went wrong, before it is known in which file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Refused(String),
}

/// The error for the caller: one line, with what to do where that is known.
pub fn explain(database: &str, fault: Fault) -> CatalogueError {
    let database = database.to_owned();
    let error = match fault {
        Fault::Refused(cause) => return CatalogueError::Refused { database, cause },
        Fault::Sqlite(error) => error,
    };
    let says = error.to_string().replace('\n', " ");
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogueError::Unavailable {
            database,
            cause: format!(
                "another program has kept it locked for {} s",
                BUSY_TIMEOUT.as_secs()
            ),
        },
        Some(ErrorCode::DiskFull) => CatalogueError::Unavailable {
            database,
            cause: format!("{says}; free some space"),
        },
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            CatalogueError::Unavailable {
                database,
                cause: says,
            }
        }
        Some(ErrorCode::NotADatabase) => CatalogueError::Refused {
            database,
            cause: "the file is no SQLite database: correct db-path".into(),
        },
        Some(ErrorCode::CannotOpen) => CatalogueError::Refused {
            database,
            cause: "the file cannot be opened or made: correct db-path, or the permissions of the file and its directory".into(),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => CatalogueError::Refused {
            database,
            cause: "the file or its directory cannot be written to: correct the permissions".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => CatalogueError::Refused {
            database,
            cause: format!("the file is damaged ({says}): restore it from a backup"),
        },
        _ => CatalogueError::Refused {
            database,
            cause: says,
        },
    }
}
