//! `completions`, `man` and the help texts.

use std::fs;

use crate::archive::Archive;

const COMMANDS: &[&str] = &[
    "run",
    "topics",
    "list-archive",
    "fetch-uuid",
    "verify",
    "config-check",
];

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let archive = Archive::none();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = archive.run(&["completions", shell]).clean().text();
        for command in ["list-archive", "fetch-uuid", "verify"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let archive = Archive::none();
    let page = archive.run(&["man"]).clean().text();
    assert!(page.contains(".TH archive_ingest 1"));
    archive.run(&["man", "--output", "made/man1"]).clean();
    for command in COMMANDS {
        let page = archive.path(format!("made/man1/archive_ingest-{command}.1"));
        assert!(
            fs::read_to_string(page).unwrap().contains("Example"),
            "{command}"
        );
    }
}

#[test]
fn every_command_has_a_help_with_an_example() {
    let archive = Archive::none();
    for command in [
        &["run"][..],
        &["topics"],
        &["list-archive"],
        &["fetch-uuid"],
        &["verify"],
        &["config", "check"],
        &["config", "show"],
        &["completions"],
        &["man"],
    ] {
        let help = [command, &["--help"]].concat();
        let help = archive.run(&help).clean().text();
        assert!(
            help.contains("Example") && help.contains("archive_ingest "),
            "{help}"
        );
    }
}
