//! What is told when something is down.

use crate::scene::Serving;

#[test]
fn health_is_200_while_all_answers_and_503_with_what_does_not() {
    let serving = Serving::known_data();
    let healthy = serving.get("/health_check").with(200).json();
    assert_eq!(
        healthy,
        serde_json::json!({"DatabaseOK": true, "ObjectStoreOK": true})
    );
    serving.get("/readyz").with(200);
    let (objects, away) = (serving.place.path("objects"), serving.place.path("away"));
    std::fs::rename(&objects, &away).expect("a folder of ours");
    // What was found a moment ago serves for a second.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while serving.get("/health_check").status == 200 {
        assert!(std::time::Instant::now() < deadline, "never told");
    }
    let sick = serving.get("/health_check").with(503).json();
    assert_eq!(
        sick,
        serde_json::json!({"DatabaseOK": true, "ObjectStoreOK": false})
    );
    let reasons = serving.get("/readyz").with(503).json();
    assert_eq!(reasons["reasons"].as_array().expect("an array").len(), 1);
    serving.get("/livez").with(200);
    let uuid = {
        let list = serving.get("/messages?meta=1&limit=1").with(200).bson();
        let messages = list.get_array("messages").expect("an array");
        let annotations = messages[0]
            .as_document()
            .expect("one")
            .get_document("annotations");
        annotations
            .expect("there")
            .get_str("con_text_uuid")
            .expect("text")
            .to_owned()
    };
    let missing = serving.get(&format!("/msg/{uuid}"));
    assert!(matches!(missing.status, 500 | 503), "{missing:?}");
    std::fs::rename(&away, &objects).expect("a folder of ours");
    serving.get(&format!("/msg/{uuid}")).with(200);
}

#[test]
fn a_damaged_object_is_never_sent_as_if_it_were_whole() {
    let serving = Serving::known_data();
    let message = serving
        .archived()
        .into_iter()
        .max_by_key(|m| m.row.size)
        .expect("some");
    let path = serving
        .place
        .path("objects")
        .join(&message.row.bucket)
        .join(&message.row.key);
    let mut bytes = std::fs::read(&path).expect("an object");
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    let mut permissions = std::fs::metadata(&path).expect("there").permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).expect("ours");
    std::fs::write(&path, &bytes).expect("ours");
    let answer = serving.get(&format!("/msg/{}", message.row.uuid));
    // It was begun before the damage could be seen, and is cut off.
    let announced = answer
        .header("content-length")
        .expect("told")
        .parse::<usize>();
    assert!(answer.status != 200 || answer.body.len() < announced.expect("a number"));
}
