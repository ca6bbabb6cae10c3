//! A file that appears whole and durable, or not at all.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::durable::{make_folder, sync_folder};
use crate::store::Put;

/// Folders remembered as durable. Beyond it the memory starts afresh, which
/// costs one fsync a folder.
const MOST_FOLDERS: usize = 100_000;

/// How old an unfinished file must be to be taken for a crashed process's.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// Puts files into a folder tree.
pub(super) struct Publisher {
    root: PathBuf,
    /// Unfinished files: beside the bucket, so that no listing shows them and
    /// no key can name them, and on the same file system, so that a rename
    /// publishes them.
    unfinished: PathBuf,
    /// Folders whose entry in their parent is known to be on disk.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Publisher {
    /// Makes `root` where missing, durably, and removes what crashed processes
    /// left in `unfinished`.
    pub(super) fn open(root: PathBuf, unfinished: PathBuf) -> io::Result<Self> {
        make_folder(&root)?;
        remove_abandoned(&unfinished);
        Ok(Self {
            root,
            unfinished,
            durable: Mutex::new(HashSet::new()),
        })
    }

    /// Stores `body` at `target`, a path below the root, unless a file is
    /// there. `Ok` means that file, name and folders survive a power cut.
    pub(super) fn put_new(&self, target: &Path, body: &[u8]) -> io::Result<Put> {
        if target.try_exists()? {
            return self.confirm(target);
        }
        let file = self.write(body)?;
        self.publish(file, target, true)
    }

    /// Writes an unfinished file and waits for the disk.
    fn write(&self, body: &[u8]) -> io::Result<NamedTempFile> {
        let mut file = match self.new_file() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.unfinished)?;
                self.new_file()?
            }
            other => other?,
        };
        file.write_all(body)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn new_file(&self) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("put-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The user's umask decides who reads the archive, as for any file.
            builder.permissions(Permissions::from_mode(0o666));
        }
        builder.tempfile_in(&self.unfinished)
    }

    /// Gives a written file its name. `again`: whether folders that somebody
    /// removed behind our back are made anew.
    fn publish(&self, file: NamedTempFile, target: &Path, again: bool) -> io::Result<Put> {
        let folder = parent(target);
        self.make_folder(folder)?;
        match file.persist_noclobber(target) {
            Ok(_) => {
                sync_folder(folder)?;
                Ok(Put::Stored)
            }
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => self.confirm(target),
            Err(e) if e.error.kind() == ErrorKind::NotFound && again => {
                self.durable().clear();
                self.publish(e.file, target, false)
            }
            Err(e) => Err(e.error),
        }
    }

    /// `Exists` promises durability too, and the process that stored the file
    /// may be just before its own fsync.
    fn confirm(&self, target: &Path) -> io::Result<Put> {
        if !fs::metadata(target)?.is_file() {
            return Err(ErrorKind::IsADirectory.into());
        }
        File::open(target)?.sync_all()?;
        self.make_folder(parent(target))?;
        sync_folder(parent(target))?;
        Ok(Put::Exists)
    }

    /// Makes a folder below the root and its parents, durably.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || self.durable().contains(folder) {
            return Ok(());
        }
        let above = parent(folder);
        self.make_folder(above)?;
        match fs::create_dir(folder) {
            // Not known yet whether who made it has synced it.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => other?,
        }
        sync_folder(above)?;
        let mut durable = self.durable();
        if durable.len() >= MOST_FOLDERS {
            durable.clear();
        }
        durable.insert(folder.to_owned());
        Ok(())
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        // A set of paths is whole whatever its last holder was doing.
        self.durable.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Removes unfinished files older than [`ABANDONED_AFTER`].
///
/// Safe: an object becomes visible only by renaming its unfinished file, so
/// such a file never is the only copy of anything that was acknowledged. Were
/// one removed from under a writer that takes longer than that, its rename
/// would fail, and it would report an error and write anew. What cannot be
/// removed (a read-only disk) does no harm either.
fn remove_abandoned(unfinished: &Path) {
    let Ok(entries) = fs::read_dir(unfinished) else {
        return;
    };
    for entry in entries.flatten() {
        let old = entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age > ABANDONED_AFTER)
        });
        if old && fs::remove_file(entry.path()).is_ok() {
            tracing::info!(file = %entry.path().display(), "removed an unfinished object of a crashed process");
        }
    }
}
