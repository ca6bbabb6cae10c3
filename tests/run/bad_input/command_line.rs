//! The command line, and UUIDs on standard input.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use super::{Case, WRONG_INPUT, try_all};
use crate::support::Place;

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
