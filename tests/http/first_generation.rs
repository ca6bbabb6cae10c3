//! The first generation of the API, as its users ask: with curl.

use std::process::Command;

use serde_json::{Value, json};

use crate::scene::Serving;

/// What curl prints: the body, and the status on a line of its own.
fn curl(serving: &Serving, arguments: &[&str], path: &str) -> (u16, Value) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://{}/{path}", serving.address))
        .output()
        .expect("curl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (status.parse().expect("a number"), body)
}

fn get(serving: &Serving, path: &str) -> Value {
    let (status, body) = curl(serving, &[], path);
    assert_eq!(status, 200, "{body}");
    body
}

fn post_range(serving: &Serving, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let json = ["-H", "Content-Type: application/json", "-d", body.as_str()];
    curl(serving, &json, "api/topic/range")
}

#[test]
fn topics_and_their_messages_are_listed_whole_for_a_client_that_knows_no_pages() {
    let serving = Serving::known_data();
    let archived = serving.archived();
    let topics = get(&serving, "api/topics");
    let topics = topics["topics"].as_array().expect("an array");
    let mut listed = 0;
    for topic in topics {
        let topic = topic.as_str().expect("text");
        let list = get(&serving, &format!("api/topic/{topic}"));
        assert_eq!(list["topic"], topic);
        let messages = list["messages"].as_array().expect("an array");
        for message in messages {
            let row = &archived
                .iter()
                .find(|m| json!(m.row.uuid) == message["uuid"])
                .expect("archived")
                .row;
            let told = json!({"uuid": row.uuid, "timestamp": row.timestamp, "key": row.key, "topic": topic});
            assert_eq!(message, &told);
        }
        listed += messages.len();
    }
    assert_eq!(listed, archived.len());
    assert_eq!(get(&serving, "api/topic/no.such")["messages"], json!([]));
}

#[test]
fn a_client_that_knows_pages_gets_them() {
    let serving = Serving::known_data();
    let topic = &serving.archived()[0].row.topic;
    let whole = get(&serving, &format!("api/topic/{topic}"));
    let mut messages = vec![];
    let mut bookmark = String::new();
    loop {
        let page = get(
            &serving,
            &format!("api/topic/{topic}?limit=1&page={bookmark}"),
        );
        messages.extend(page["messages"].as_array().expect("an array").clone());
        match page["next"].as_str() {
            Some(next) => bookmark = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(Value::from(messages), whole["messages"]);
}

#[test]
fn a_message_is_shown_with_its_value_headers_and_metadata() {
    let serving = Serving::known_data();
    for message in serving.archived() {
        let uuid = message.row.uuid;
        let shown = get(&serving, &format!("api/message/{uuid}"));
        assert_eq!(shown["id"], json!(uuid));
        let details = &shown["details"];
        let value = message.record.value.as_deref().map(std::str::from_utf8);
        match value {
            None => assert_eq!(details["message"], Value::Null),
            Some(Ok(text)) => assert_eq!(details["message"], text),
            Some(Err(_)) => assert!(details["message"]["base64"].is_string()),
        }
        let headers = details["headers"].as_array().expect("an array");
        assert_eq!(headers.len(), message.record.headers.len());
        assert_eq!(details["metadata"]["topic"], &*message.row.topic);
        assert_eq!(details["metadata"]["offset"], message.record.offset);
    }
    let (status, _) = curl(&serving, &[], "api/message/nonsense");
    assert_eq!(status, 400);
    let (status, _) = curl(
        &serving,
        &[],
        "api/message/00000000-0000-4000-8000-000000000000",
    );
    assert_eq!(status, 404);
}

#[test]
fn messages_of_a_range_of_days_are_listed_with_those_of_the_last_day() {
    let serving = Serving::known_data();
    let archived = serving.archived();
    let all = json!({"start_date": "1970-01-01", "end_date": "9999-12-30"});
    let (status, list) = post_range(&serving, &all);
    assert_eq!((status, &list["topic"]), (200, &json!("")));
    let dated = archived.iter().filter(|m| m.row.timestamp >= 0).count();
    assert_eq!(list["messages"].as_array().expect("an array").len(), dated);
    // Of one day, of which every one is the first and the last.
    let timestamp = archived
        .iter()
        .map(|m| m.row.timestamp)
        .max()
        .expect("some");
    let day = timestamp.div_euclid(86_400_000);
    let date = jiff::Timestamp::from_millisecond(timestamp)
        .expect("a time")
        .to_string();
    let (status, list) = post_range(
        &serving,
        &json!({"start_date": date[..10], "end_date": date[..10]}),
    );
    let of_day = archived
        .iter()
        .filter(|m| m.row.timestamp.div_euclid(86_400_000) == day);
    assert_eq!(status, 200);
    assert_eq!(
        list["messages"].as_array().expect("an array").len(),
        of_day.count()
    );
}

#[test]
fn a_range_without_one_of_its_dates_is_refused() {
    let serving = Serving::known_data();
    for body in [
        json!({"start_date": "2024-01-01"}),
        json!({"end_date": "2024-01-01"}),
        json!({"start_date": "yesterday", "end_date": "2024-01-01"}),
        json!([]),
    ] {
        let (status, answer) = post_range(&serving, &body);
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].is_string(), "{answer}");
    }
}
