//! `verify`: whatever is not as it must be is told, and nothing else.

use std::fs;

use serde_json::Value;

use crate::archive::{Archive, text};

/// The kinds of the defects that `verify` tells, sorted, and its summary.
fn verify(archive: &Archive, arguments: &[&str]) -> (Vec<String>, Value) {
    let ran = archive.run(&[&["verify", "--json"], arguments].concat());
    let mut lines = ran.json_lines();
    let summary = lines.pop().unwrap()["summary"].clone();
    let defects = lines.iter().filter_map(|line| line.get("defect"));
    let mut kinds: Vec<String> = defects.map(|defect| text(&defect["kind"])).collect();
    kinds.sort();
    let is_clean = kinds.is_empty();
    assert_eq!(ran.code, if is_clean { 0 } else { 1 }, "{ran:?}");
    assert_eq!(summary["held"], is_clean);
    assert_eq!(summary["defects"], kinds.len());
    (kinds, summary)
}

fn assert_defects(archive: &Archive, arguments: &[&str], expected: &[&str]) {
    let (kinds, _) = verify(archive, arguments);
    assert_eq!(kinds, expected, "{arguments:?}");
}

#[test]
fn an_untouched_archive_holds() {
    let archive = Archive::known();
    for arguments in [&[][..], &["--deep"]] {
        let (kinds, summary) = verify(&archive, arguments);
        assert!(kinds.is_empty());
        for (name, number) in [("messages", 35), ("objects", 35), ("topics", 6)] {
            assert_eq!(summary[name], number, "{name}");
        }
    }
    let shown = archive.run(&["verify", "--deep"]).clean();
    assert!(shown.text().contains("everything held"));
    assert_eq!(shown.stderr, "");
}

#[test]
fn a_second_run_leaves_an_archive_that_holds() {
    let archive = Archive::known();
    archive
        .run(&["run", "--until-eos", "--only", "archiver"])
        .clean();
    assert_defects(&archive, &["--deep"], &[]);
}

#[test]
fn a_missing_object_is_told() {
    let archive = Archive::known();
    let (uuid, key) = archive.text_message();
    fs::remove_file(archive.object(&key)).unwrap();
    for arguments in [&[][..], &["--deep"]] {
        assert_defects(&archive, arguments, &["missing_object"]);
    }
    let shown = archive.run(&["verify"]).ended(1).text();
    let line = format!("missing_object: {uuid} at {key}: the store has no such object");
    assert_eq!(shown.lines().next(), Some(line.as_str()));
    assert!(shown.contains("1 defect;"), "{shown}");
}

#[test]
fn a_truncated_object_is_told() {
    let archive = Archive::known();
    let path = archive.object(&archive.text_message().1);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_defects(&archive, &[], &["wrong_size"]);
    assert_defects(
        &archive,
        &["--deep"],
        &["not_bson", "wrong_crc", "wrong_size"],
    );
}

#[test]
fn a_flipped_bit_is_found_by_reading() {
    let archive = Archive::known();
    let path = archive.object(&archive.text_message().1);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(6).position(|part| part == b"a line").unwrap();
    bytes[place] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_defects(&archive, &[], &[]);
    let expected = ["wrong_crc", "wrong_digest", "wrong_message_crc"];
    assert_defects(&archive, &["--deep"], &expected);
}

#[test]
fn an_object_put_in_another_ones_place_is_found_by_reading() {
    let archive = Archive::known();
    let (one, other) = (
        archive.row_at("known.values", 1),
        archive.row_at("known.values", 2),
    );
    let place = |row: &Value| archive.object(&text(&row["key"]));
    fs::copy(place(&one), place(&other)).unwrap();
    let (kinds, _) = verify(&archive, &["--deep"]);
    for kind in [
        "disagrees",
        "wrong_crc",
        "wrong_digest",
        "wrong_message_crc",
    ] {
        assert!(kinds.contains(&kind.to_owned()), "{kinds:?}");
    }
}

#[test]
fn a_foreign_file_is_told() {
    let archive = Archive::known();
    fs::write(archive.object("known.values/notes.txt"), "mine").unwrap();
    let defects = archive.run(&["verify", "--json"]).ended(1).json_lines();
    assert_eq!(defects[0]["defect"]["kind"], "foreign_object");
    assert_eq!(defects[0]["defect"]["key"], "known.values/notes.txt");
    assert_eq!(defects.len(), 2);
}

#[test]
fn an_object_without_a_row_is_an_orphan_once_nobody_can_have_it_in_flight() {
    let archive = Archive::known();
    let (uuid, key) = archive.text_message();
    archive.sql(&format!("DELETE FROM messages WHERE uuid = '{uuid}'"));
    // As before the transaction of its row.
    archive.sql("DELETE FROM read_intervals; DELETE FROM streams");
    archive.sql("UPDATE topics SET n_messages = 5, l_timestamp = 1700000004000 WHERE topic = 'known.values'");
    let (kinds, summary) = verify(&archive, &[]);
    assert_eq!(
        (kinds.len(), &summary["objects_in_flight"]),
        (0, &Value::from(1))
    );
    archive.make_old(&archive.object(&key));
    assert_defects(&archive, &[], &["orphan_object"]);
    assert_defects(&archive, &["--topic", "known.values"], &["orphan_object"]);
    assert_defects(&archive, &["--topic", "known.keys"], &[]);
}

#[test]
fn a_copy_beside_the_object_of_a_row_is_an_orphan() {
    let archive = Archive::known();
    let (_, key) = archive.text_message();
    let copy = archive.object(&key.replace(".bson", "-2.bson"));
    fs::copy(archive.object(&key), &copy).unwrap();
    archive.make_old(&copy);
    assert_defects(&archive, &["--deep"], &["orphan_object"]);
}

#[test]
fn a_row_that_differs_from_its_object_is_told_by_the_field() {
    let archive = Archive::known();
    let (uuid, _) = archive.text_message();
    archive.sql(&format!(
        "UPDATE messages SET kafka_offset = 77 WHERE uuid = '{uuid}'"
    ));
    assert_defects(&archive, &[], &["unaccounted"]);
    let lines = archive
        .run(&["verify", "--deep", "--json"])
        .ended(1)
        .json_lines();
    let defect = &lines[0]["defect"];
    assert_eq!(
        (&defect["kind"], &defect["field"]),
        (&"disagrees".into(), &"offset".into())
    );
    assert_eq!(
        (&defect["object"], &defect["catalogue"]),
        (&"5".into(), &"77".into())
    );
}

#[test]
fn a_count_that_the_rows_do_not_have_is_told() {
    let archive = Archive::known();
    archive.sql("UPDATE topics SET n_messages = n_messages + 1 WHERE topic = 'known.keys'");
    assert_defects(&archive, &[], &["wrong_count"]);
    archive.sql(
        "UPDATE topics SET n_messages = n_messages - 1, e_timestamp = 5 WHERE topic = 'known.keys'",
    );
    assert_defects(&archive, &[], &["wrong_times"]);
}

#[test]
fn what_was_lost_before_it_was_archived_is_told() {
    let archive = Archive::known();
    archive.sql("INSERT INTO gaps (topic, kafka_partition, from_offset, to_offset, found_at) VALUES ('known.keys', 1, 5, 9, 1700000000000)");
    let lines = archive.run(&["verify", "--json"]).ended(1).json_lines();
    let defect = &lines[0]["defect"];
    assert_eq!(
        (&defect["kind"], &defect["topic"]),
        (&"gap".into(), &"known.keys".into())
    );
    assert_eq!((&defect["from"], &defect["to"]), (&5.into(), &9.into()));
    assert_defects(&archive, &["--topic", "known.values"], &[]);
}

#[test]
fn every_defect_of_an_archive_is_listed() {
    let archive = Archive::known();
    fs::remove_dir_all(archive.object("known.uuids")).unwrap();
    let (kinds, summary) = verify(&archive, &[]);
    assert_eq!(kinds, vec!["missing_object"; 9]);
    assert_eq!(summary["defects_by_kind"]["missing_object"], 9);
}

#[test]
fn a_selection_by_time_or_a_sample_leaves_the_way_back_out_and_says_so() {
    let archive = Archive::known();
    fs::write(archive.object("notes.txt"), "mine").unwrap();
    for (arguments, messages) in [
        (&["--since", "2099-01-01"][..], 1..=1),
        (&["--sample", "10"], 10..=10),
        (&["--sample", "100000"], 35..=35),
        (&["--sample", "50%"], 0..=35),
        (&["--sample", "100%"], 35..=35),
    ] {
        let (kinds, summary) = verify(&archive, arguments);
        assert!(kinds.is_empty());
        let checked = summary["messages"].as_u64().unwrap();
        assert!(messages.contains(&checked), "{arguments:?}: {checked}");
        assert_eq!(summary["objects"], Value::Null);
        assert!(text(&summary["skipped"]).contains("--sample"));
    }
    let shown = archive.run(&["verify", "--sample", "1"]).clean().text();
    assert!(shown.contains("not with --since, --until or --sample"));
}

#[test]
fn a_verify_whose_findings_nobody_reads_does_not_say_that_all_held() {
    let archive = Archive::known();
    archive
        .run_unread(&["verify"])
        .ended(3)
        .says(&["could not finish"]);
}

#[test]
fn a_store_that_is_away_is_exit_3_and_no_defect() {
    let archive = Archive::known();
    let output = archive
        .command(&["verify", "--json", "-S", "local-store"])
        .env("STORE_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("S3_ACCESS_KEY_ID", "key")
        .env("S3_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        output.stdout.is_empty() && stderr.contains("127.0.0.1:1"),
        "{stderr}"
    );
}
