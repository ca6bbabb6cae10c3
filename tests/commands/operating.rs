//! Every command that docs/operating.md shows, typed as it stands there.

use std::path::{Path, PathBuf};

use crate::support::broker::plain_records;
use crate::support::shell_blocks::commands;
use crate::support::{Broker, Place, Process};

const MANUAL: &str = include_str!("../../docs/operating.md");

#[test]
fn every_command_of_the_operating_manual_works_on_a_real_deployment() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    // The shipped stanzas, at the test's services.
    place.export_stanzas();
    place.variable("STORE_BACKUP_BUCKET", "");
    let topic = broker.create("operating", 2);
    broker.send(&plain_records(&topic, 2, 20));
    place.run_to_end();
    let commands = commands(MANUAL);
    assert!(commands.len() >= 12, "only {} commands", commands.len());
    for command in commands {
        assert!(command.starts_with("archive_ingest "), "{command}");
        Process::start(place.shell(command)).ended().clean();
    }
}

/// Kinds of defects that `verify` may tell, as its own source names them.
fn kinds() -> Vec<&'static str> {
    let source = include_str!("../../src/verify/defect.rs");
    let names = source.lines().filter_map(|line| {
        let line = line.trim();
        let rest = line.strip_prefix("Self::")?.strip_suffix("\",")?;
        Some(rest.rsplit_once("=> \"")?.1)
    });
    names.collect()
}

#[test]
fn every_kind_of_defect_is_in_the_operating_manual() {
    let kinds = kinds();
    assert!(kinds.len() >= 17, "{kinds:?}");
    let missing: Vec<_> = kinds
        .into_iter()
        .filter(|kind| !MANUAL.contains(&format!("`{kind}`")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// Rooms whose log lines somebody who runs an archive, a producer or a bridge sees.
const ROOMS: [&str; 11] = [
    "archive",
    "bridge",
    "catalogue",
    "commands",
    "entities",
    "http",
    "kafka",
    "produce",
    "restore",
    "store",
    "verify",
];

/// The longest fixed part of what each `warn!` and `error!` of a file says;
/// those that only hand on an error have none.
fn complaints(source: &str) -> Vec<String> {
    let calls = source
        .match_indices("warn!(")
        .chain(source.match_indices("error!("));
    let said = calls.filter_map(|(at, _)| {
        let call = source[at..].split(");\n").next()?;
        let call = call.split("),\n").next()?;
        let texts = call.split('"').skip(1).step_by(2);
        let fixed = texts.flat_map(|text| text.split(['{', '}']).step_by(2));
        let longest = fixed.max_by_key(|part| part.len())?;
        Some(
            longest
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace("\\ ", ""),
        )
    });
    said.filter(|said| said.len() > 8).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of ours");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .collect()
}

#[test]
fn every_warning_and_every_error_of_the_log_is_in_the_operating_manual() {
    let manual = MANUAL.split_whitespace().collect::<Vec<_>>().join(" ");
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ROOMS.iter().flat_map(|room| rust_files(&rooms.join(room)));
    let said: Vec<String> = files
        .flat_map(|file| complaints(&std::fs::read_to_string(file).expect("a file of ours")))
        .collect();
    assert!(said.len() >= 30, "{said:?}");
    let missing: Vec<_> = said
        .iter()
        .map(|said| said.trim_matches([' ', ':', '(', ')', ';', ',']))
        .filter(|said| !manual.contains(said))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
