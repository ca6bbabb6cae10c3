//! Every command that docs/operating.md shows, typed as it stands there.

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
