//! What an error of the file system means for the caller.

use std::io::{Error, ErrorKind};

use crate::store::StoreError;

/// "Too many open files" of this process (EMFILE) and of the machine (ENFILE);
/// `ErrorKind` has no name for them.
const TOO_MANY_OPEN_FILES: [i32; 2] = [24, 23];

/// Maps an error met while `doing` something to the file or folder of `key`.
///
/// A full disk or a network file system that is away may come right again, so
/// that is worth a retry; permissions and names do not.
pub(super) fn failure(store: &str, doing: &str, key: &str, error: &Error) -> StoreError {
    let store = store.to_owned();
    let cause = format!("cannot {doing} {key}: {error}");
    if error
        .raw_os_error()
        .is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code))
    {
        return StoreError::Busy { store, cause };
    }
    match error.kind() {
        ErrorKind::NotFound => StoreError::NotFound {
            store,
            key: key.to_owned(),
        },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Unavailable {
            store,
            cause: format!("{cause}; free some space"),
        },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Refused {
            store,
            cause: format!("{cause}; this user must be able to read and write there"),
        },
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => StoreError::Refused {
            store,
            cause: format!("{cause}; a file and a folder cannot share a name"),
        },
        ErrorKind::CrossesDevices => StoreError::Refused {
            store,
            cause: format!("{cause}; store-path and everything in it must be one file system"),
        },
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
            StoreError::Refused { store, cause }
        }
        _ => StoreError::Unavailable { store, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ErrorKind) -> StoreError {
        failure("directory /d/archive", "store", "t/a.bson", &kind.into())
    }

    #[test]
    fn a_full_disk_is_worth_a_retry_and_a_forbidden_folder_is_not() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = of(kind);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains("free some space"), "{error}");
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let error = of(kind);
            assert!(matches!(error, StoreError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("t/a.bson"), "{error}");
        }
    }

    #[test]
    fn too_many_open_files_ask_for_fewer_at_once() {
        let error = Error::from_raw_os_error(TOO_MANY_OPEN_FILES[0]);
        let error = failure("directory /d/archive", "read", "t/a.bson", &error);
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    }

    #[test]
    fn an_error_nobody_thought_of_is_worth_a_retry() {
        let error = of(ErrorKind::Other);
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}
