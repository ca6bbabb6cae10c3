//! Every bad input gets one clear line and the documented exit code, in time.
//!
//! On stderr a line of the log starts with its time and its level; everything
//! else is the answer: one line `error: …`. Only what the command line's parser
//! refuses has its usage below that.

use std::ffi::OsStr;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use archive_ingest::kafka::HEARTBEAT_TOPIC;

use crate::support::broker::Access;
use crate::support::program::{self, Ended};
use crate::support::{Broker, Place, Process, unique};

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
    for part in says.iter().filter(|part| !line.contains(&***part)) {
        wrong.push(format!("the line does not name {part:?}"));
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

fn with_auth_file(text: &str, mode: u32) -> Place {
    let mut place = with_kafka("127.0.0.1:9");
    let file = place.write("auth.toml", text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
    place.set("hop", "hop-local-auth", &format!("{file:?}"));
    place
}

fn with_veto_list(text: &str) -> Place {
    let place = Place::embedded();
    place.write("veto.list", text);
    place
}

/// A port at which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

#[test]
fn a_wrong_configuration_is_told_in_one_line_with_exit_code_2() {
    let auth = "[[auth]]\nusername = \"u\"\npassword = \"geheim\"\nhostname = \"127.0.0.1\"\n";
    let entry_of_another = auth.replace("127.0.0.1", "kafka.example.org");
    let bad_mechanism = format!("{auth}mechanism = \"SCRAM-MD5\"\n");
    let directory = {
        let mut place = with_kafka("127.0.0.1:9");
        let path = place.path("");
        place.set("hop", "hop-local-auth", &format!("{path:?}"));
        place
    };
    let no_toml = {
        let place = Place::embedded();
        let file = place.write("broken.toml", "[hop\nhop-type = mock");
        Case::new("no TOML", place, &["run", "--config"])
            .argument(file)
            .says(["broken.toml"])
    };
    try_all(vec![
        no_toml,
        Case::new("unknown stanza", Place::embedded(), &["run", "-H", "hopp"])
            .says(["hopp", "hop"]),
        Case::run(
            "misspelled key",
            with("hop", "hop-hostnam", "\"localhost\""),
        )
        .says(["hop-hostnam", "hop-hostname"]),
        Case::run("key of another stanza", with("db", "store-path", "\"x\"")).says(["store-path"]),
        Case::run("text for a number", with("hop", "hop-port", "\"abc\""))
            .says(["hop-port", "abc"]),
        Case::run("a port that is none", with("hop", "hop-port", "70000"))
            .says(["hop-port", "70000"]),
        Case::run("number for text", with("hop", "hop-groupname", "7")).says(["hop-groupname"]),
        Case::run("a list for a flag", with("hop", "hop-until-eos", "[true]"))
            .says(["hop-until-eos"]),
        Case::run(
            "a word that is none of the choices",
            with("store", "store-type", "\"S4\""),
        )
        .says(["store-type", "S4"]),
        Case::run(
            "a key that is not built",
            with("hop", "hop-aws-secret-name", "\"x\""),
        )
        .says(["hop-aws-secret-name", "HOP_USERNAME"]),
        Case::run(
            "a glob that is none",
            with("hop", "hop-topics", "[\"gcn.[\"]"),
        )
        .says(["hop-topics", "gcn.["]),
        Case::run("a host that is none", with_kafka("no host")).says(["hop-hostname", "no host"]),
        Case::run(
            "a property that is this program's own",
            with("hop", "hop-properties", "{ \"group.id\" = \"x\" }"),
        )
        .says(["group.id", "hop-groupname"]),
        Case::new(
            "missing configuration",
            Place::embedded(),
            &["run", "--config", "/no/such.toml"],
        )
        .says(["/no/such.toml"]),
        Case::new(
            "missing veto list",
            Place::embedded(),
            &["run", "--veto-list", "/no/such.list"],
        )
        .says(["/no/such.list"]),
        Case::run(
            "a veto list with a bad line",
            with_veto_list("fine\n\nnot [one\n"),
        )
        .says(["veto.list", "3", "not [one"]),
        Case::run("a wrong variable", Place::embedded())
            .env("HOP_PORT", "abc")
            .says(["HOP_PORT", "abc"]),
        Case::run("a variable that is no text", Place::embedded())
            .env("HOP_GROUPNAME", OsStr::from_bytes(b"\xff\xfe"))
            .says(["HOP_GROUPNAME"]),
        Case::run("world-readable auth file", with_auth_file(auth, 0o644))
            .says(["auth.toml", "chmod"]),
        Case::run(
            "auth file that the group reads",
            with_auth_file(auth, 0o640),
        )
        .says(["auth.toml"]),
        Case::run("unreadable auth file", directory).says(["hop-local-auth"]),
        Case::run(
            "auth file of another host",
            with_auth_file(&entry_of_another, 0o600),
        )
        .says(["auth.toml", "127.0.0.1"]),
        Case::run(
            "auth file with an unknown mechanism",
            with_auth_file(&bad_mechanism, 0o600),
        )
        .says(["SCRAM-MD5"]),
        Case::run(
            "auth file that is no TOML",
            with_auth_file("password: geheim", 0o600),
        )
        .says(["auth.toml"]),
        Case::new(
            "a test topic that is none",
            Place::embedded(),
            &["run", "--test-topic", "no topic!"],
        )
        .says(["no topic!"]),
        Case::new(
            "a test topic that is vetoed",
            with_veto_list(HEARTBEAT_TOPIC),
            &["run", "--test-topic", HEARTBEAT_TOPIC],
        )
        .says([HEARTBEAT_TOPIC]),
    ]);
}

#[test]
fn a_wrong_command_line_is_told_in_one_line_with_exit_code_2() {
    let case = |what, arguments: &[&str]| Case::new(what, Place::embedded(), arguments);
    let uuid = "6b6e6f77-6e2d-6461-7461-2d7575696431";
    try_all(vec![
        case("unknown subcommand", &["rnu"]).says(["rnu"]),
        case("no subcommand but an empty one", &[""]),
        case("unknown option", &["run", "--until-eof"]).says(["--until-eof"]),
        case("an argument too many", &["run", "now"]).says(["now"]),
        case("none at most", &["run", "--max-messages", "0"]).says(["--max-messages"]),
        case("fewer than none", &["run", "--max-messages=-1"]).says(["--max-messages"]),
        case(
            "more than there are",
            &["run", "--max-messages", "99999999999999999999"],
        )
        .says(["--max-messages"]),
        case("no number", &["run", "--max-messages", "ten"]).says(["ten"]),
        case("no value", &["run", "--max-messages"]).says(["--max-messages"]),
        case("an empty stanza", &["run", "-H", ""]),
        case("a stanza of two lines", &["run", "-H", "a\nb"]),
        case("an empty file name", &["run", "--config", ""]),
        case("an empty topic", &["run", "--test-topic", ""]),
        case("garbage", &["run"]).argument(OsStr::from_bytes(b"\xff\xfe")),
        case("a stanza that is no text", &["run", "-H"]).argument(OsStr::from_bytes(b"\xff\xfe")),
        case("no UUID", &["fetch-uuid"]).says(["UUID"]),
        case("a UUID that is none", &["fetch-uuid", "not-a-uuid"]).says(["not-a-uuid"]),
        case(
            "a UUID with a digit too many",
            &["fetch-uuid", &format!("{uuid}0")],
        ),
        case(
            "a UUID of two lines",
            &["fetch-uuid", &format!("{uuid}\n{uuid}")],
        ),
        case(
            "two forms at once",
            &["fetch-uuid", "--bson", "--payload", uuid],
        )
        .says(["--payload"]),
        case("no time", &["list-archive", "--since", "yesterdayish"]).says(["yesterdayish"]),
        case(
            "a day that is none",
            &["list-archive", "--until", "2025-02-30"],
        )
        .says(["2025-02-30"]),
        case("no limit", &["list-archive", "--limit", "many"]).says(["many"]),
        case("no glob", &["list-archive", "--topic", "gcn.["]).says(["gcn.["]),
        case("no sample", &["verify", "--sample", "some"]).says(["some"]),
        case("more than all", &["verify", "--sample", "101%"]).says(["101%"]),
        case("no shell", &["completions", "tcsh++"]).says(["tcsh++"]),
        case("no config command", &["config", "chek"]).says(["chek"]),
    ]);
}

#[test]
fn a_database_or_a_directory_that_cannot_be_used_is_told_in_one_line_with_exit_code_3() {
    let corrupt = {
        let place = Place::embedded();
        place.write(
            "catalogue.sqlite",
            "this is no database\n".repeat(500).as_str(),
        );
        place
    };
    let newer = {
        let place = Place::embedded();
        place.catalogue().migrate().expect("an empty database");
        let file = rusqlite::Connection::open(place.path("catalogue.sqlite")).expect("a file");
        file.execute_batch(OF_NEWER_VERSION).expect("a history");
        place
    };
    let not_made = "/proc/no/such/place";
    let no_archive = |what, arguments: &[&str]| {
        Case::new(what, Place::embedded(), arguments)
            .exits(CANNOT_WORK)
            .says(["archive_ingest run"])
    };
    try_all(vec![
        Case::run("a file that is no database", corrupt)
            .exits(CANNOT_WORK)
            .says(["catalogue.sqlite"]),
        Case::run("a database of a newer version", newer)
            .exits(CANNOT_WORK)
            .says(["catalogue.sqlite", "newer"]),
        Case::run(
            "a catalogue where none can be",
            with("db", "db-path", &format!("{not_made:?}")),
        )
        .exits(CANNOT_WORK)
        .says([not_made]),
        Case::run(
            "a catalogue that is a directory",
            with("db", "db-path", "\"/tmp\""),
        )
        .exits(CANNOT_WORK)
        .says(["/tmp"]),
        Case::run(
            "a store where none can be",
            with("store", "store-path", &format!("{not_made:?}")),
        )
        .exits(CANNOT_WORK)
        .says([not_made]),
        Case::run(
            "a store that is a file",
            with("store", "store-path", "\"/dev/null\""),
        )
        .exits(CANNOT_WORK)
        .says(["/dev/null"]),
        no_archive("nothing to list", &["list-archive"]),
        no_archive("nothing to verify", &["verify"]),
        no_archive(
            "nothing to fetch",
            &["fetch-uuid", "6b6e6f77-6e2d-6461-7461-2d7575696431"],
        ),
    ]);
}

/// What a version of this program that is yet to come leaves.
const OF_NEWER_VERSION: &str = "INSERT INTO refinery_schema_history \
     (version, name, applied_on, checksum) VALUES (999, 'future', '2030-01-01T00:00:00Z', '0')";

#[test]
fn services_that_cannot_be_reached_are_named_within_a_minute_with_exit_code_3() {
    let (kafka, postgres, s3) = (closed_port(), closed_port(), closed_port());
    let mut database = Place::embedded();
    let (host, port) = postgres.split_once(':').expect("an address");
    database.set("db", "db-type", "\"postgres\"");
    database.set("db", "db-host", &format!("{host:?}"));
    database.set("db", "db-port", port);
    database.set("db", "db-name", "\"archive\"");
    database.set("db", "db-username", "\"archive\"");
    let mut store = Place::embedded();
    store.set("store", "store-type", "\"S3\"");
    store.set("store", "store-endpoint-url", &format!("\"http://{s3}\""));
    store.variable("S3_ACCESS_KEY_ID", "somebody");
    store.variable("S3_SECRET_ACCESS_KEY", "geheim");
    let mut silent = Place::embedded();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let deaf = listener.local_addr().expect("bound");
    silent.set("store", "store-type", "\"S3\"");
    silent.set("store", "store-endpoint-url", &format!("\"http://{deaf}\""));
    silent.variable("S3_ACCESS_KEY_ID", "somebody");
    silent.variable("S3_SECRET_ACCESS_KEY", "geheim");
    let unreachable =
        |what, place, name: &str| Case::run(what, place).exits(CANNOT_WORK).says([name]);
    try_all(vec![
        unreachable("no Kafka", with_kafka(&kafka), &kafka),
        unreachable(
            "a Kafka without a name",
            with_kafka("no-such-host.invalid"),
            "no-such-host.invalid",
        ),
        unreachable(
            "a Kafka that says nothing",
            with_kafka(&deaf.to_string()),
            &deaf.to_string(),
        ),
        unreachable("no PostgreSQL", database, &postgres),
        unreachable("no S3", store, &s3),
        unreachable("an S3 that says nothing", silent, &deaf.to_string()),
    ]);
}

#[test]
fn a_kafka_that_refuses_is_named_with_exit_code_3() {
    let (Some(broker), Some((address, _))) = (
        Broker::connect(),
        Broker::listener(Access::SaslSsl("SCRAM-SHA-512")),
    ) else {
        return;
    };
    let refused = |what, access, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_kafka(&broker, access).expect("it is there");
        change(&mut place);
        Case::run(what, place).exits(CANNOT_WORK).says(["kafka"])
    };
    let ssl = Access::SaslSsl("SCRAM-SHA-512");
    let other_ca = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/catalogue_contract/tls/other-ca.pem"
    );
    try_all(vec![
        refused("wrong password over TLS", ssl, &wrong_password),
        refused(
            "wrong password of PLAIN",
            Access::SaslPlaintext("PLAIN"),
            &wrong_password,
        ),
        refused("wrong CA", ssl, &|place| {
            place.set("hop", "hop-ssl-ca-location", &format!("{other_ca:?}"));
        })
        .says(["hop-ssl-ca-location"]),
        refused("a CA that is none", ssl, &|place| {
            let file = place.write("ca.pem", "no certificate");
            place.set("hop", "hop-ssl-ca-location", &format!("{file:?}"));
        })
        .says(["hop-ssl-ca-location"]),
        refused(
            "PLAINTEXT where TLS is spoken",
            Access::Plaintext,
            &|place| {
                place.set("hop", "hop-hostname", &format!("{address:?}"));
            },
        ),
    ]);
}

fn wrong_password(place: &mut Place) {
    place.variable("HOP_USERNAME", "archive");
    place.variable("HOP_PASSWORD", "falsch");
}

#[test]
fn a_postgresql_that_refuses_is_named_with_exit_code_3() {
    let refused = |what, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_postgres()?;
        change(&mut place);
        Some(Case::run(what, place).exits(CANNOT_WORK).says(["postgres"]))
    };
    let cases = [
        refused("wrong password", &|place| {
            place.variable("DB_PASSWORD", "falsch")
        }),
        refused("unknown role", &|place| {
            place.set("db", "db-username", "\"nobody\"")
        }),
        refused("unknown database", &|place| {
            place.set("db", "db-name", "\"no_such_database\"");
        }),
        refused("a database of a newer version", &|place| {
            place.catalogue().migrate().expect("an empty database");
            place.execute(OF_NEWER_VERSION);
        })
        .map(|case| case.says(["newer"])),
    ];
    try_all(cases.into_iter().flatten().collect());
}

#[test]
fn an_s3_that_refuses_is_named_with_exit_code_3() {
    let refused = |what, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_s3()?;
        change(&mut place);
        Some(Case::run(what, place).exits(CANNOT_WORK).says(["s3 http"]))
    };
    let missing = format!("missing-{}", unique());
    let cases = [
        refused("missing bucket", &|place| {
            place.set("store", "store-primary-bucket", &format!("{missing:?}"));
        })
        .map(|case| case.says([&missing])),
        refused("missing backup bucket", &|place| {
            place.set("store", "store-backup-bucket", &format!("{missing:?}"));
        })
        .map(|case| case.says([&missing])),
        refused("wrong secret", &|place| {
            place.variable("S3_SECRET_ACCESS_KEY", "falsch123")
        }),
        refused("wrong key", &|place| {
            place.variable("S3_ACCESS_KEY_ID", "nobody")
        }),
    ];
    try_all(cases.into_iter().flatten().collect());
}

#[test]
fn a_uuid_on_standard_input_that_is_none_is_told_with_its_line() {
    let place = Place::embedded();
    place.run_to_end();
    let known = "6b6e6f77-6e2d-6461-7461-2d7575696431";
    let mut command = place.command(&["fetch-uuid", "--payload", "-"]);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("piped");
    write!(stdin, "{known}\nnot one\n").expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("our child");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(WRONG_INPUT), "{stderr}");
    assert_eq!(output.stdout, b"value", "what came before it was fetched");
    assert!(
        stderr.contains("not one") && stderr.contains("line 2"),
        "{stderr}"
    );
}

#[test]
fn no_secret_is_ever_told() {
    let auth = "[[auth]]\nusername = \"u\"\npassword = \"geheim\nhostname = \"127.0.0.1\"\n";
    let place = with_auth_file(auth, 0o600);
    let ended = place.run(&["run"]);
    assert_eq!(ended.code, Some(WRONG_INPUT), "{ended}");
    assert!(!ended.stderr.contains("geheim"), "{ended}");

    let mut command = program::command();
    command.env("RUST_LOG", "trace").env("LOG_LEVEL", "trace");
    command
        .env("HOP_USERNAME", "u")
        .env("HOP_PASSWORD", "geheim");
    command.env("HOP_HOSTNAME", closed_port());
    command.current_dir(place.path(""));
    command.args(["--config", "/dev/null", "config", "show"]);
    let ended = Process::start(command).ended();
    assert!(
        !ended.stdout.contains("geheim") && !ended.stderr.contains("geheim"),
        "{ended}"
    );
}
