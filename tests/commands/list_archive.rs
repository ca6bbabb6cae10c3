//! `list-archive`.

use std::collections::BTreeSet;

use archive_ingest::kafka::{HEARTBEAT_TOPIC, known_records};
use serde_json::Value;

use crate::archive::{Archive, Ran};

/// Puts 2,500 rows into the catalogue, more than two pages.
const MANY: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
    INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid,
        public, direct_upload, message_crc32)
    SELECT 'many', 1600000000000 + i / 10, printf('00000000-0000-0000-0000-%012x', i), 1, 'key',
        'archive', 0, 0, 0, 0, 0 FROM n
";

fn times(rows: &[Value]) -> Vec<i64> {
    rows.iter()
        .map(|row| row["timestamp"].as_i64().unwrap())
        .collect()
}

#[test]
fn every_archived_message_is_listed_once_oldest_first() {
    let rows = Archive::known().rows();
    let listed: BTreeSet<(String, i64, i64)> = rows
        .iter()
        .map(|row| {
            let number = |name: &str| row[name].as_i64().unwrap();
            let topic = row["topic"].as_str().unwrap().to_owned();
            (topic, number("partition"), number("offset"))
        })
        .collect();
    let mut expected: BTreeSet<(String, i64, i64)> = known_records()
        .iter()
        .filter(|record| &*record.topic != HEARTBEAT_TOPIC)
        .map(|r| (r.topic.to_string(), r.partition.into(), r.offset))
        .collect();
    // The second of two receptions of one message.
    assert!(expected.remove(&("known.uuids".to_owned(), 0, 7)));
    assert_eq!(rows.len(), expected.len());
    assert_eq!(listed, expected);
    assert!(times(&rows).is_sorted());
}

#[test]
fn a_table_has_a_header_and_one_line_a_message_with_its_uuid_topic_time_place_size_and_key() {
    let archive = Archive::known();
    let lines = archive.run(&["list-archive"]).clean().lines();
    let rows = archive.rows();
    assert_eq!(lines.len(), 1 + rows.len());
    for (line, row) in lines[1..].iter().zip(&rows) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        for (cell, name) in [(0, "uuid"), (1, "topic"), (6, "key")] {
            assert_eq!(cells[cell], row[name], "{line}");
        }
        for (cell, name) in [(3, "partition"), (4, "offset"), (5, "size")] {
            assert_eq!(cells[cell], row[name].to_string(), "{line}");
        }
        let time = row["time"]
            .as_str()
            .map_or(row["timestamp"].to_string(), str::to_owned);
        assert_eq!(cells[2], time);
    }
}

#[test]
fn a_timestamp_that_is_no_date_has_no_time_and_keeps_its_number() {
    let row = Archive::known().row_at("known.times", 0);
    assert_eq!(
        (row["timestamp"].as_i64(), &row["time"]),
        (Some(-1), &Value::Null)
    );
}

#[test]
fn topics_are_selected_by_name_and_by_glob() {
    let archive = Archive::known();
    let list = [
        "list-archive",
        "--json",
        "--topic",
        "known.k*",
        "--topic",
        "known.times",
    ];
    let rows = archive.run(&list).clean().json_lines();
    let topics: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["topic"].as_str().unwrap())
        .collect();
    assert_eq!(topics, BTreeSet::from(["known.keys", "known.times"]));
    assert_eq!(rows.len(), 12);
}

#[test]
fn a_topic_that_the_archive_does_not_have_is_a_note_and_no_output() {
    let archive = Archive::known();
    let none = archive.run(&["list-archive", "--topic", "gcn.*"]).clean();
    let none = none.says(&["note: the archive has no topic \"gcn.*\""]);
    assert!(none.stdout.is_empty());
}

#[test]
fn since_includes_its_time_and_until_excludes_it() {
    let archive = Archive::known();
    let list = |from: &str, to: &str| {
        let list = ["list-archive", "--json", "--since", from, "--until", to];
        times(&archive.run(&list).clean().json_lines())
    };
    let (second, next) = (1_700_000_001_000_i64, 1_700_000_002_000_i64);
    let listed = list(&second.to_string(), &next.to_string());
    assert!(!listed.is_empty() && listed.iter().all(|time| *time == second));
    assert_eq!(
        list("2023-11-14T22:13:21Z", "2023-11-14T23:13:22+01:00"),
        listed
    );
    assert_eq!(list("-1", "0"), [-1]);
}

#[test]
fn the_limit_counts_from_the_newest_where_the_order_is_reversed() {
    let archive = Archive::known();
    let list = ["list-archive", "--json", "--reverse", "--limit", "3"];
    let newest = archive.run(&list).clean().json_lines();
    let mut rows = archive.rows();
    rows.reverse();
    assert_eq!(newest, rows[..3]);
}

#[test]
fn a_list_of_several_pages_has_every_message_once_in_either_direction() {
    let archive = Archive::known();
    archive.sql(MANY);
    let list = ["list-archive", "--json", "--topic", "many"];
    let forward = archive.run(&list).clean().lines();
    let uuids: BTreeSet<&String> = forward.iter().collect();
    assert_eq!((forward.len(), uuids.len()), (2500, 2500));
    let mut backward = archive
        .run(&[&list[..], &["--reverse"]].concat())
        .clean()
        .lines();
    backward.reverse();
    assert_eq!(backward, forward);
    let limited = archive
        .run(&[&list[..], &["--limit", "1234"]].concat())
        .clean()
        .lines();
    assert_eq!(limited, forward[..1234]);
}

#[test]
fn counts_per_topic_agree_with_the_list() {
    let archive = Archive::known();
    let rows = archive.rows();
    for span in [&[][..], &["--since", "1700000001000"]] {
        let count = [&["list-archive", "--count", "--json"], span].concat();
        for topic in archive.run(&count).clean().json_lines() {
            let least = span.last().map_or(i64::MIN, |since| since.parse().unwrap());
            let of_topic: Vec<Value> = rows
                .iter()
                .filter(|row| row["topic"] == topic["topic"])
                .filter(|row| row["timestamp"].as_i64().unwrap() >= least)
                .cloned()
                .collect();
            let times = times(&of_topic);
            assert_eq!(topic["messages"], times.len());
            assert_eq!(topic["earliest"].as_i64(), times.first().copied());
            assert_eq!(topic["latest"].as_i64(), times.last().copied());
        }
    }
}

#[test]
fn a_reader_that_leaves_early_ends_a_list_quietly() {
    let archive = Archive::known();
    archive.sql(MANY);
    for arguments in [
        &["list-archive"][..],
        &["list-archive", "--json"],
        &["list-archive", "--count"],
        &["topics", "--archived"],
        &["completions", "bash"],
        &["man"],
        &["config", "show"],
        &["config", "check"],
    ] {
        let ran = archive.run_unread(arguments).clean();
        assert_eq!(ran.stderr, "", "{arguments:?}");
    }
}

#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let archive = Archive::known();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = archive
        .command(&["list-archive"])
        .stdout(full)
        .output()
        .unwrap();
    let ran = Ran {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    ran.refused(3, &["stdout cannot be written"]);
}

#[test]
fn commands_that_read_say_that_there_is_no_archive_yet_and_create_nothing() {
    let archive = Archive::none();
    for arguments in [
        &["list-archive"][..],
        &["list-archive", "--count"],
        &["fetch-uuid", "6b6e6f77-6e2d-6461-7461-2d7575696431"],
        &["verify"],
        &["topics", "--archived"],
    ] {
        let says = [
            "no catalogue at archive/catalogue.sqlite yet",
            "archive_ingest run",
        ];
        archive.run(arguments).refused(3, &says);
        assert!(!archive.path("archive").exists(), "{arguments:?}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_and_exit_2() {
    let archive = Archive::none();
    for (arguments, says) in [
        (
            &["list-archive", "--since", "soon"][..],
            &["--since \"soon\"", "2024-05-01"][..],
        ),
        (
            &["list-archive", "--until", "2024-05-01T12:00:00"],
            &["--until", "offset"],
        ),
        (
            &["list-archive", "--since", "1h", "--until", "2h"],
            &["--since 1h is after --until 2h"],
        ),
        (&["list-archive", "--topic", "gcn.["], &["--topic", "gcn.["]),
        (&["list-archive", "--topic", ""], &["--topic", "empty"]),
        (
            &["verify", "--sample", "some"],
            &["--sample", "\"some\"", "2.5%"],
        ),
        (&["verify", "--sample", "0%"], &["--sample", "0%"]),
        (&["verify", "--since", "9999999w"], &["--since", "9999999w"]),
        (&["fetch-uuid", "nonsense"], &["\"nonsense\" is no UUID"]),
        (
            &["fetch-uuid", "--json", "--bson", "-"],
            &["--json", "--bson"],
        ),
        (&["topics"], &["--archived", "-H"]),
    ] {
        archive.run(arguments).refused(2, says);
    }
}
