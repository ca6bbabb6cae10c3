//! Every command that the README shows, typed as it stands there.

use crate::support::broker::plain_records;
use crate::support::shell_blocks::commands;
use crate::support::{Broker, Place, Process};

const README: &str = include_str!("../../README.md");

/// Whether a command names places of a real deployment.
fn is_for_real(command: &str) -> bool {
    [" -H ", " -D ", " -S "].iter().any(|o| command.contains(o))
}

/// The archive's own commands, by the name of the built executable.
fn own(command: &str) -> Option<String> {
    let command = command.replace("cargo run --release -- ", "archive_ingest ");
    command.starts_with("archive_ingest ").then_some(command)
}

const CURL: &str = "curl -s http://127.0.0.1:8000";

/// Runs a command of curl against the address at which `serving` listens.
fn ask(place: &Place, serving: &Process, command: &str) {
    let told = serving.line_with("archive API on http://");
    let (_, address) = told.split_once("http://").expect("a URL");
    let command = command.replace(CURL, &format!("curl -s --fail http://{}", address.trim()));
    let answer = Process::start(place.shell(&command)).ended().clean();
    assert!(!answer.stdout.is_empty(), "{command}");
}

#[test]
fn the_readme_shows_nothing_that_these_tests_do_not_run() {
    let unknown: Vec<&str> = commands(README)
        .into_iter()
        .filter(|line| {
            let is_known = *line == "scripts/test" || line.starts_with("export ");
            own(line).is_none() && !is_known && !line.starts_with(CURL)
        })
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_readmes_first_commands_work_in_an_empty_folder_with_nothing_installed() {
    let mut place = Place::embedded();
    // The default ports may be taken on this machine.
    place.variable("API_LISTEN", "127.0.0.1:0");
    place.variable("PRODUCER_LISTEN", "off");
    let mut serving = None;
    let mut ran = 0;
    for command in commands(README).iter().filter(|line| !is_for_real(line)) {
        if let Some(command) = own(command) {
            let process = Process::start(place.shell(&command));
            match command.as_str() {
                "archive_ingest serve" => serving = Some(process),
                _ => drop(process.ended().clean()),
            }
            ran += 1;
        } else if command.starts_with(CURL) {
            let serving = serving.as_ref().expect("`serve` stands above");
            ask(&place, serving, command);
            ran += 1;
        }
    }
    let serving = serving.expect("the README shows `serve`");
    serving.signal("TERM");
    serving.ended().clean();
    assert!(ran >= 9, "only {ran} commands");
    assert!(place.path("archive/catalogue.sqlite").exists());
}

#[test]
fn the_readmes_commands_for_a_real_deployment_work_on_one() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    // The shipped stanzas, at the test's services.
    place.export_stanzas();
    place.variable("STORE_BACKUP_BUCKET", "");
    let topic = broker.create("readme", 2);
    // A sample of 1 % has some of so many.
    broker.send(&plain_records(&topic, 2, 1_500));
    let mut ran = 0;
    for command in commands(README).iter().filter(|line| is_for_real(line)) {
        let command = own(command).expect("an own command");
        let process = Process::start(place.shell(&command));
        if command.starts_with("archive_ingest run ") {
            place.wait_for_rows(1_500);
            process.signal("TERM");
        }
        process.ended().clean();
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands");
}
