//! `status --check`: whether anything needs a person.

use std::fs;

use serde_json::Value;

use crate::archive::Archive;

fn status(archive: &Archive, code: i32) -> Value {
    let ran = archive.run(&["status", "--check", "--json"]);
    ran.ended(code).json_lines()[0].clone()
}

fn reasons(status: &Value) -> String {
    status["needs_attention"].to_string()
}

#[test]
fn an_archive_needs_nobody_once_it_is_verified_and_as_long_as_it_holds() {
    let archive = Archive::known();
    assert!(reasons(&status(&archive, 1)).contains("no verify"));
    archive.run(&["verify", "--topic", "known.keys"]).clean();
    assert!(reasons(&status(&archive, 1)).contains("no verify"));
    archive.run(&["verify"]).clean();
    assert_eq!(status(&archive, 0)["needs_attention"], Value::Array(vec![]));

    archive.sql(
        "INSERT INTO gaps (topic, kafka_partition, from_offset, to_offset) VALUES ('known.keys', 1, 5, 9)",
    );
    assert!(reasons(&status(&archive, 1)).contains("1 gaps"));
    archive.run(&["verify", "--acknowledge-gaps"]).clean();
    status(&archive, 0);

    fs::remove_file(archive.object(&archive.text_message().1)).unwrap();
    archive.run(&["verify"]).ended(1);
    assert!(reasons(&status(&archive, 1)).contains("1 defects"));
}

#[test]
fn a_store_that_does_not_answer_needs_a_person_and_leaves_the_rest_of_the_status() {
    let archive = Archive::known();
    archive.run(&["verify"]).clean();
    fs::rename(archive.path("archive/store"), archive.path("away")).unwrap();
    let away = status(&archive, 1);
    assert_eq!(
        (&away["messages"], &away["store"]),
        (&35.into(), &Value::Null)
    );
    assert!(reasons(&away).contains("store"), "{away}");
    archive.run(&["status"]).clean();
}

#[test]
fn status_shows_when_messages_were_archived_and_no_message_of_the_future() {
    let archive = Archive::known();
    let before = jiff::Timestamp::now();
    let (uuid, _) = archive.text_message();
    archive.sql(&format!(
        "UPDATE messages SET timestamp = 4102444800000 WHERE uuid = '{uuid}'"
    ));
    let status = &archive.run(&["status", "--json"]).clean().json_lines()[0];
    assert_eq!(status["messages_last_hour"], 0);
    let at = status["last_archived"]["archived_at"].as_str().unwrap();
    let at: jiff::Timestamp = at.parse().unwrap();
    let age = before.duration_since(at).as_secs();
    assert!((0..600).contains(&age), "{at}");
    // Of older rows it is not known.
    archive.sql("UPDATE messages SET archived_at = NULL");
    let status = &archive.run(&["status", "--json"]).clean().json_lines()[0];
    assert_eq!(status["last_archived"]["archived_at"], Value::Null);
}
