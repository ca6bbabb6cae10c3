//! A cluster is lost; what was archived comes back onto a new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive_ingest::catalogue::{Catalogue, Origin, Row};
use archive_ingest::envelope;
use archive_ingest::kafka::known_records;
use archive_ingest::record::{Record, TimestampType};
use archive_ingest::store::Store;

use super::{assert_same_stream, content, restore};
use crate::support::broker::plain_records;
use crate::support::{Archived, Broker, OwnKafka, Place};

/// A topic whose times the broker set.
const APPENDED: &str = "known.appended";

/// Every case of the known data, and times of the broker's.
fn publish(broker: &Broker) -> Vec<Record> {
    let mut records = known_records();
    for record in &mut records {
        record.topic = broker.name(&record.topic).into();
    }
    let mut partitions: BTreeMap<Arc<str>, i32> = BTreeMap::new();
    for record in &records {
        let most = partitions.entry(record.topic.clone()).or_default();
        *most = (*most).max(record.partition + 1);
    }
    for (topic, partitions) in partitions {
        broker.create_named(&topic, partitions, &[]);
    }
    let appended = broker.name(APPENDED);
    let by_broker = [("message.timestamp.type", "LogAppendTime")];
    broker.create_named(&appended, 1, &by_broker);
    records.extend(plain_records(&appended, 1, 3));
    broker.send(&records);
    records
}

/// An archive of its own, of the topics of `first` on `cluster`.
fn place_on(cluster: &OwnKafka, first: &Broker) -> Option<Place> {
    let mut place = Place::real(&Broker::at(&cluster.address))?;
    place.set("hop", "hop-topics", &format!("[{:?}]", first.all_topics()));
    Some(place)
}

#[test]
fn a_lost_cluster_comes_back_with_every_field_and_is_archived_equal() {
    let Some(lost) = OwnKafka::start(1) else {
        return;
    };
    let broker = Broker::at(&lost.address);
    let Some(mut place) = place_on(&lost, &broker) else {
        return;
    };
    let sent = publish(&broker).len();
    place.run_to_end();
    let before = place.archived();
    drop(lost);

    let Some(new) = OwnKafka::start(1) else {
        return;
    };
    let address = format!("{:?}", new.address);
    place.set("hop", "hop-hostname", &address);
    let (_, report) = restore(&place, &["--topic", "*", "--create-topics"], 0);
    assert_eq!(report["restored"], sent);
    assert_eq!(report["near"].as_array().map(Vec::len), Some(3));

    let second = place_on(&new, &broker).expect("the services are there");
    second.run_to_end();
    let after = second.archived();
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_equal_but_for_the_offset(before, after);
    }
    for topic in ["known.uuids", "known.values"] {
        let retries = |place: &Place| -> Vec<_> {
            let of_topic = place
                .catalogue()
                .retries(&broker.name(topic), 0, 0..i64::MAX);
            let retries = of_topic.expect("a readable catalogue").into_iter();
            retries.map(|retry| (retry.uuid, retry.timestamp)).collect()
        };
        assert_eq!(retries(&place), retries(&second));
    }
}

/// Offsets, and what follows from them: UUIDs that are derived.
#[track_caller]
fn assert_equal_but_for_the_offset(before: &Archived, after: &Archived) {
    let mut expected = before.record.clone();
    if expected.timestamp_type == TimestampType::LogAppend {
        expected.timestamp_type = TimestampType::Create;
        let original = format!("{} log_append", expected.timestamp);
        expected.headers.push(archive_ingest::record::Header {
            name: b"_archive_timestamp".to_vec(),
            value: Some(original.into_bytes()),
        });
    }
    assert_eq!(expected.topic, after.record.topic);
    let at = (&expected.topic, expected.partition, expected.offset);
    assert!(content(&expected) == content(&after.record), "{at:?}");
    let (old, new) = (&before.annotations, &after.annotations);
    assert_eq!(old.is_client_uuid, new.is_client_uuid, "{at:?}");
    if old.is_client_uuid {
        assert_eq!(before.row.uuid, after.row.uuid, "{at:?}");
    }
    assert_eq!(old.requested_uuid, new.requested_uuid, "{at:?}");
    assert_eq!(old.raw_header_names, new.raw_header_names, "{at:?}");
    let texts = |row: &Row| {
        let Row {
            title,
            sender,
            media_type,
            file_name,
            originator,
            ..
        } = row.clone();
        (title, sender, media_type, file_name, originator)
    };
    assert_eq!(texts(&before.row), texts(&after.row), "{at:?}");
    assert_eq!(before.row.message_crc32, after.row.message_crc32, "{at:?}");
}

/// What no producer of today can put onto a broker, put into the archive.
fn put(catalogue: &dyn Catalogue, store: &dyn Store, record: &Record) -> Row {
    let delivery = envelope::delivery(record);
    let uuid = envelope::derived_uuid(&delivery, 0);
    let notes = envelope::annotate(record, delivery.digest, uuid, false);
    let key = envelope::object_key(&record.topic, record.timestamp, uuid);
    let body = envelope::encode(record, &notes);
    let row = Row {
        topic: record.topic.clone(),
        timestamp: record.timestamp,
        uuid,
        size: body.len() as i32,
        key: key.clone(),
        bucket: store.bucket().to_owned(),
        crc32: crc32fast::hash(&body),
        is_client_uuid: false,
        public: false,
        direct_upload: false,
        message_crc32: notes.message_crc32,
        title: String::new(),
        sender: String::new(),
        media_type: notes.media_type.clone(),
        file_name: String::new(),
        originator: String::new(),
        retracted: false,
        origin: Some(Origin {
            partition: record.partition,
            offset: record.offset,
            timestamp_type: record.timestamp_type,
            digest: delivery.digest,
            topic_id: None,
        }),
        object_offset: None,
        signature: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(store.put_new(&key, body)).expect("stored");
    let added = catalogue.upkeep().adopt(std::slice::from_ref(&row));
    assert_eq!(added.expect("a catalogue"), [uuid]);
    row
}

#[test]
fn what_the_client_cannot_produce_is_as_near_as_can_be_and_keeps_its_original() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.name("odd-times");
    let (catalogue, store) = (place.catalogue(), place.store());
    catalogue.migrate().expect("a new catalogue");
    let mut records = plain_records(&topic, 1, 3);
    records[0].timestamp = 0;
    (records[1].timestamp, records[1].timestamp_type) = (-1, TimestampType::None);
    for record in &records {
        put(&*catalogue, &*store, record);
    }
    let target = broker.foreign_name("odd-times");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    let (_, report) = restore(&place, &options, 0);
    let near = &report["topics"][0]["near"];
    assert_eq!(
        (&near["timestamp_zero"], &near["no_timestamp"]),
        (&1.into(), &1.into())
    );
    let found = broker.committed(&target);
    let times: Vec<i64> = found.iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [1, -1, records[2].timestamp]);
    let original = |number: usize| {
        let header = found[number].headers.last()?;
        assert_eq!(header.name, b"_archive_timestamp");
        header.value.clone()
    };
    assert_eq!(original(0), Some(b"0 create".to_vec()));
    assert_eq!(original(1), Some(b"-1 none".to_vec()));
    assert!(found[2].headers.is_empty());
}

#[test]
fn a_topic_that_was_made_anew_comes_back_one_life_after_the_other() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("twice", 1);
    let all = plain_records(&topic, 1, 30);
    broker.send(&all[..10]);
    place.run_to_end();
    broker.delete(&topic);
    broker.create("twice", 1);
    // Offsets begin at 0 again, which is what tells the second life, and it
    // grows past the first.
    for more in [&all[10..20], &all[20..]] {
        broker.send(more);
        place.run_to_end();
    }
    assert_eq!(place.archived().len(), 30);
    let target = broker.foreign_name("lives");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    restore(&place, &options, 0);
    assert_same_stream(&all, &broker.committed(&target));
}

#[test]
fn an_archive_on_sqlite_and_a_directory_is_restored_alike() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create("local", 3);
    let (records, retries) = crate::support::records::with_client_uuids(&topic, 3, 300);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("local");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    let (_, report) = restore(&place, &options, 0);
    assert_eq!(
        (&report["restored"], &report["topics"][0]["retries"]),
        (&300.into(), &retries.into())
    );
    assert_same_stream(&records, &broker.committed(&target));
    let (_, again) = restore(&place, &options, 0);
    assert_eq!(again["restored"], 0);
}
