//! What was sent against what is archived.

use std::collections::{BTreeMap, BTreeSet};

use archive_ingest::catalogue::Catalogue;
use archive_ingest::envelope;
use archive_ingest::record::Record;
use uuid::Uuid;

use super::archived::{Archived, place};

/// Every record of `sent` is there exactly once with every field as it was,
/// and nothing else is there.
#[track_caller]
pub fn assert_exactly(sent: &[Record], archived: &[Archived]) {
    let mut sent: Vec<&Record> = sent.iter().collect();
    sent.sort_by(|a, b| place(a).cmp(&place(b)));
    let expected: Vec<_> = sent.iter().map(|record| place(record)).collect();
    let found: Vec<_> = archived.iter().map(|a| place(&a.record)).collect();
    if expected != found {
        let wanted: BTreeSet<_> = expected.iter().collect();
        let there: BTreeSet<_> = found.iter().collect();
        let missing: Vec<_> = wanted.difference(&there).take(10).collect();
        let surplus: Vec<_> = there.difference(&wanted).take(10).collect();
        panic!(
            "{} sent, {} archived; missing {missing:?}, never sent {surplus:?}; \
             with neither, something is there twice",
            expected.len(),
            found.len()
        );
    }
    for (sent, archived) in sent.iter().zip(archived) {
        assert_same(sent, &archived.record);
        assert_sound(archived);
    }
}

/// Field by field: a difference is told without printing a megabyte.
#[track_caller]
fn assert_same(sent: &Record, found: &Record) {
    let at = place(sent);
    assert_eq!(sent.timestamp, found.timestamp, "timestamp of {at:?}");
    assert_eq!(
        sent.timestamp_type, found.timestamp_type,
        "timestamp type of {at:?}"
    );
    assert_eq!(sent.key, found.key, "key of {at:?}");
    assert_eq!(sent.headers, found.headers, "headers of {at:?}");
    assert_eq!(
        sent.value.is_none(),
        found.value.is_none(),
        "a tombstone is not an empty value: {at:?}"
    );
    assert!(sent.value == found.value, "value of {at:?}");
}

/// Row, object and document agree with each other.
#[track_caller]
fn assert_sound(archived: &Archived) {
    let (row, record, notes) = (&archived.row, &archived.record, &archived.annotations);
    let delivery = envelope::delivery(record);
    assert_eq!(row.uuid, notes.uuid);
    assert_eq!(
        row.size as usize,
        archived.body.len(),
        "size of {}",
        row.uuid
    );
    assert_eq!(row.crc32, crc32fast::hash(&archived.body), "{}", row.uuid);
    let of_value = crc32fast::hash(record.value.as_deref().unwrap_or_default());
    assert_eq!(row.message_crc32, of_value, "{}", row.uuid);
    assert_eq!(notes.message_crc32, of_value, "{}", row.uuid);
    assert_eq!(row.is_client_uuid, notes.is_client_uuid, "{}", row.uuid);
    assert_eq!(row.delivery().as_ref(), Some(&delivery), "{}", row.uuid);
    // Another archiver's documents say no digest, and have keys of their own.
    if notes.digest.is_none() {
        return;
    }
    assert_eq!(notes.digest, Some(delivery.digest), "{}", row.uuid);
    let key = envelope::object_key(&record.topic, record.timestamp, row.uuid);
    assert_eq!(row.key, key);
}

/// Every object in the store is a row's.
#[track_caller]
pub fn assert_no_orphan(archived: &[Archived], keys: &[String]) {
    let rows: BTreeSet<&str> = archived.iter().map(|a| a.row.key.as_str()).collect();
    let objects: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    let orphans: Vec<_> = objects.difference(&rows).take(10).collect();
    assert!(orphans.is_empty(), "objects without a row: {orphans:?}");
    assert_eq!(
        objects.len(),
        rows.len(),
        "each row has an object of its own"
    );
}

/// As [`assert_exactly`], where `retries` of the records repeat another one and
/// are remembered instead of stored: all are there exactly once, as a message
/// or as a retry of one.
#[track_caller]
pub fn assert_each_once(
    sent: &[Record],
    retries: usize,
    archived: &[Archived],
    catalogue: &dyn Catalogue,
) {
    let partitions: BTreeSet<(&str, i32)> = sent.iter().map(|r| (&*r.topic, r.partition)).collect();
    let repeated: BTreeMap<(&str, i32, i64), Uuid> = partitions
        .into_iter()
        .flat_map(|(topic, partition)| {
            catalogue
                .retries(topic, partition, 0..i64::MAX)
                .expect("a readable catalogue")
                .into_iter()
                .map(move |retry| ((topic, partition, retry.offset), retry.uuid))
        })
        .collect();
    assert_eq!(repeated.len(), retries, "retries");
    let (again, messages): (Vec<Record>, Vec<Record>) = sent
        .iter()
        .cloned()
        .partition(|record| repeated.contains_key(&place(record)));
    assert_exactly(&messages, archived);
    let stored: BTreeMap<Uuid, &Archived> = archived.iter().map(|a| (a.row.uuid, a)).collect();
    for record in &again {
        let message = stored[&repeated[&place(record)]];
        assert_eq!(
            message.annotations.digest,
            Some(envelope::delivery(record).digest),
            "a retry has its message's content"
        );
    }
}
