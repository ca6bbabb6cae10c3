//! The bridge's key where none is configured: made once, in a file that only its
//! owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use tracing::info;

use super::UsageError;

/// The key in the file, which is made with a new one where it is missing.
/// Errors: it cannot be made or read, others may read it, or it holds no key.
pub(super) fn of_file(path: &Path) -> Result<String, UsageError> {
    let shown = path.display();
    let refused = |why: String| {
        UsageError(format!(
            "bridge-key-file {shown}: {why}; correct it, or set BRIDGE_API_KEY"
        ))
    };
    if !path.exists() {
        create(path).map_err(|error| refused(format!("it cannot be made: {error}")))?;
        info!(path = %shown, "bridge API key created");
    }
    let read = |error: io::Error| refused(format!("it cannot be read: {error}"));
    let mode = fs::metadata(path).map_err(read)?.mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o777;
        return Err(refused(format!(
            "others may read it (mode {mode:03o}): make that 600"
        )));
    }
    let key = fs::read_to_string(path).map_err(read)?.trim().to_owned();
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused("it does not hold a key on one line".to_owned()));
    }
    info!(path = %shown, "bridge API key read");
    Ok(key)
}

/// The file appears with its whole content; one that another process has made
/// meanwhile stays.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let key = hex::encode(rand::random::<[u8; 32]>());
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let written = file
        .write_all(format!("{key}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}
