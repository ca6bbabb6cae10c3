//! The configuration, and what it names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use archive_ingest::kafka::HEARTBEAT_TOPIC;

use super::{Case, WRONG_INPUT, closed_port, try_all, with, with_kafka};
use crate::support::{Place, Process, program};

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

#[test]
fn a_wrong_configuration_is_told_in_one_line_with_exit_code_2() {
    let auth = "[[auth]]\nusername = \"u\"\npassword = \"geheim\"\nhostname = \"127.0.0.1\"\n";
    let entry_of_another = auth.replace("127.0.0.1", "kafka.example.org");
    let bad_mechanism = format!("{auth}mechanism = \"SCRAM-MD5\"\n");
    // The user of the tests may be root, whom no mode keeps from reading.
    let directory = {
        let mut place = with_kafka("127.0.0.1:9");
        let path = place.path("auth.toml");
        std::fs::create_dir(&path).expect("a folder of ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("ours");
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
        Case::new(
            "a list for a flag",
            with("hop", "hop-until-eos", "[true]"),
            &["run"],
        )
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
        Case::run("unreadable auth file", directory).says(["auth file", "auth.toml"]),
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
