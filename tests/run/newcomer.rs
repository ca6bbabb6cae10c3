//! What somebody sees who types `archive_ingest run` in an empty folder, with
//! nothing installed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Answer};
use crate::support::program::{self, Ended, Process};

const TYPES: [&str; 3] = [
    "north-district.Person",
    "north-district.Vaccination",
    "water-survey.WaterPoint",
];

/// An empty folder, and nothing in the environment but free ports.
fn start(folder: &tempfile::TempDir, arguments: &[&str]) -> Process {
    let mut command = program::command();
    command
        .current_dir(folder.path())
        .env("API_LISTEN", "127.0.0.1:0")
        .env("PRODUCER_LISTEN", "127.0.0.1:0")
        .env("PRODUCER_ADMIN_USER", "admin")
        .env("PRODUCER_ADMIN_PW", "admin")
        .args(arguments);
    Process::start(command)
}

fn address(process: &Process, what: &str) -> SocketAddr {
    let line = process.line_with(what);
    let (_, address) = line.split_once("http://").expect("a URL");
    address.trim().parse().expect("an address")
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn demo_entities_are_made_published_and_archived_all_the_time_and_the_control_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = start(&folder, &["run"]);
    let control = address(&process, "control on http://");
    let api = address(&process, "archive API on http://");
    // "admin:admin"
    let known = "Authorization: Basic YWRtaW46YWRtaW4=";
    let ask = |path: &str| -> Answer { http::ask(control, "GET", path, &[known], None) };
    let archived = |topic: &str| {
        let answer = http::get(api, &format!("/api/topic/{topic}"));
        let messages = (answer.status == 200).then(|| answer.json()["messages"].clone());
        messages
            .and_then(|list| list.as_array().map(Vec::len))
            .unwrap_or_default()
    };
    for topic in TYPES {
        eventually(topic, || archived(topic) > 0);
    }
    let all = || TYPES.iter().map(|topic| archived(topic)).sum::<usize>();
    let before = all();
    eventually("new ones come", || all() > before + 1);
    let status = ask("/status").with(200).json();
    let person: &Value = &status["topics"]["north-district"]["Person"];
    assert_eq!(person["operating_status"], "TopicStatus.NORMAL", "{status}");
    let order = "realm=water-survey&topic=WaterPoint";
    let said = ask(&format!("/pause?{order}")).with(200).text();
    assert_eq!(said, "Success for status TopicStatus.PAUSED on WaterPoint");
    ask(&format!("/resume?{order}")).with(200);
    let count = ask("/topics").with(200).json()["water-survey"]["WaterPoint"]["count"].clone();
    assert!(count.as_u64() >= Some(40), "{count}");
    eventually("it is ready", || {
        http::get(control, "/readyz").status == 200
    });
    process.signal("TERM");
    let ended = process.ended().clean();
    assert!(ended.stdout.contains("water-survey.WaterPoint"), "{ended}");
}

#[test]
fn until_eos_archives_the_known_records_and_the_first_entities_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = || {
        start(&folder, &["run", "--until-eos", "--json"])
            .ended()
            .clean()
            .summary()
    };
    let first = run();
    assert_eq!(first.archived, 35 + TYPES.len() as u64);
    for topic in TYPES {
        assert_eq!(first.topics[topic].archived, 1);
    }
    // The broker is a new one, the position is not.
    assert_eq!(run().archived, 0);
    let verified = start(&folder, &["verify", "--deep"]).ended();
    verified.clean();
}

#[test]
fn demo_entities_come_to_no_archive_that_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["run", "--until-eos", "--json", "-S", "file-store"];
    let summary = start(&folder, &arguments).ended().clean().summary();
    assert_eq!(summary.archived, 35);
    assert!(!folder.path().join("archive/kernel.sqlite").exists());
}

#[test]
fn what_contradicts_itself_is_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, line) in [
        (
            &["run", "--only", "archiver", "--without", "archiver"][..],
            "error: --only archiver and --without archiver contradict each other: leave one of them out",
        ),
        (
            &["run", "--without", "archiver,producer"],
            "error: no loop is left to run: leave out --without",
        ),
        (
            &["run", "--only", "producer", "--until-eos"],
            "error: --until-eos is about archiving, and the archiver does not run: leave it out; one pass over what is new is `archive_ingest produce`",
        ),
        (
            &["run", "--without", "archiver", "--max-messages", "3"],
            "error: --max-messages is about archiving, and the archiver does not run: leave it out; one pass over what is new is `archive_ingest produce`",
        ),
        (
            &["run", "--only", "producer", "-H", "hop-local"],
            "error: no kernel is chosen that entities come from: name its stanza with -K",
        ),
    ] {
        let ended: Ended = start(&folder, arguments).ended();
        assert_eq!(ended.code, Some(2), "{ended}");
        assert_eq!(ended.stderr.trim_end(), line);
    }
}
