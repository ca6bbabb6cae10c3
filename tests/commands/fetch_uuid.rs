//! `fetch-uuid`.

use std::fs;
use std::io::Cursor;

use archive_ingest::kafka::known_records;
use serde_json::{Value, json};

use crate::archive::{Archive, text};

const UNKNOWN: &str = "00000000-0000-0000-0000-000000000000";
const CLIENT: &str = "6b6e6f77-6e2d-6461-7461-2d7575696431";

#[test]
fn every_value_comes_back_byte_for_byte_into_a_file_of_its_own() {
    let archive = Archive::known();
    let rows = archive.rows();
    let uuids: String = rows.iter().map(|row| text(&row["uuid"]) + "\n").collect();
    let fetch = ["fetch-uuid", "--payload", "--output", "values", "-"];
    archive.run_with(&fetch, uuids.as_bytes()).clean();
    let known = known_records();
    for row in &rows {
        let record = known.iter().find(|record| {
            row["topic"] == *record.topic
                && row["partition"] == record.partition
                && row["offset"] == record.offset
        });
        let value = record.unwrap().value.clone().unwrap_or_default();
        let file = archive.path(format!("values/{}.payload", text(&row["uuid"])));
        assert!(fs::read(file).unwrap() == value, "{row}");
    }
    assert_eq!(
        fs::read_dir(archive.path("values")).unwrap().count(),
        rows.len()
    );
}

#[test]
fn a_payload_on_stdout_is_exactly_the_value() {
    let archive = Archive::known();
    let uuid = text(&archive.row_at("known.values", 3)["uuid"]);
    let ran = archive.run(&["fetch-uuid", "--payload", &uuid]).clean();
    assert!(Some(ran.stdout) == known_values(3));
    let (uuid, _) = archive.text_message();
    let ran = archive.run(&["fetch-uuid", "--payload", &uuid]).clean();
    assert_eq!(ran.stdout, "a line of text, grüße\n".as_bytes());
}

fn known_values(offset: i64) -> Option<Vec<u8>> {
    let mut known = known_records().into_iter();
    let record = known.find(|r| &*r.topic == "known.values" && r.offset == offset);
    record.unwrap().value
}

#[test]
fn objects_come_back_as_they_are_stored_and_several_follow_one_another() {
    let archive = Archive::known();
    let (first, second) = (
        archive.row_at("known.keys", 0),
        archive.row_at("known.keys", 2),
    );
    let fetch = [
        "fetch-uuid",
        "--bson",
        &text(&first["uuid"]),
        &text(&second["uuid"]),
    ];
    let fetched = archive.run(&fetch).clean().stdout;
    let mut expected = fs::read(archive.object(&text(&first["key"]))).unwrap();
    expected.extend(fs::read(archive.object(&text(&second["key"]))).unwrap());
    assert_eq!(fetched, expected);
    let mut rest = Cursor::new(fetched);
    for _ in 0..2 {
        bson::Document::from_reader(&mut rest).unwrap();
    }
}

#[test]
fn messages_are_shown_in_the_order_in_which_they_were_asked_for() {
    let archive = Archive::known();
    let mut uuids: Vec<String> = archive
        .rows()
        .iter()
        .map(|row| text(&row["uuid"]))
        .collect();
    uuids.reverse();
    uuids.push(uuids[0].to_uppercase());
    let input = uuids.join("\n\n");
    let shown = archive.run_with(&["fetch-uuid", "--json", "-"], input.as_bytes());
    let shown = shown.clean().json_lines();
    let shown: Vec<String> = shown.iter().map(|message| text(&message["uuid"])).collect();
    uuids[35] = uuids[0].clone();
    assert_eq!(shown, uuids);
}

#[test]
fn a_uuid_that_the_archive_does_not_have_is_one_line_and_exit_1_after_the_others() {
    let archive = Archive::known();
    let ran = archive
        .run(&["fetch-uuid", "--json", UNKNOWN, CLIENT])
        .ended(1);
    assert_eq!(
        ran.stderr,
        format!("error: the archive has no message {UNKNOWN}\n")
    );
    assert_eq!(ran.json_lines()[0]["uuid"], CLIENT);
}

#[test]
fn an_argument_that_is_no_uuid_is_exit_2_before_anything_is_fetched() {
    let archive = Archive::known();
    archive
        .run(&["fetch-uuid", CLIENT, "6b6e6f77"])
        .refused(2, &["\"6b6e6f77\" is no UUID"]);
}

#[test]
fn a_line_that_is_no_uuid_is_exit_2_with_its_number_after_what_came_before_it() {
    let archive = Archive::known();
    let input = format!("{CLIENT}\n\nnonsense\n{CLIENT}\n");
    let ran = archive
        .run_with(&["fetch-uuid", "--json", "-"], input.as_bytes())
        .ended(2);
    assert_eq!(ran.json_lines().len(), 1);
    ran.says(&["line 3", "\"nonsense\" is no UUID"]);
}

#[test]
fn a_tombstone_has_no_payload_and_a_note_says_so() {
    let archive = Archive::known();
    let uuid = text(&archive.row_at("known.values", 4)["uuid"]);
    let ran = archive.run(&["fetch-uuid", "--payload", &uuid]).clean();
    assert!(ran.stdout.is_empty());
    ran.says(&["note", "tombstone"]);
    let shown = archive.run(&["fetch-uuid", &uuid]).clean().text();
    assert!(shown.ends_with("value: null (a tombstone)\n"), "{shown}");
    let json = archive
        .run(&["fetch-uuid", "--json", &uuid])
        .clean()
        .json_lines();
    assert_eq!(json[0]["value"], Value::Null);
}

#[test]
fn null_empty_and_bytes_are_told_apart_wherever_they_stand() {
    let archive = Archive::known();
    let show = |topic, offset| {
        let uuid = text(&archive.row_at(topic, offset)["uuid"]);
        let shown = archive.run(&["fetch-uuid", &uuid]).clean().text();
        let json = archive
            .run(&["fetch-uuid", "--json", &uuid])
            .clean()
            .json_lines();
        (shown, json[0].clone())
    };
    let cell = |shown: &str, name: &str| {
        let line = shown
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    };
    let (shown, json) = show("known.headers", 2);
    assert_eq!(
        (cell(&shown, "none"), cell(&shown, "empty")),
        ("null".into(), "empty".into())
    );
    let headers = json!([
        {"name": "none", "value": null},
        {"name": "empty", "value": {"base64": "", "text": ""}},
    ]);
    assert_eq!(json["metadata"]["headers"], headers);
    for (offset, key, expected) in [
        (0, "null", json!(null)),
        (1, "empty", json!({"base64": "", "text": ""})),
        (2, "0x00ff0162696e617279", json!({"base64": "AP8BYmluYXJ5"})),
    ] {
        let (shown, json) = show("known.keys", offset);
        assert_eq!(cell(&shown, "key"), key);
        assert_eq!(json["metadata"]["key"], expected);
    }
    let (shown, json) = show("known.values", 0);
    assert!(shown.ends_with("value: empty\n"));
    assert_eq!(json["value"], json!({"base64": "", "text": ""}));
}

#[test]
fn a_value_is_shown_as_indented_json_as_text_or_as_a_whole_hex_dump() {
    let archive = Archive::known();
    let show = |topic, offset| {
        let uuid = text(&archive.row_at(topic, offset)["uuid"]);
        archive.run(&["fetch-uuid", &uuid]).clean().text()
    };
    assert!(show("known.early-clients", 0).contains("\n  \"content\": {\n    \"a\": 1\n  }\n}\n"));
    assert!(show("known.values", 5).ends_with("\na line of text, grüße\n"));
    let dump = show("known.values", 3);
    assert_eq!(
        dump.lines()
            .filter(|line| line.contains(": ") && line.starts_with("000"))
            .count(),
        750_000_usize.div_ceil(16)
    );
}

#[test]
fn an_object_that_is_missing_is_one_line_and_exit_1() {
    let archive = Archive::known();
    let (uuid, key) = archive.text_message();
    fs::remove_file(archive.object(&key)).unwrap();
    let ran = archive.run(&["fetch-uuid", &uuid]);
    ran.refused(1, &[&uuid, &key, "missing"]);
}

#[test]
fn a_damaged_object_is_told_and_only_its_bytes_can_be_had() {
    let archive = Archive::known();
    let (uuid, key) = archive.text_message();
    let mut bytes = fs::read(archive.object(&key)).unwrap();
    bytes[30] ^= 1;
    fs::write(archive.object(&key), &bytes).unwrap();
    for view in [
        &["fetch-uuid", uuid.as_str()][..],
        &["fetch-uuid", "--payload", &uuid],
    ] {
        archive
            .run(view)
            .refused(1, &[&uuid, "damaged", "CRC-32", "--bson"]);
    }
    let ran = archive.run(&["fetch-uuid", "--bson", &uuid]).ended(1);
    assert_eq!(ran.stdout, bytes);
    ran.says(&["damaged"]);
}

#[test]
fn a_file_is_overwritten_and_several_messages_need_a_directory() {
    let archive = Archive::known();
    let (uuid, _) = archive.text_message();
    fs::write(
        archive.path("value"),
        "something old, and longer than the new value",
    )
    .unwrap();
    let fetch = ["fetch-uuid", "--payload", "--output", "value", &uuid];
    archive.run(&fetch).clean();
    let written = fs::read(archive.path("value")).unwrap();
    assert_eq!(written, "a line of text, grüße\n".as_bytes());
    let several = [
        "fetch-uuid",
        "--payload",
        "--output",
        "value",
        &uuid,
        CLIENT,
    ];
    archive
        .run(&several)
        .refused(2, &["--output value", "directory"]);
}

#[test]
fn every_view_has_a_file_name_of_its_own_in_a_directory() {
    let archive = Archive::known();
    for (view, extension) in [
        (&[][..], "txt"),
        (&["--json"], "json"),
        (&["--payload"], "payload"),
        (&["--bson"], "bson"),
    ] {
        let fetch = [&["fetch-uuid", CLIENT, "--output", "folder/"], view].concat();
        let ran = archive.run(&fetch).clean();
        assert!(ran.stdout.is_empty());
        let file = archive.path(format!("folder/{CLIENT}.{extension}"));
        assert!(!fs::read(file).unwrap().is_empty());
    }
}
