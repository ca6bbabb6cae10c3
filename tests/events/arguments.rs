//! Garbage in each argument: one clear line, and nothing done.

use super::scene::{READING, Scene, assert_one_clear_line, run_on};
use crate::support::Place;

const NAMELESS: &[&str] = &["", " ", "a b", "../x", "t\u{1}", "ü", "."];

fn event(place: &Place, arguments: &[&str]) -> crate::support::program::Ended {
    place.run(&[&["event"][..], arguments].concat())
}

#[test]
fn whatever_is_typed_wrongly_is_told_with_exit_2() {
    let mut place = Place::embedded();
    place.set("registry", "registry-url", "\"http://127.0.0.1:9\"");
    let no_schema = place.write("words.avsc", "no schema");
    let no_schema = no_schema.to_str().expect("UTF-8");
    let schema = place.write("reading.avsc", READING);
    let schema = schema.to_str().expect("UTF-8");
    let course = ["produce", "--type", "course-enrollment", "--student", "Ada"];
    let with = |more: &[&'static str]| [&course[..], more].concat();
    let lines = |file| ["-R", "registry", "event", "produce", "--value-schema", file];
    let mut cases: Vec<(Vec<&str>, &str)> = vec![
        (course.to_vec(), "name its stanza with -R"),
        (vec!["produce"], "--type"),
        (vec!["produce", "--type", "course-enrollment"], "--student"),
        (vec!["produce", "--student", "Ada"], "--type"),
        (
            vec!["produce", "--type", "garbage", "--student", "Ada"],
            "course-enrollment",
        ),
        (with(&["--count", "0"]), "--count"),
        (with(&["--count", "-1"]), "-1"),
        (with(&["--count", "many"]), "--count"),
        (with(&["--key-schema", "x"]), "--key-schema"),
        (vec!["consume", "--format", "xml"], "--format"),
        (vec!["consume", "--count", "0"], "--count"),
        (
            vec!["consume", "--from", "yesterday"],
            "--from \"yesterday\"",
        ),
        (vec!["consume", "--from", "-x"], "--from \"-x\""),
        (vec!["consume", "--group", ""], "--group"),
        (
            vec!["consume", "--group", "archive_ingest"],
            "the archiver's own",
        ),
        (vec!["consume", "--value-schema", schema], "with -R"),
    ];
    for name in NAMELESS {
        cases.push((vec!["consume", "--topic", name], "--topic"));
    }
    for (arguments, says) in cases {
        let ended = event(&place, &arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended}");
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        assert_eq!(ended.stdout, "");
    }
    for (file, says) in [
        ("nowhere.avsc", "No such file"),
        (no_schema, "no JSON"),
        ("/dev/zero", "no file with a schema"),
        ("/", "no file with a schema"),
    ] {
        let ended = place.run(&lines(file));
        assert_one_clear_line(&ended, 2, says);
    }
}

#[test]
fn a_line_that_is_no_event_is_named_and_nothing_is_sent() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("refused", 1);
    let good = "{\"station\": \"Elbe\", \"level\": 7}\n";
    for (line, says) in [
        ("no JSON", "line 3: no JSON"),
        (
            "{\"station\": \"Elbe\"}",
            "line 3: the value's $.level: missing",
        ),
        (
            "{\"station\": 1, \"level\": 7}",
            "the value's $.station: an integer",
        ),
        (
            "{\"station\": \"E\", \"level\": 9223372036854775808}",
            "beyond the range of long",
        ),
        (
            "{\"station\": \"E\", \"level\": 7, \"x\": 1}",
            "1 members that its schema does not have",
        ),
        ("[]", "an array, where the schema has record"),
    ] {
        let ended = scene.produce_lines(&topic, READING, &format!("{good}\n{line}\n{good}"));
        assert_one_clear_line(&ended, 2, says);
        assert!(ended.stderr.contains("nothing was sent"), "{ended}");
    }
    let schema = scene.file("value.avsc", READING);
    let arguments = ["produce", "--topic", &topic, "--value-schema", &schema];
    let ended = run_on(scene.command(&arguments), b"\xff\xfe\n");
    assert_one_clear_line(&ended, 2, "line 1: not UTF-8");
    let keyed = [&arguments[..], &["--key-schema", schema.as_str()][..]].concat();
    let ended = run_on(scene.command(&keyed), good.as_bytes());
    assert_one_clear_line(&ended, 2, "{\"key\": …, \"value\": …}");
    assert!(scene.broker.offsets(&topic, 0).is_empty());
    // No line at all is no event, and no error.
    let ended = run_on(scene.command(&arguments), b"").clean();
    assert_eq!(ended.stdout, format!("0 events sent to {topic}\n"));
}

#[test]
fn a_registry_that_cannot_be_is_told_with_exit_2() {
    let mut place = Place::embedded();
    let arguments = ["-R", "registry", "event", "consume"];
    let unknown = place.run(&arguments);
    assert_one_clear_line(&unknown, 2, "there is no such stanza");
    for (url, says) in [
        ("127.0.0.1:8081", "is not a registry's URL"),
        ("ftp://host", "is not a registry's URL"),
        ("http://", "is not a registry's URL"),
        ("http://user:secret@host", "REGISTRY_USERNAME"),
        ("http://a b", "is not a registry's URL"),
        ("http://a,,http://b", "is not a registry's URL"),
        ("http://a?x=1", "is not a registry's URL"),
    ] {
        place.set("registry", "registry-url", &format!("{url:?}"));
        let ended = place.run(&arguments);
        assert_one_clear_line(&ended, 2, says);
        assert!(!ended.stderr.contains("secret@"), "{ended}");
    }
    place.set("registry", "registry-url", "\"http://127.0.0.1:9\"");
    place.set(
        "registry",
        "registry-ssl-ca-location",
        "\"/nowhere/ca.pem\"",
    );
    assert_one_clear_line(&place.run(&arguments), 2, "/nowhere/ca.pem");
    place.set("registry", "registry-ssl-ca-location", "\"\"");
    place.set("registry", "registry-password", "\"secret\"");
    assert_one_clear_line(&place.run(&arguments), 2, "REGISTRY_PASSWORD");
    place.set("registry", "registry-password", "\"\"");
    place.variable("REGISTRY_USERNAME", "user");
    let ended = place.run(&arguments);
    assert_eq!(ended.code, Some(2), "{ended}");
}
