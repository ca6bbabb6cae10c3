//! The archive read back by Python, equal to what was sent: with the library
//! that archive-core uses, and with pymongo's.

use std::path::Path;

use archive_ingest::record::Record;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::python::Python;
use crate::support::{Archived, Place};

/// What was sent, as the script takes it.
fn expected(archived: &Archived, object: &str) -> Value {
    let Record {
        topic,
        partition,
        offset,
        timestamp,
        timestamp_type,
        key,
        value,
        headers,
    } = sent(archived);
    let asked = headers
        .iter()
        .filter(|header| header.name == b"_id")
        .find_map(|header| Uuid::from_slice(header.value.as_deref()?).ok());
    // The only one of the known records whose UUID was claimed before.
    let too_late = value.as_deref() == Some(b"another message");
    let headers: Vec<Value> = headers
        .iter()
        .map(|header| json!([hex::encode(&header.name), in_hex(&header.value)]))
        .collect();
    json!({
        "object": object,
        "topic": *topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "timestamp_type": timestamp_type.as_str(),
        "key": in_hex(&key),
        "value": in_hex(&value),
        "headers": headers,
        "client_uuid": asked.filter(|_| !too_late),
        "requested_uuid": asked.filter(|_| too_late),
    })
}

/// The record as it was produced, of which only the place is taken from the
/// archive.
fn sent(archived: &Archived) -> Record {
    let at = &archived.record;
    archive_ingest::kafka::known_records()
        .into_iter()
        .find(|r| r.topic == at.topic && r.partition == at.partition && r.offset == at.offset)
        .expect("it was produced")
}

fn in_hex(bytes: &Option<Vec<u8>>) -> Option<String> {
    bytes.as_ref().map(hex::encode)
}

/// Writes the objects and what is expected of them.
fn export(archived: &[Archived], folder: &Path) {
    let mut all = vec![];
    for (number, message) in archived.iter().enumerate() {
        let name = format!("{number}.bson");
        std::fs::write(folder.join(&name), &message.body).expect("a folder of ours");
        all.push(expected(message, &name));
    }
    let text = Value::from(all).to_string();
    std::fs::write(folder.join("expected.json"), text).expect("a folder of ours");
}

fn reads_what_was_sent(python: Option<Python>) {
    let Some(python) = python else { return };
    let place = Place::embedded();
    place.write("veto.list", "sys.heartbeat");
    place.run_to_end();
    let archived = place.archived();
    let folder = tempfile::tempdir().expect("a temporary folder");
    export(&archived, folder.path());
    let folder = folder.path().to_str().expect("UTF-8");
    let read = python.run("read_archive.py", &[folder], &[]);
    assert_eq!(read.trim(), archived.len().to_string());
    assert_eq!(archived.len(), 35);
}

#[test]
fn the_bson_package_reads_every_known_record_as_it_was_sent() {
    reads_what_was_sent(Python::of("TEST_PY_BSON"));
}

#[test]
fn pymongo_reads_every_known_record_as_it_was_sent() {
    reads_what_was_sent(Python::of("TEST_PY_CLIENTS"));
}
