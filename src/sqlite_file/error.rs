//! What an error of SQLite means to the caller, decided in one place.

use rusqlite::ErrorCode;

use super::connections::BUSY_TIMEOUT;
use crate::database::DatabaseError;

/// What went wrong, before it is known in which file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    /// Whether somebody else has the file locked.
    pub fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        let code = error.sqlite_error_code();
        matches!(
            code,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

/// The error for the caller: one line, with what to do where that is known.
/// `setting` is where the file's path was configured.
pub fn explain(database: &str, setting: &str, fault: Fault) -> DatabaseError {
    let database = database.to_owned();
    let error = match fault {
        Fault::Refused(cause) => return DatabaseError::Refused { database, cause },
        Fault::Sqlite(error) => error,
    };
    let says = error.to_string().replace('\n', " ");
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::Unavailable {
            database,
            cause: format!(
                "another program has kept it locked for {} s",
                BUSY_TIMEOUT.as_secs()
            ),
        },
        Some(ErrorCode::DiskFull) => DatabaseError::Unavailable {
            database,
            cause: format!("{says}; free some space"),
        },
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => DatabaseError::Unavailable {
            database,
            cause: says,
        },
        Some(ErrorCode::NotADatabase) => DatabaseError::Refused {
            database,
            cause: format!("the file is no SQLite database: correct {setting}"),
        },
        Some(ErrorCode::CannotOpen) => DatabaseError::Refused {
            database,
            cause: format!(
                "the file cannot be opened or made: correct {setting}, or the permissions of the file and its directory"
            ),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => DatabaseError::Refused {
            database,
            cause: "the file or its directory cannot be written to: correct the permissions".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => DatabaseError::Refused {
            database,
            cause: format!("the file is damaged ({says}): restore it from a backup"),
        },
        _ => DatabaseError::Refused {
            database,
            cause: says,
        },
    }
}
