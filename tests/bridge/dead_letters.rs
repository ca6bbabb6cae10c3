//! Records that the agent can never take.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::records::Inward;
use crate::scene::eventually;
use crate::support::broker::plain_records;
use crate::support::unique;
use crate::topic;

#[test]
fn what_the_agent_can_never_take_is_set_aside_with_the_reason() {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let refuses = |body: &Value| if body["bad"] == json!(true) { 422 } else { 200 };
    let receiver = Receiver::at(any, Arc::default(), refuses);
    let Some(mut inward) = Inward::new(receiver.address) else {
        return;
    };
    let dead = format!("dead-letters-{}", unique());
    inward
        .scene
        .set("bridge-dead-letter-topic", &format!("{dead:?}"));
    let topic = inward.broker.create("acapy-inbound-test", 1);
    let _bridge = inward.scene.start_with_agent();
    let kafka = &inward.broker.address;
    let values = ["{\"n\":0}", "no json", "{\"bad\":true}", "", "{\"n\":1}"];
    topic::send(kafka, &topic, values.map(|value| (0, value.to_owned())));
    eventually("the others go on", || {
        (receiver.bodies().len() >= 2).then_some(())
    });
    assert_eq!(receiver.bodies(), [json!({"n": 0}), json!({"n": 1})]);
    let letters = topic::read(kafka, &dead);
    let reasons: Vec<&str> = letters
        .iter()
        .map(|letter| letter.headers["dead-letter-reason"].as_str())
        .collect();
    assert_eq!(letters.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("not JSON"), "{reasons:?}");
    assert!(
        reasons[1].contains("422") && reasons[1].contains("said"),
        "{reasons:?}"
    );
    assert_eq!(letters[0].value.as_deref(), Some(&b"no json"[..]));
    assert_eq!(letters[1].headers["dead-letter-topic"], topic);
    assert_eq!(letters[1].headers["dead-letter-offset"], "2");
}

#[test]
fn a_record_that_no_dead_letter_can_hold_is_named_by_one_and_the_next_is_not_held_up() {
    let receiver = Receiver::start();
    let Some(mut inward) = Inward::new(receiver.address) else {
        return;
    };
    let dead = inward.broker.foreign_name("dead-letters");
    inward
        .scene
        .set("bridge-dead-letter-topic", &format!("{dead:?}"));
    let most = [("max.message.bytes", "4000000")];
    let topic = inward.broker.create_with("acapy-inbound-test", 1, &most);
    let _bridge = inward.scene.start_with_agent();
    let mut records = plain_records(&topic, 1, 3);
    records[0].value = Some(b"{\"n\":0}".to_vec());
    records[1].value = Some(vec![b'x'; 3_000_000]);
    records[2].value = Some(b"{\"n\":1}".to_vec());
    inward.broker.send_large(&records, 4_000_000);
    eventually("the others go on", || {
        (receiver.bodies().len() >= 2).then_some(())
    });
    assert_eq!(receiver.bodies(), [json!({"n": 0}), json!({"n": 1})]);
    let letters = topic::read(&inward.broker.address, &dead);
    assert_eq!(letters.len(), 1);
    let headers = &letters[0].headers;
    assert_eq!(letters[0].value, None);
    assert_eq!(headers["dead-letter-topic"], topic);
    assert_eq!(headers["dead-letter-partition"], "0");
    assert_eq!(headers["dead-letter-offset"], "1");
    let reason = &headers["dead-letter-reason"];
    assert!(
        reason.contains("not JSON") && reason.contains("3000000 bytes"),
        "{reason}"
    );
}
