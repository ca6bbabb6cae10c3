//! Every bad input gets one clear line and the documented exit code, in time.
//!
//! On stderr a line of the log starts with its time and its level; everything
//! else is the answer: one line `error: …`. Only what the command line's parser
//! refuses has its usage below that.

mod command_line;
mod configuration;
mod services;

use std::ffi::OsStr;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::support::program::Ended;
use crate::support::{Place, Process};

/// The documented bound, for a service that cannot be reached at start.
const IN_TIME: Duration = Duration::from_secs(60);

const WRONG_INPUT: i32 = 2;
const CANNOT_WORK: i32 = 3;

/// One bad input.
struct Case {
    what: &'static str,
    place: Place,
    command: Command,
    code: i32,
    /// What the line has to name.
    says: Vec<String>,
}

impl Case {
    fn new(what: &'static str, place: Place, arguments: &[&str]) -> Self {
        let command = place.command(arguments);
        Self {
            what,
            place,
            command,
            code: WRONG_INPUT,
            says: vec![],
        }
    }

    /// `run`, where it must not get to the end.
    fn run(what: &'static str, place: Place) -> Self {
        Self::new(what, place, &["run", "--until-eos"])
    }

    fn exits(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    fn says<S: Into<String>>(mut self, parts: impl IntoIterator<Item = S>) -> Self {
        self.says = parts.into_iter().map(Into::into).collect();
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    fn argument(mut self, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(value);
        self
    }

    /// What is wrong with the answer.
    fn try_out(self) -> Option<String> {
        let Self {
            what,
            place,
            command,
            code,
            says,
        } = self;
        let ended = Process::start(command).ended();
        let wrong = complaints(&ended, code, &says);
        drop(place);
        (!wrong.is_empty()).then(|| format!("{what}: {}\n{ended}\n", wrong.join("; ")))
    }
}

fn complaints(ended: &Ended, code: i32, says: &[String]) -> Vec<String> {
    let mut wrong = vec![];
    if ended.code != Some(code) {
        wrong.push(format!("the exit code is not {code}"));
    }
    if ended.took > IN_TIME {
        wrong.push(format!("it took {:.0?}", ended.took));
    }
    if ended.stderr.contains("panicked") || ended.stderr.contains("backtrace") {
        wrong.push("it panicked".to_owned());
    }
    if !ended.stdout.is_empty() {
        wrong.push("stdout is not empty".to_owned());
    }
    let answer: Vec<&str> = ended.stderr.lines().filter(|line| !is_log(line)).collect();
    let line = answer.first().copied().unwrap_or_default();
    if !line.starts_with("error: ") {
        wrong.push("the answer does not start with error:".to_owned());
    }
    if !answer.iter().skip(1).all(|line| is_usage(line)) {
        wrong.push("the answer is more than one line".to_owned());
    }
    let all = answer.join("\n");
    for part in says.iter().filter(|part| !all.contains(&***part)) {
        wrong.push(format!("the answer does not name {part:?}"));
    }
    wrong
}

/// `2026-01-31T12:00:00.000000Z  INFO …`. An ERROR is no log line here: what
/// ends the program is told once, by the answer.
fn is_log(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let time = words.next().unwrap_or_default();
    let level = words.next().unwrap_or_default();
    time.parse::<jiff::Timestamp>().is_ok() && ["DEBUG", "INFO", "WARN"].contains(&level)
}

/// What the parser of the command line adds to its error.
fn is_usage(line: &str) -> bool {
    line.is_empty()
        || ["Usage: ", "For more information, try ", "  "]
            .iter()
            .any(|start| line.starts_with(start))
}

/// Tries all of them at once: the slow ones only wait.
#[track_caller]
fn try_all(cases: Vec<Case>) {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .into_iter()
            .map(|case| scope.spawn(|| case.try_out()))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("it only tells"))
            .collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// An embedded place with one line of its configuration changed.
fn with(stanza: &'static str, key: &str, value: &str) -> Place {
    let mut place = Place::embedded();
    place.set(stanza, key, value);
    place
}

/// An embedded place that reads a Kafka at this address.
fn with_kafka(address: &str) -> Place {
    let mut place = Place::embedded();
    place.set("hop", "hop-type", "\"kafka\"");
    place.set("hop", "hop-hostname", &format!("{address:?}"));
    place
}

/// A port at which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}
