//! `verify` a part a night, gaps that somebody knows of, and what is kept of it.

use std::fs;

use serde_json::Value;

use crate::archive::{Archive, text};

fn summary(archive: &Archive, code: i32, options: &[&str]) -> Value {
    let ran = archive.run(&[&["verify", "--json"], options].concat());
    let lines = ran.ended(code).json_lines();
    lines.last().unwrap()["summary"].clone()
}

#[test]
fn seven_nights_look_at_every_message_and_every_object_once() {
    let archive = Archive::known();
    let foreign = archive.object("known.values/notes.txt");
    fs::write(&foreign, "mine").unwrap();
    fs::remove_file(archive.object(&archive.text_message().1)).unwrap();
    let (mut messages, mut objects, mut kinds) = (0, 0, vec![]);
    for night in 1..=7 {
        let part = format!("{night}/7");
        let ran = archive.run(&["verify", "--deep", "--json", "--subset", &part]);
        let lines = ran.json_lines();
        let found = lines.iter().filter_map(|line| line.get("defect"));
        kinds.extend(found.map(|defect| text(&defect["kind"])));
        let summary = &lines.last().unwrap()["summary"];
        messages += summary["messages"].as_u64().unwrap();
        objects += summary["objects"].as_u64().unwrap();
    }
    kinds.sort();
    assert_eq!(kinds, ["foreign_object", "missing_object"]);
    assert_eq!((messages, objects), (35, 35));
}

#[test]
fn a_part_that_is_none_is_refused() {
    let archive = Archive::none();
    for part in ["8/7", "0/7", "seven"] {
        archive
            .run(&["verify", "--subset", part])
            .refused(2, &["--subset", part, "3/7"]);
    }
    archive
        .run(&["verify", "--in-flight", "soon"])
        .refused(2, &["--in-flight", "soon", "15m"]);
    archive
        .run(&["rebuild-catalogue", "--shard", "3"])
        .refused(2, &["--shard"]);
}

#[test]
fn a_gap_that_somebody_knows_of_is_listed_and_is_no_defect() {
    let archive = Archive::known();
    for topic in ["known.keys", "known.values"] {
        archive.sql(&format!(
            "INSERT INTO gaps (topic, kafka_partition, from_offset, to_offset) VALUES ('{topic}', 1, 5, 9)"
        ));
    }
    let acknowledge = ["verify", "--acknowledge-gaps", "--topic", "known.keys"];
    let known = archive.run(&acknowledge).clean().text();
    assert_eq!(known, "1 gaps are known from now on\n");
    let one = summary(&archive, 1, &[]);
    assert_eq!(
        (&one["acknowledged_gaps"], &one["defects_by_kind"]["gap"]),
        (&1.into(), &1.into())
    );
    archive.run(&["verify", "--acknowledge-gaps"]).clean();
    let none = summary(&archive, 0, &[]);
    assert_eq!(
        (&none["acknowledged_gaps"], &none["defects"]),
        (&2.into(), &0.into())
    );
    let shown = archive.run(&["verify"]).clean().text();
    let gaps = shown.lines().filter(|line| line.starts_with("gap: "));
    assert_eq!(gaps.count(), 2, "{shown}");
    assert!(shown.contains("(acknowledged)"), "{shown}");
}

#[test]
fn status_tells_when_verify_ran_and_what_it_found() {
    let archive = Archive::known();
    let status = |archive: &Archive| -> Value {
        let lines = archive.run(&["status", "--json"]).clean().json_lines();
        lines[0].clone()
    };
    assert_eq!(status(&archive)["last_verify"], Value::Null);
    summary(&archive, 0, &["--deep", "--subset", "1/1"]);
    let held = status(&archive)["last_verify"].clone();
    assert_eq!(held["options"], "--deep --subset 1/1");
    assert_eq!(
        (&held["messages"], &held["defects"]),
        (&35.into(), &0.into())
    );
    fs::remove_file(archive.object(&archive.text_message().1)).unwrap();
    summary(&archive, 1, &[]);
    let found = status(&archive)["last_verify"].clone();
    assert_eq!(found["defects_by_kind"]["missing_object"], 1);
    assert!(text(&found["finished"]) >= text(&found["started"]));
    let shown = archive.run(&["status"]).clean().text();
    assert!(shown.contains("1 DEFECTS (missing_object 1)"), "{shown}");
}

#[test]
fn what_one_night_found_is_shown_until_it_is_mended_or_looked_at_again() {
    let archive = Archive::known();
    let (_, key) = archive.text_message();
    let object = archive.object(&key);
    let away = archive.path("away");
    fs::rename(&object, &away).unwrap();
    let found: Vec<i32> = (1..=7)
        .map(|night| {
            let part = format!("{night}/7");
            archive.run(&["verify", "--subset", &part]).code
        })
        .collect();
    assert_eq!(found.iter().filter(|code| **code == 1).count(), 1);
    let status = || archive.run(&["status", "--json"]).clean().json_lines()[0].clone();
    let left = || -> i64 {
        let status = status();
        let verifies = status["verifies"].as_array().unwrap().clone();
        verifies
            .iter()
            .map(|one| one["left"].as_i64().unwrap())
            .sum()
    };
    assert_eq!(
        (status()["verifies"].as_array().unwrap().len(), left()),
        (7, 1)
    );
    let shown = archive.run(&["status"]).clean().text();
    assert!(shown.contains("1 DEFECTS (missing_object 1)"), "{shown}");

    let backup = archive.path("archive/store/copies").join(&key);
    fs::create_dir_all(backup.parent().unwrap()).unwrap();
    fs::rename(&away, &backup).unwrap();
    let repair = ["verify", "--repair", "--backup-bucket", "copies"];
    archive
        .run(&[&repair[..], &["--dry-run"]].concat())
        .ended(1);
    assert_eq!(
        (left(), status()["last_verify"]["mended"].clone()),
        (1, 0.into())
    );
    archive.run(&repair).clean();
    assert_eq!(
        (left(), status()["last_verify"]["mended"].clone()),
        (0, 1.into())
    );
    let shown = archive.run(&["status"]).clean().text();
    assert!(shown.contains("(missing_object 1), all mended"), "{shown}");
}

#[test]
fn against_kafka_needs_a_kafka() {
    let archive = Archive::known();
    archive
        .run(&["verify", "--against-kafka"])
        .refused(2, &["--against-kafka", "-H"]);
}
