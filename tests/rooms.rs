//! The house: imports between rooms go one way.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top down. A room may use rooms of the lines below its own; rooms of
/// one line do not know each other.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["cli"],
    &[
        "archive", "bridge", "events", "http", "produce", "restore", "verify",
    ],
    &["catalogue", "entities", "kafka", "registry"],
    // The catalogue tells where in the store a record lies, and what its
    // document says.
    &["envelope", "store"],
    // What every room that keeps something in a database needs, and every one
    // that knows Avro.
    &["avro", "postgres_server", "sqlite_file"],
    &["config"],
    &["signing"],
    &[
        "database",
        "durable",
        "memory",
        "open_files",
        "record",
        "retry",
        "shutdown",
    ],
];

#[test]
fn imports_go_down_the_floors_and_never_sideways() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let room = room_of(&source, &file);
        let text = fs::read_to_string(&file).unwrap();
        for used in used_rooms(&text) {
            if used != room && floor(&used) <= floor(&room) {
                wrong.push(format!("{}: {room} uses {used}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// What stands after `crate::` or `archive_ingest::` anywhere in the code.
fn used_rooms(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices("crate::")
                .chain(line.match_indices("archive_ingest::"))
                .map(move |(at, found)| &line[at + found.len()..])
        })
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|name: &String| name.starts_with(char::is_lowercase))
        .collect()
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("{room} has no floor: add it to FLOORS"))
}

fn room_of(source: &Path, file: &Path) -> String {
    let first = file.strip_prefix(source).unwrap().iter().next().unwrap();
    let name = first.to_str().unwrap().trim_end_matches(".rs");
    // lib.rs declares the rooms and uses none.
    if name == "lib" { "main" } else { name }.to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files
}
