//! Memory is bounded by what is held, whatever shape the records have.

use std::time::Duration;

use archive_ingest::record::{Header, Record};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::program::Ended;
use crate::support::{Broker, Place};

const BOUND: u64 = 256 << 20;

fn megabytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// Runs a command to its end and asserts its bound.
fn bounded(place: &Place, arguments: &[&str], bound: u64) -> Ended {
    let (ended, peak) = place.start(arguments).ended_with_peak();
    println!("{arguments:?}: {} MiB, {:.0?}", megabytes(peak), ended.took);
    assert!(
        peak <= bound,
        "{arguments:?} took {} MiB, more than {}",
        megabytes(peak),
        megabytes(bound)
    );
    ended
}

/// A header without name and value takes three bytes on the wire and fifty in
/// memory.
#[test]
fn records_of_99000_empty_headers_are_archived_within_256_mib() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create("many-headers", 1);
    let mut records = plain_records(&topic, 1, 60);
    let empty = Header {
        name: vec![],
        value: Some(vec![]),
    };
    for record in &mut records {
        record.headers = vec![empty.clone(); 99_000];
    }
    broker.send_large(&records, 1_000_000);
    bounded(&place, &["run", "--until-eos", "--json"], BOUND).clean();
    bounded(&place, &["verify", "--deep", "--json"], BOUND).clean();
    assert_exactly(&records[..3], &place.archived()[..3]);
}

/// Two of the headers are texts that the row has too.
#[test]
fn records_with_large_texts_are_archived_verified_listed_and_rebuilt_within_256_mib() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::local(&broker) else {
        return;
    };
    let topic = broker.create("large-texts", 1);
    let mut records = plain_records(&topic, 1, 350);
    for (number, record) in records.iter_mut().enumerate() {
        let text = |name: &str| Header {
            name: name.into(),
            value: Some(format!("{}{number}", "é".repeat(225_000)).into_bytes()),
        };
        record.headers = vec![text("title"), text("file_name")];
    }
    for some in records.chunks(50) {
        broker.send_large(some, 1_000_000);
    }
    bounded(&place, &["run", "--until-eos", "--json"], BOUND).clean();
    bounded(&place, &["verify", "--deep", "--json"], BOUND).clean();
    let listed = bounded(&place, &["list-archive", "--json"], BOUND).clean();
    assert_eq!(listed.stdout.lines().count(), 350);
    let first = listed.stdout.lines().next().expect("350 of them");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    let title = first["title"].as_str().expect("a title");
    assert_eq!(title, "é".repeat(2048));

    place.use_another_database();
    bounded(&place, &["rebuild-catalogue", "--json"], BOUND);
    assert_exactly(&records[..3], &place.archived()[..3]);
}

/// Rows that were written before texts were bounded.
#[test]
fn older_rows_with_longer_texts_have_no_defect_and_fit_the_memory() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("older-rows", 1);
    let mut records = plain_records(&topic, 1, 3);
    let title = "x".repeat(100_000);
    for record in &mut records {
        record.headers = vec![Header {
            name: b"title".to_vec(),
            value: Some(title.clone().into_bytes()),
        }];
    }
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, 3);
    place.execute(&format!("UPDATE messages SET title = '{title}'"));
    place.run(&["verify", "--deep", "--json"]).clean();
    let listed = place.run(&["list-archive", "--json"]).clean();
    assert!(
        listed.stdout.len() < 20_000,
        "{} bytes",
        listed.stdout.len()
    );
    place.execute("UPDATE messages SET title = 'another'");
    assert_eq!(place.run(&["verify", "--deep", "--json"]).code, Some(1));
}

/// Few bytes on the wire, many when they are decompressed: not all at once.
#[test]
fn large_decompressed_batches_of_many_partitions_are_held_one_after_another() {
    const TOPICS: usize = 8;
    const SIZE: usize = 100_000_000;
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker.address)
        .set("compression.type", "gzip")
        .set("message.max.bytes", "1000000000")
        .create()
        .expect("a producer");
    let mut records: Vec<Record> = vec![];
    for number in 0..TOPICS {
        let topic = broker.create(&format!("zeros-{number}"), 1);
        let mut record = plain_records(&topic, 1, 1).remove(0);
        record.key = None;
        record.value = Some(vec![0; SIZE]);
        let sent = BaseRecord::<(), [u8]>::to(&topic)
            .partition(0)
            .timestamp(record.timestamp)
            .payload(record.value.as_deref().expect("just set"));
        producer.send(sent).expect("room in the queue");
        producer
            .flush(Duration::from_secs(60))
            .expect("acknowledged");
        // The tests hold one at a time too.
        record.value = None;
        records.push(record);
    }
    // Six of the largest batch: three that librdkafka has decompressed, the record, its
    // document, and one that is about to be freed.
    let bound = 6 * SIZE as u64 + (100 << 20);
    let ended = bounded(&place, &["run", "--until-eos", "--json"], bound).clean();
    assert_eq!(ended.summary().archived, TOPICS as u64);
    place.run(&["verify", "--deep", "--json"]).clean();
}
