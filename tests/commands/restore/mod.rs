//! `restore`: what is archived comes back onto Kafka as it was, each once.

mod away;
mod exact;
mod identity;
mod killed;
mod lives;
mod refused;
mod selected;

use std::time::{Duration, Instant};

use archive_ingest::record::{Record, TimestampType};
use serde_json::Value;

use crate::support::program::Ended;
use crate::support::{Broker, Place, Process};

/// An archive on the services, of what is on this broker.
fn real() -> Option<(Broker, Place)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    Some((broker, place))
}

/// Waits for the first records of a restore that is under way.
#[track_caller]
fn wait_for_records(broker: &Broker, target: &str, restoring: &Process) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while broker.committed(target).is_empty() {
        assert!(Instant::now() < deadline, "{}", restoring.log());
    }
}

/// `restore --json`, and what it reports.
#[track_caller]
fn restore(place: &Place, options: &[&str], code: i32) -> (Ended, Value) {
    let all = [&["restore", "--json"], options].concat();
    let ended = place.run(&all);
    assert_eq!(ended.code, Some(code), "{ended}");
    let report = serde_json::from_str(&ended.stdout).unwrap_or(Value::Null);
    (ended, report)
}

/// Exit 2, nothing on stdout, and lines that say all of this.
#[track_caller]
fn refused(place: &Place, options: &[&str], says: &[&str]) {
    let (ended, _) = restore(place, options, 2);
    assert!(ended.stdout.is_empty(), "{ended}");
    for text in says {
        assert!(ended.stderr.contains(text), "{text:?} is not in {ended}");
    }
}

/// What a record is, without where on which topic it lies.
fn content(record: &Record) -> Record {
    Record {
        topic: "".into(),
        offset: 0,
        ..record.clone()
    }
}

/// The same records, partition by partition, in the same order, without
/// regard to offsets.
#[track_caller]
fn assert_same_stream(expected: &[Record], found: &[Record]) {
    let mut expected: Vec<&Record> = expected.iter().collect();
    expected.sort_by_key(|record| (record.partition, record.offset));
    let mut found: Vec<&Record> = found.iter().collect();
    found.sort_by_key(|record| (record.partition, record.offset));
    for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let (expected, found) = (content(expected), content(found));
        let at = (number, expected.partition, expected.timestamp);
        assert_eq!(expected.partition, found.partition, "{at:?}");
        assert_eq!(expected.timestamp, found.timestamp, "{at:?}");
        assert_eq!(expected.key, found.key, "{at:?}");
        assert_eq!(expected.headers, found.headers, "{at:?}");
        assert!(expected.value == found.value, "value of {at:?}");
        assert_eq!(found.timestamp_type, TimestampType::Create, "{at:?}");
    }
    assert_eq!(expected.len(), found.len(), "how many");
}
