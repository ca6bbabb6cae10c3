//! A disk that forgets what nobody asked it to keep.
//!
//! POSIX promises no more than this: what a file held when `fsync` was called
//! is kept once it has returned, and a name is kept once its folder was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;

use super::trace::{Call, Spoken, Step};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A file or a folder, by its place in [`Disk::nodes`].
type Number = usize;

type Names = BTreeMap<String, Number>;

#[derive(Clone)]
enum Node {
    File {
        bytes: Vec<u8>,
        kept: Vec<u8>,
        /// Places of what was written since it was last kept.
        written: Vec<(usize, usize)>,
    },
    Folder {
        names: Names,
        kept: Names,
    },
}

/// What is left after a power cut, of what was not synced.
pub enum Loss {
    /// Nothing: neither bytes nor names.
    Everything,
    /// Names, of files whose bytes are lost.
    Bytes,
    /// Any of the bytes and of the names, sector by sector.
    Part(Box<StdRng>),
}

/// The part of a file system below a folder, which is empty at first.
pub struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// The file of each descriptor below the root, and where it stands.
    open: BTreeMap<i64, (Number, usize)>,
    /// What files and folders held when the sync that is under way began.
    syncing: BTreeMap<i64, (Number, Node)>,
}

impl Disk {
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            nodes: vec![Node::Folder {
                names: Names::new(),
                kept: Names::new(),
            }],
            open: BTreeMap::new(),
            syncing: BTreeMap::new(),
        }
    }

    pub fn take(&mut self, step: &Step) {
        match &step.call {
            Call::Begins(call) => self.begins(call),
            Call::Ends(call, Some(result)) => self.ends(call, *result),
            Call::Ends(_, None) => {}
        }
    }

    /// A descriptor that is being closed may be given to the next file before
    /// that is told; a sync keeps what was there when it began.
    fn begins(&mut self, call: &Spoken) {
        match call.name.as_str() {
            "close" => {
                self.open.remove(&call.descriptor(0));
            }
            "fsync" | "fdatasync" => {
                let descriptor = call.descriptor(0);
                if let Some(&(number, _)) = self.open.get(&descriptor) {
                    let node = self.nodes[number].clone();
                    self.syncing.insert(descriptor, (number, node));
                }
            }
            _ => {}
        }
    }

    fn ends(&mut self, call: &Spoken, result: i64) {
        match call.name.as_str() {
            "close" => {}
            "fsync" | "fdatasync" => self.synced(call.descriptor(0)),
            "open" => self.opened(call, 0, result),
            "openat" => self.opened(call, 1, result),
            "write" => self.wrote(call, None, result),
            "pwrite64" => self.wrote(call, Some(call.number(3)), result),
            "lseek" => {
                if let Some((_, at)) = self.open.get_mut(&call.descriptor(0)) {
                    *at = result as usize;
                }
            }
            "ftruncate" => self.resized(call.descriptor(0), call.number(1)),
            "mkdir" => self.made_folder(&call.text(0)),
            "unlink" | "rmdir" => self.removed(&call.text(0)),
            "unlinkat" => self.removed(&call.text(1)),
            "rename" => self.moved(&call.text(0), &call.text(1)),
            "renameat" | "renameat2" => self.moved(&call.text(1), &call.text(3)),
            other => assert!(
                !call.is_below(&self.root),
                "{other} is not known here: {:?}",
                call.text(0)
            ),
        }
    }

    fn synced(&mut self, descriptor: i64) {
        let Some((number, then)) = self.syncing.remove(&descriptor) else {
            return;
        };
        match (&mut self.nodes[number], then) {
            (
                Node::File { kept, written, .. },
                Node::File {
                    bytes,
                    written: before,
                    ..
                },
            ) => {
                *kept = bytes;
                written.drain(..before.len());
            }
            (Node::Folder { kept, .. }, Node::Folder { names, .. }) => *kept = names,
            _ => unreachable!("a file stays one"),
        }
    }

    fn opened(&mut self, call: &Spoken, path: usize, descriptor: i64) {
        let flags = call.text(path + 1);
        let path = call.text(path);
        let known = self.find(&path);
        let number = match known {
            Some(number) => number,
            None if flags.contains("O_CREAT") => {
                let Some(number) = self.add(
                    &path,
                    Node::File {
                        bytes: vec![],
                        kept: vec![],
                        written: vec![],
                    },
                ) else {
                    return;
                };
                number
            }
            None => return,
        };
        assert!(!flags.contains("O_APPEND") && !flags.contains("O_TRUNC"));
        self.open.insert(descriptor, (number, 0));
    }

    fn wrote(&mut self, call: &Spoken, at: Option<usize>, result: i64) {
        let Some((number, stands)) = self.open.get_mut(&call.descriptor(0)) else {
            return;
        };
        let new = &call.arguments[1][..result as usize];
        let from = at.unwrap_or(*stands);
        let to = from + new.len();
        if at.is_none() {
            *stands = to;
        }
        let Node::File { bytes, written, .. } = &mut self.nodes[*number] else {
            unreachable!("folders are not written to");
        };
        bytes.resize(bytes.len().max(to), 0);
        bytes[from..to].copy_from_slice(new);
        written.push((from, to));
    }

    fn resized(&mut self, descriptor: i64, size: usize) {
        if let Some((number, _)) = self.open.get(&descriptor)
            && let Node::File { bytes, written, .. } = &mut self.nodes[*number]
        {
            let (least, most) = (size.min(bytes.len()), size.max(bytes.len()));
            bytes.resize(size, 0);
            written.push((least, most));
        }
    }

    fn made_folder(&mut self, path: &str) {
        let (names, kept) = (Names::new(), Names::new());
        self.add(path, Node::Folder { names, kept });
    }

    fn removed(&mut self, path: &str) {
        if let Some((names, name)) = self.names_of(path) {
            names.remove(&name);
        }
    }

    fn moved(&mut self, from: &str, to: &str) {
        let (Some(number), Some(_)) = (self.find(from), self.relative(to)) else {
            return;
        };
        self.removed(from);
        if let Some((names, name)) = self.names_of(to) {
            names.insert(name, number);
        }
    }

    fn add(&mut self, path: &str, node: Node) -> Option<Number> {
        self.relative(path)?;
        let number = self.nodes.len();
        self.nodes.push(node);
        let (names, name) = self.names_of(path).expect("its folder is there");
        names.insert(name, number);
        Some(number)
    }

    /// The names on the way from the root; `None` for what lies elsewhere. The
    /// process works in the root.
    fn relative(&self, path: &str) -> Option<Vec<String>> {
        let path = self.root.join(path);
        let below = path.strip_prefix(&self.root).ok()?;
        let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
        Some(below.iter().map(text).collect())
    }

    fn find(&self, path: &str) -> Option<Number> {
        let mut number = 0;
        for name in self.relative(path)? {
            match &self.nodes[number] {
                Node::Folder { names, .. } => number = *names.get(&name)?,
                Node::File { .. } => return None,
            }
        }
        Some(number)
    }

    fn names_of(&mut self, path: &str) -> Option<(&mut Names, String)> {
        let (name, folder) = {
            let mut names = self.relative(path)?;
            (names.pop()?, names.join("/"))
        };
        let number = self.find(&folder)?;
        match &mut self.nodes[number] {
            Node::Folder { names, .. } => Some((names, name)),
            Node::File { .. } => None,
        }
    }

    /// Makes below `folder` what a power cut leaves at this moment.
    pub fn after_power_cut(&self, loss: &mut Loss, folder: &Path) {
        self.write(0, loss, folder);
    }

    fn write(&self, number: Number, loss: &mut Loss, path: &Path) {
        match &self.nodes[number] {
            Node::File {
                bytes,
                kept,
                written,
            } => {
                let left = match loss {
                    Loss::Everything | Loss::Bytes => kept.clone(),
                    Loss::Part(chance) => part_of(bytes, kept, written, chance),
                };
                std::fs::write(path, left).expect("a folder of ours");
            }
            Node::Folder { names, kept } => {
                std::fs::create_dir_all(path).expect("a folder of ours");
                let left = match loss {
                    Loss::Everything => kept.clone(),
                    Loss::Bytes => names.clone(),
                    Loss::Part(chance) => part_of_names(names, kept, chance),
                };
                for (name, number) in left {
                    self.write(number, loss, &path.join(name));
                }
            }
        }
    }
}

/// Of each sector that was written since, the old or the new content; of a
/// changed size, the old or the new one.
fn part_of(bytes: &[u8], kept: &[u8], written: &[(usize, usize)], chance: &mut StdRng) -> Vec<u8> {
    let mut left = kept.to_vec();
    if bytes.len() != kept.len() && chance.random() {
        left.resize(bytes.len(), 0);
    }
    let sectors: BTreeSet<usize> = written
        .iter()
        .flat_map(|&(from, to)| from / SECTOR..to.div_ceil(SECTOR))
        .collect();
    for sector in sectors {
        let from = sector * SECTOR;
        let to = (from + SECTOR).min(bytes.len()).min(left.len());
        if from < to && chance.random() {
            left[from..to].copy_from_slice(&bytes[from..to]);
        }
    }
    left
}

fn part_of_names(names: &Names, kept: &Names, chance: &mut StdRng) -> Names {
    let both: BTreeSet<&String> = names.keys().chain(kept.keys()).collect();
    let mut left = Names::new();
    for name in both {
        let of = if chance.random() { names } else { kept };
        if let Some(number) = of.get(name) {
            left.insert(name.clone(), *number);
        }
    }
    left
}
