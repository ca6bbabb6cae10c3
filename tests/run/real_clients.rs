//! Messages of the clients that people use, archived and found again by their
//! UUIDs.

use std::io::Write;
use std::process::{Command, Stdio};

use archive_ingest::envelope;
use archive_ingest::record::{Header, TimestampType};
use serde::Deserialize;

use crate::support::broker::Access;
use crate::support::python::Python;
use crate::support::skip::service;
use crate::support::{Broker, Place};

/// What the script of hop-client printed.
#[derive(Deserialize)]
struct Published {
    uuid: String,
    /// In hex.
    value: String,
    headers: Vec<(String, String)>,
}

fn publish_with_hop(topic: &str) -> Option<Published> {
    let python = Python::of("TEST_PY_CLIENTS")?;
    let (address, credential) = Broker::listener(Access::SaslSsl("SCRAM-SHA-512"))?;
    let credential = credential?;
    let printed = python.run(
        "publish_with_hop.py",
        &[&address, topic, credential.ca.to_str().expect("UTF-8")],
        &[
            ("HOP_USERNAME", &credential.username),
            ("HOP_PASSWORD", &credential.password),
        ],
    );
    Some(serde_json::from_str(&printed).expect("what the script prints"))
}

fn publish_with_kcat(broker: &Broker, topic: &str, value: &[u8]) -> Option<()> {
    let mut kcat = Command::new(service("TEST_KCAT")?)
        .args(["-P", "-b", &broker.address, "-t", topic, "-k", "a key"])
        .args(["-H", "name=value", "-H", "without"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat runs");
    let mut stdin = kcat.stdin.take().expect("piped");
    stdin.write_all(value).expect("kcat reads");
    drop(stdin);
    assert!(kcat.wait().expect("our child").success());
    Some(())
}

#[track_caller]
fn assert_fetched(place: &Place, uuid: &str, value: &[u8]) {
    let fetched = place.run(&["fetch-uuid", "--payload", uuid]).clean();
    assert_eq!(fetched.stdout.as_bytes(), value);
}

#[test]
fn a_message_of_hop_client_is_fetched_by_the_uuid_that_hop_client_gave_it() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real_with(&broker, Access::SaslSsl("SCRAM-SHA-512")) else {
        return;
    };
    let topic = broker.create("hop", 1);
    let Some(published) = publish_with_hop(&topic) else {
        return;
    };
    assert_eq!(place.run_to_end().archived, 1);
    let [message] = &place.archived()[..] else {
        panic!("one message");
    };
    let headers: Vec<(String, String)> = message
        .record
        .headers
        .iter()
        .map(|Header { name, value }| {
            let name = String::from_utf8(name.clone()).expect("hop's names are text");
            (
                name,
                hex::encode(value.as_deref().expect("hop has no null")),
            )
        })
        .collect();
    assert_eq!(headers, published.headers);
    assert_eq!(message.row.uuid.to_string(), published.uuid);
    assert!(message.row.is_client_uuid);
    assert_eq!(message.row.title, "A title");
    assert_eq!(
        message.row.sender,
        service("TEST_KAFKA_USER").expect("used")
    );
    assert_eq!(message.row.media_type, "application/json");
    let value = hex::decode(&published.value).expect("hex");
    assert_fetched(&place, &published.uuid, &value);
}

#[test]
fn a_message_of_kcat_is_fetched_by_its_derived_uuid() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("kcat", 1);
    let value = "a line from kcat, grüße".as_bytes();
    if publish_with_kcat(&broker, &topic, value).is_none() {
        return;
    }
    assert_eq!(place.run_to_end().archived, 1);
    let [message] = &place.archived()[..] else {
        panic!("one message");
    };
    let record = &message.record;
    assert_eq!(
        (&*record.topic, record.partition, record.offset),
        (&*topic, 0, 0)
    );
    assert_eq!(record.key.as_deref(), Some(&b"a key"[..]));
    assert_eq!(record.value.as_deref(), Some(value));
    assert_eq!(record.timestamp_type, TimestampType::Create);
    let headers = [
        Header {
            name: b"name".to_vec(),
            value: Some(b"value".to_vec()),
        },
        Header {
            name: b"without".to_vec(),
            value: None,
        },
    ];
    assert_eq!(record.headers, headers);
    let derived = envelope::derived_uuid(&envelope::delivery(record), 0);
    assert_eq!(message.row.uuid, derived);
    assert!(!message.row.is_client_uuid);
    assert_fetched(&place, &derived.to_string(), value);
}
