//! What an error of SQLite means to the caller, decided in one place.

use rusqlite::ErrorCode;

use super::connections::BUSY_TIMEOUT;

/// Why a file did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    /// It is locked, or the disk fails: the same call may succeed later.
    #[error("{database}: {cause}")]
    Unavailable { database: String, cause: String },
    /// The path, permissions or the content are wrong. No retry helps.
    #[error("{database}: {cause}")]
    Refused { database: String, cause: String },
}

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
pub fn explain(database: &str, setting: &str, fault: Fault) -> FileError {
    let database = database.to_owned();
    let error = match fault {
        Fault::Refused(cause) => return FileError::Refused { database, cause },
        Fault::Sqlite(error) => error,
    };
    let says = error.to_string().replace('\n', " ");
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FileError::Unavailable {
            database,
            cause: format!(
                "another program has kept it locked for {} s",
                BUSY_TIMEOUT.as_secs()
            ),
        },
        Some(ErrorCode::DiskFull) => FileError::Unavailable {
            database,
            cause: format!("{says}; free some space"),
        },
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => FileError::Unavailable {
            database,
            cause: says,
        },
        Some(ErrorCode::NotADatabase) => FileError::Refused {
            database,
            cause: format!("the file is no SQLite database: correct {setting}"),
        },
        Some(ErrorCode::CannotOpen) => FileError::Refused {
            database,
            cause: format!(
                "the file cannot be opened or made: correct {setting}, or the permissions of the file and its directory"
            ),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => FileError::Refused {
            database,
            cause: "the file or its directory cannot be written to: correct the permissions".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => FileError::Refused {
            database,
            cause: format!("the file is damaged ({says}): restore it from a backup"),
        },
        _ => FileError::Refused {
            database,
            cause: says,
        },
    }
}
