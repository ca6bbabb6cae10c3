//! The files of a folder tree, in the order of their keys' bytes.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::store::ObjectInfo;

/// A walk that stands somewhere in the tree. It holds the names of the folders
/// it is in, and nothing of the rest.
pub(super) struct Walk {
    prefix: String,
    /// Where the walk began: only keys behind it are shown.
    after: String,
    /// From the root to the folder that is being read.
    levels: Vec<Level>,
    /// Read ahead, to know whether there is more.
    ahead: Option<ObjectInfo>,
}

struct Level {
    folder: PathBuf,
    /// What the keys in the folder start with: empty, or ending in `/`.
    key: String,
    names: std::vec::IntoIter<Name>,
}

/// An entry of a folder.
struct Name {
    /// As it stands in a key; a folder's ends in `/`. Sorting by this text
    /// gives the order of whole keys: `a-b` is before `a/x`, as '-' < '/'.
    text: String,
    /// As the file system has it, which need not be UTF-8.
    name: OsString,
}

impl Walk {
    /// Begins behind the key `after` (empty: at the start), with the keys that
    /// start with `prefix`. Fails where `root` cannot be read.
    pub(super) fn begin(root: &Path, prefix: &str, after: &str) -> io::Result<Self> {
        let mut walk = Self {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            levels: Vec::new(),
            ahead: None,
        };
        let level = walk.read(root.to_owned(), String::new())?;
        walk.levels.push(level);
        Ok(walk)
    }

    /// The next object; `None` behind the last one. What vanishes under the
    /// walk is left out.
    pub(super) fn next(&mut self) -> io::Result<Option<ObjectInfo>> {
        if let Some(object) = self.ahead.take() {
            return Ok(Some(object));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.folder.join(&name.name);
            let key = format!("{}{}", level.key, name.text);
            if key.ends_with('/') {
                if let Some(level) = unless_gone(self.read(path, key))? {
                    self.levels.push(level);
                }
            } else if let Some(metadata) = unless_gone(fs::metadata(&path))?
                && metadata.is_file()
            {
                return object(key, &metadata).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether [`Walk::next`] will give another object.
    pub(super) fn has_more(&mut self) -> io::Result<bool> {
        self.ahead = self.next()?;
        Ok(self.ahead.is_some())
    }

    fn read(&self, folder: PathBuf, key: String) -> io::Result<Level> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder)? {
            if let Some(name) = unless_gone(name(&entry?))?
                && self.wants(&key, &name.text)
            {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| a.text.as_bytes().cmp(b.text.as_bytes()));
        Ok(Level {
            folder,
            key,
            names: names.into_iter(),
        })
    }

    /// Whether the walk goes to this entry of the folder of `key`.
    fn wants(&self, key: &str, text: &str) -> bool {
        let path = format!("{key}{text}");
        if !text.ends_with('/') {
            return path.starts_with(&self.prefix) && path > self.after;
        }
        // A folder may hold wanted keys although its own name is before them.
        (path.starts_with(&self.prefix) || self.prefix.starts_with(&path))
            && (path.cmp(&self.after) == Ordering::Greater || self.after.starts_with(&path))
    }
}

fn name(entry: &DirEntry) -> io::Result<Name> {
    let mut kind = entry.file_type()?;
    if kind.is_symlink() {
        // A part of the archive may lie on another disk.
        kind = fs::metadata(entry.path())?.file_type();
    }
    let name = entry.file_name();
    let mut text = name.to_string_lossy().into_owned();
    if kind.is_dir() {
        text.push('/');
    }
    Ok(Name { text, name })
}

/// `None` for what was there a moment ago and is no longer.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a listing tells of a file.
pub(super) fn object(key: String, metadata: &Metadata) -> io::Result<ObjectInfo> {
    let modified = match metadata.modified()?.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Ok(ObjectInfo {
        key,
        size: metadata.len(),
        modified,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Keys over the bytes around '/': '+', '-', '.' before it, digits and
    /// letters after.
    fn keys() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("[ab0+-]{1,2}(\\.[ab])?(/[ab0+-]{1,2}){0,3}", 0..24)
    }

    fn tree(keys: &BTreeSet<String>) -> (tempfile::TempDir, BTreeSet<String>) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut made = BTreeSet::new();
        for key in keys {
            let path = root.path().join(key);
            // A key that another one needs as a folder cannot be a file.
            if fs::create_dir_all(parent(&path)).is_ok() && fs::write(&path, key).is_ok() {
                made.insert(key.clone());
            }
        }
        (root, made)
    }

    fn parent(path: &Path) -> &Path {
        path.parent().expect("below the root")
    }

    fn walk(root: &Path, prefix: &str, after: &str) -> Vec<String> {
        let mut walk = Walk::begin(root, prefix, after).expect("a readable root");
        let mut keys = Vec::new();
        while walk.has_more().expect("a readable tree") {
            keys.push(walk.next().expect("a readable tree").expect("one more").key);
        }
        keys
    }

    proptest! {
        #[test]
        fn a_walk_shows_exactly_the_keys_of_its_prefix_behind_its_start_in_byte_order(
            keys in keys(),
            prefix in "([ab0+-]{0,2}/?){0,2}",
            after in prop_oneof![Just(String::new()), "[ab0+-]{1,2}(/[ab0+-]{1,2}){0,3}"],
        ) {
            let (root, made) = tree(&keys);
            let wanted: Vec<String> = made
                .into_iter()
                .filter(|key| key.starts_with(&prefix) && *key > after)
                .collect();
            prop_assert_eq!(walk(root.path(), &prefix, &after), wanted);
        }
    }

    #[test]
    fn a_prefix_that_climbs_out_of_the_root_finds_nothing() {
        let (root, _) = tree(&BTreeSet::from(["a".to_owned()]));
        assert!(walk(root.path(), "../", "").is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_and_not_empty() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(Walk::begin(&root.path().join("missing"), "", "").is_err());
    }
}
