//! Who may see and do what.

use crate::http;
use crate::scene::{PASSWORD, Serving, USER, basic};
use crate::support::Place;

#[test]
fn without_a_credential_only_public_messages_are_seen() {
    let serving = Serving::with_credential();
    let archived = serving.archived();
    let (public, private): (Vec<_>, Vec<_>) = archived.iter().partition(|m| m.row.public);
    assert!(!public.is_empty() && !private.is_empty());
    for message in &archived {
        let status = if message.row.public { 200 } else { 401 };
        for path in ["/msg/{}", "/msg/{}/raw_file/f", "/api/message/{}"] {
            let path = path.replace("{}", &message.row.uuid.to_string());
            let answer = serving.get(&path).with(status);
            let asked = answer.header("www-authenticate").unwrap_or_default();
            assert_eq!(asked.contains("SCRAM-SHA-512"), status == 401, "{asked}");
            serving.get_known(&path).with(200);
        }
    }
    let count = |answer: http::Answer| answer.with(200).bson().get_i32("count").expect("a number");
    assert_eq!(count(serving.get("/messages/count")) as usize, public.len());
    assert_eq!(
        count(serving.get_known("/messages/count")) as usize,
        archived.len()
    );
    let listed = serving.get("/messages?limit=64").with(200).bson();
    let listed = listed.get_array("messages").expect("an array");
    assert_eq!(listed.len(), public.len());
    let range = br#"{"start_date": "1970-01-01", "end_date": "9999-12-30"}"#;
    let listed = http::ask(
        serving.address,
        "POST",
        "/api/topic/range",
        &[],
        Some(range),
    );
    let listed = listed.with(200).json()["messages"]
        .as_array()
        .expect("an array")
        .len();
    assert_eq!(
        listed,
        public.iter().filter(|m| m.row.timestamp >= 0).count()
    );
    let topics = serving.get("/api/topics").with(200).json();
    let known = serving.get_known("/api/topics").with(200).json();
    let length = |topics: &serde_json::Value| topics["topics"].as_array().expect("an array").len();
    assert!(length(&topics) < length(&known));
}

#[test]
fn a_wrong_credential_is_refused_also_where_none_is_needed() {
    let serving = Serving::with_credential();
    for header in [
        basic(USER, "wrong"),
        basic("somebody", PASSWORD),
        "Authorization: Bearer token".to_owned(),
        "Authorization: Basic !!!".to_owned(),
    ] {
        let answer = serving.get_with("/topics", &[&header]).with(401);
        assert!(answer.header("www-authenticate").is_some());
    }
}

#[test]
fn ten_thousand_wrong_passwords_leave_it_responsive_and_guess_no_more_than_a_few_a_second() {
    let serving = Serving::with_credential();
    let mut looked_at = 0;
    let began = std::time::Instant::now();
    for n in 0..10_000 {
        let answer = serving.get_with("/topics", &[&basic(USER, &n.to_string())]);
        match answer.status {
            401 => looked_at += 1,
            429 => assert_eq!(answer.header("retry-after"), Some("1")),
            other => panic!("{other}"),
        }
        if n % 1000 == 0 {
            serving.get("/topics").with(200);
        }
    }
    let most = 30.0 + 6.0 * began.elapsed().as_secs_f64();
    assert!(
        f64::from(looked_at) < most,
        "{looked_at} in {:?}",
        began.elapsed()
    );
    // Once some failures are forgiven, the right one is taken again.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while serving.get_known("/topics").status != 200 {
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn without_a_credential_it_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000", "example.org:8000"] {
        let mut place = Place::embedded();
        place.set("listen", "api-listen", &format!("{address:?}"));
        for command in [&["serve"][..], &["run", "--until-eos"]] {
            let ended = place.run(command);
            assert_eq!(ended.code, Some(2), "{ended}");
            assert!(ended.stderr.contains("API_USERNAME"), "{ended}");
        }
        // What listens to nothing does not mind.
        assert_ne!(place.run(&["list-archive"]).code, Some(2));
    }
    let mut place = Place::embedded();
    place.run_to_end();
    crate::scene::give_credential(&mut place);
    place.set("listen", "api-listen", "\"0.0.0.0:0\"");
    let process = place.start(&["serve"]);
    crate::scene::address(&process, "archive API on http://");
}
