//! Every command that docs/operating.md shows, typed as it stands there.

use crate::support::broker::plain_records;
use crate::support::{Broker, Place, Process};

/// The lines of the shell blocks.
fn commands() -> Vec<&'static str> {
    let mut in_block = false;
    let mut lines = vec![];
    for line in include_str!("../../docs/operating.md").lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block => lines.push(line),
            _ => {}
        }
    }
    lines
}

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
    let commands = commands();
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
    let manual = include_str!("../../docs/operating.md");
    let kinds = kinds();
    assert!(kinds.len() >= 17, "{kinds:?}");
    let missing: Vec<_> = kinds
        .into_iter()
        .filter(|kind| !manual.contains(&format!("`{kind}`")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
