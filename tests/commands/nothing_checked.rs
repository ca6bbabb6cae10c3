//! A check that checked nothing has not held.

use serde_json::Value;

use crate::archive::Archive;
use crate::support::{Broker, Place};

fn summary(archive: &Archive, code: i32, options: &[&str]) -> Value {
    let ran = archive.run(&[&["verify", "--json"], options].concat());
    let lines = ran.ended(code).json_lines();
    lines.last().unwrap()["summary"].clone()
}

#[test]
fn an_unknown_topic_is_refused_with_the_nearest_name() {
    let archive = Archive::known();
    archive
        .run(&["verify", "--topic", "known.valeus"])
        .refused(2, &["known.valeus", "known.values"]);
    archive
        .run(&["verify", "--topic", "known.keys", "--topic", "other.*"])
        .refused(2, &["other.*"]);
    summary(&archive, 0, &["--topic", "known.val*"]);
}

#[test]
fn a_verify_of_nothing_has_not_held() {
    let archive = Archive::known();
    let nothing = summary(&archive, 1, &["--since", "1000", "--until", "1000"]);
    assert_eq!(nothing["held"], Value::Null);
    let allowed = summary(
        &archive,
        0,
        &["--since", "1000", "--until", "1000", "--allow-empty"],
    );
    assert_eq!(allowed["held"], Value::Null);
    let shown = archive
        .run(&["verify", "--since", "1000", "--until", "1000"])
        .ended(1);
    assert!(shown.text().contains("nothing was checked"));
}

#[test]
fn an_empty_part_of_an_archive_that_has_messages_says_so() {
    let archive = Archive::known();
    let parts = (1..=97).map(|part| format!("{part}/97"));
    let part = parts.into_iter().find(|part| {
        let summary = archive.run(&["verify", "--json", "--subset", part]);
        summary.json_lines().last().unwrap()["summary"]["messages"] == 0
    });
    let part = part.expect("35 messages do not fill 97 parts");
    let empty = summary(&archive, 0, &["--subset", &part]);
    assert_eq!(empty["held"], Value::Null);
    let shown = archive.run(&["verify", "--subset", &part]).clean();
    assert!(
        shown
            .text()
            .contains("this part of --subset has no messages")
    );
    archive.sql("DELETE FROM messages; DELETE FROM topics");
    summary(&archive, 1, &["--subset", &part]);
}

#[test]
fn only_reading_says_that_everything_held() {
    let archive = Archive::known();
    let quick = archive.run(&["verify"]).clean().text();
    assert!(
        quick.contains("sizes match") && !quick.contains("held"),
        "{quick}"
    );
    let status = archive.run(&["status"]).clean().text();
    assert!(
        status.contains("sizes match") && !status.contains("held"),
        "{status}"
    );
    let deep = archive.run(&["verify", "--deep"]).clean().text();
    assert!(deep.contains("everything held"), "{deep}");
}

#[test]
fn a_run_whose_topics_match_nothing_is_exit_1_with_the_nearest_name() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create("measured", 1);
    let mistyped = topic.replace("measured", "mesaured");
    place.set("hop", "hop-topics", &format!("\"{mistyped}\""));
    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains(&topic), "{ended}");
}
