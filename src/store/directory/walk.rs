//! The files of a folder tree, in the order of their keys' bytes.

use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tracing::warn;

use crate::store::ObjectInfo;

/// Names of one folder that are in memory at the same time. A folder with more
/// is read again for the next ones, so that memory is bounded and the order is
/// that of the keys without a temporary file.
const MAX_NAMES: usize = 65_536;

/// A position in the tree. It holds up to [`MAX_NAMES`] names of each folder
/// that it is in, and nothing of the rest.
pub(super) struct Walk {
    prefix: String,
    /// Only keys after this one are shown.
    after: String,
    /// Whether a folder below the prefix is shown and not entered.
    is_flat: bool,
    /// At most this many names of a folder are in memory.
    max_names: usize,
    /// From the first folder to the one that is being read.
    levels: Vec<Level>,
    /// Read ahead, to know whether there is more.
    ahead: Option<Entry>,
}

/// What a walk shows.
pub(super) enum Entry {
    Object(ObjectInfo),
    /// The start of the keys in this folder; ends in `/`.
    Folder(String),
}

impl Entry {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Folder(key) => key,
        }
    }
}

struct Level {
    folder: PathBuf,
    /// What the keys in the folder start with: empty, or ending in `/`.
    key: String,
    /// The next names, the last one first.
    names: Vec<Name>,
    /// The last of these names, if the folder has names after it.
    read_to: Option<String>,
}

/// An entry of a folder, ordered by its text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// As it stands in a key; a folder's ends in `/`. Sorting by this text
    /// gives the order of whole keys: `a-b` is before `a/x`, as '-' < '/'.
    text: Box<str>,
    /// As the file system has it, where that is not UTF-8.
    raw: Option<OsString>,
}

impl Walk {
    /// Begins behind the key `after` (empty: at the start), with the keys that
    /// start with `prefix`. Fails where `root` cannot be read.
    pub(super) fn begin(root: &Path, prefix: &str, after: &str, is_flat: bool) -> io::Result<Self> {
        let mut walk = Self {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            is_flat,
            max_names: MAX_NAMES,
            levels: Vec::new(),
            ahead: None,
        };
        let level = match own_folder(prefix) {
            None => Some(walk.read(root.to_owned(), String::new(), None)?),
            Some(folder) => {
                // A missing folder has no objects; a missing root is an error.
                fs::read_dir(root)?;
                unless_gone(walk.read(root.join(folder), folder.to_owned(), None))?
            }
        };
        walk.levels.extend(level);
        Ok(walk)
    }

    /// The next object or folder; `None` behind the last one. What vanishes
    /// under the walk is left out. A file of which the file system tells nothing is
    /// shown with size 0: whoever reads it gets the error. Fails where a folder
    /// cannot be read, because it is not known what is in it.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        if let Some(entry) = self.ahead.take() {
            return Ok(Some(entry));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.pop() else {
                if let Some(done) = self.levels.pop()
                    && let Some(last) = done.read_to
                {
                    let level = self.read(done.folder, done.key, Some(&last));
                    self.levels.extend(unless_gone(level)?);
                }
                continue;
            };
            let path = match &name.raw {
                Some(raw) => level.folder.join(raw),
                None => level.folder.join(&*name.text),
            };
            let key = format!("{}{}", level.key, name.text);
            if self.is_shown_folder(&key) {
                return Ok(Some(Entry::Folder(key)));
            }
            if key.ends_with('/') {
                let level = unless_gone(self.read(path.clone(), key, None));
                let in_folder = |error: io::Error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                };
                self.levels.extend(level.map_err(in_folder)?);
                continue;
            }
            match fs::metadata(&path).and_then(|metadata| {
                let object = metadata.is_file().then(|| object(key.clone(), &metadata));
                object.transpose()
            }) {
                Ok(Some(object)) => return Ok(Some(Entry::Object(object))),
                Ok(None) => {}
                // Gone meanwhile, unless a link is there whose file is missing.
                Err(error) if is_gone(&error) && fs::symlink_metadata(&path).is_err() => {}
                Err(error) => {
                    let cause = error.to_string();
                    warn!(file = %path.display(), cause, "file unreadable, listed with size 0");
                    return Ok(Some(Entry::Object(ObjectInfo {
                        key,
                        size: 0,
                        modified: 0,
                    })));
                }
            }
        }
        Ok(None)
    }

    /// Whether [`Walk::next`] will give another entry.
    pub(super) fn has_more(&mut self) -> io::Result<bool> {
        self.ahead = self.next()?;
        Ok(self.ahead.is_some())
    }

    /// The first names of a folder that the walk wants; after the name `last`
    /// where one is given. One pass over the folder keeps the smallest ones.
    fn read(&self, folder: PathBuf, key: String, last: Option<&str>) -> io::Result<Level> {
        let mut names = BinaryHeap::new();
        let mut has_more = false;
        for entry in fs::read_dir(&folder)? {
            let Some(name) = unless_gone(name(&entry?))? else {
                continue;
            };
            if last.is_some_and(|last| *name.text <= *last) {
                continue;
            }
            // Most names of a large folder are after those that are kept.
            if names.len() == self.max_names && names.peek() < Some(&name) {
                has_more = true;
                continue;
            }
            if !self.wants(&key, &name.text) {
                continue;
            }
            names.push(name);
            if names.len() > self.max_names {
                names.pop();
                has_more = true;
            }
        }
        let mut names = names.into_sorted_vec();
        let read_to = names.last().filter(|_| has_more);
        let read_to = read_to.map(|name| name.text.to_string());
        names.reverse();
        Ok(Level {
            folder,
            key,
            names,
            read_to,
        })
    }

    /// Whether the walk goes to this entry of the folder of `key`.
    fn wants(&self, key: &str, text: &str) -> bool {
        let path = format!("{key}{text}");
        if !text.ends_with('/') || self.is_shown_folder(&path) {
            return path.starts_with(&self.prefix) && path > self.after;
        }
        // A folder may hold wanted keys although its own name is before them.
        (path.starts_with(&self.prefix) || self.prefix.starts_with(&path))
            && (path > self.after || self.after.starts_with(&path))
    }

    fn is_shown_folder(&self, path: &str) -> bool {
        self.is_flat
            && path.ends_with('/')
            && path.len() > self.prefix.len()
            && path.starts_with(&self.prefix)
    }
}

/// The folder that holds all keys of a prefix, so that the folders above it need
/// not be read. `None` where its name on the disk may be another one.
fn own_folder(prefix: &str) -> Option<&str> {
    let folder = &prefix[..=prefix.rfind('/')?];
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(['\0', char::REPLACEMENT_CHARACTER])
    };
    folder.split_terminator('/').all(is_plain).then_some(folder)
}

fn name(entry: &DirEntry) -> io::Result<Name> {
    let mut kind = entry.file_type()?;
    if kind.is_symlink() {
        // A part of the archive may lie on another disk. A broken link is shown as
        // a file.
        if let Ok(metadata) = fs::metadata(entry.path()) {
            kind = metadata.file_type();
        }
    }
    let (mut text, raw) = match entry.file_name().into_string() {
        Ok(text) => (text, None),
        Err(raw) => (raw.to_string_lossy().into_owned(), Some(raw)),
    };
    if kind.is_dir() {
        text.push('/');
    }
    Ok(Name {
        text: text.into(),
        raw,
    })
}

/// `None` for what was there a moment ago and is no longer.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
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

    /// Everything that a walk shows that holds `max_names` names of a folder.
    fn walk(
        root: &Path,
        (prefix, after, is_flat): (&str, &str, bool),
        max_names: usize,
    ) -> Vec<String> {
        let mut walk = Walk::begin(root, prefix, after, is_flat).expect("a readable root");
        // The first folder was read with another bound.
        walk.max_names = max_names;
        walk.levels = match walk.levels.pop() {
            Some(first) => vec![
                walk.read(first.folder, first.key, None)
                    .expect("a readable folder"),
            ],
            None => vec![],
        };
        let mut keys = Vec::new();
        while walk.has_more().expect("a readable tree") {
            let entry = walk.next().expect("a readable tree").expect("one more");
            keys.push(entry.key().to_owned());
        }
        keys
    }

    proptest! {
        #[test]
        fn a_walk_shows_exactly_the_keys_of_its_prefix_behind_its_start_in_byte_order(
            keys in keys(),
            prefix in "([ab0+-]{0,2}/?){0,2}",
            after in prop_oneof![Just(String::new()), "[ab0+-]{1,2}(/[ab0+-]{1,2}){0,3}"],
            max_names in 1..6_usize,
        ) {
            let (root, made) = tree(&keys);
            let wanted: Vec<String> = made
                .into_iter()
                .filter(|key| key.starts_with(&prefix) && *key > after)
                .collect();
            prop_assert_eq!(walk(root.path(), (&prefix, &after, false), max_names), wanted);
        }

        #[test]
        fn flat_walk_shows_the_objects_and_folders_of_one_folder(
            keys in keys(),
            prefix in "([ab0+-]{1,2}/){0,2}",
            after in prop_oneof![Just(String::new()), "[ab0+-]{1,2}(/[ab0+-]{1,2}){0,3}/?"],
            max_names in 1..6_usize,
        ) {
            let (root, made) = tree(&keys);
            let wanted: BTreeSet<String> = made
                .iter()
                .filter_map(|key| Some((key, key.strip_prefix(&prefix)?)))
                .map(|(key, rest)| match rest.find('/') {
                    Some(end) => key[..=prefix.len() + end].to_owned(),
                    None => key.clone(),
                })
                .filter(|key| *key > after)
                .collect();
            let shown = walk(root.path(), (&prefix, &after, true), max_names);
            prop_assert_eq!(shown, Vec::from_iter(wanted));
        }
    }

    /// A loop of links and a link to nothing stand for a file whose stat fails,
    /// which no permission does for root.
    #[cfg(unix)]
    #[test]
    fn file_that_cannot_be_read_is_listed_and_the_rest_too() {
        use std::os::unix::fs::symlink;
        let keys = ["a", "b/c", "d"].map(str::to_owned);
        let (root, _) = tree(&BTreeSet::from(keys));
        symlink("loop", root.path().join("b/loop")).expect("a link");
        symlink("nothing", root.path().join("b/broken")).expect("a link");
        let shown = walk(root.path(), ("", "", false), 2);
        assert_eq!(shown, ["a", "b/broken", "b/c", "b/loop", "d"]);
    }

    #[test]
    fn a_prefix_that_climbs_out_of_the_root_finds_nothing() {
        let (root, _) = tree(&BTreeSet::from(["a/b".to_owned()]));
        let inside = root.path().join("a");
        for prefix in ["../", "../a/", "/", "./", "b/../", "a//"] {
            let shown = walk(&inside, (prefix, "", false), 1);
            assert_eq!(shown, Vec::<String>::new(), "{prefix}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf_8_are_listed_in_their_folder() {
        use std::os::unix::ffi::OsStrExt;

        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(std::ffi::OsStr::from_bytes(b"a\xff"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"b\xfe")), "").expect("a file");
        let shown = walk(root.path(), ("a\u{fffd}/", "", false), 1);
        assert_eq!(shown, ["a\u{fffd}/b\u{fffd}"]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error_and_not_empty() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let missing = root.path().join("missing");
        for prefix in ["", "a/"] {
            assert!(Walk::begin(&missing, prefix, "", false).is_err());
        }
    }
}
