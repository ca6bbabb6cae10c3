//! Folders that are still there after a power cut.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a folder and its missing parents, and waits until the name of each is
/// on the disk. Blocks.
///
/// Names of folders that were there are waited for too, as far as this user may
/// read the folders above: whoever made one may have died before it was synced.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let folder = std::path::absolute(folder)?;
    let Some(above) = folder.parent() else {
        return Ok(());
    };
    make_folder(above)?;
    match fs::create_dir(&folder) {
        Ok(()) => sync_folder(above),
        Err(_) if folder.is_dir() => {
            let _ = sync_folder(above);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Waits until the names in a folder are on the disk. Blocks.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
