//! Messages with the topic, the time and the CRC-32 of one that archive-core
//! has stored: only the message itself is taken for it.
//!
//! archive-core's rows do not say where on the stream a message was. When it is
//! read again its row is found by topic, timestamp and CRC, which anybody can
//! forge: four bytes at the end of a value make any CRC.

use archive_ingest::record::Record;
use uuid::Uuid;

use crate::support::broker::plain_records;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::records::client_uuid;
use crate::support::{Archived, Broker, Place, foreign};

/// Of each five: forged values before and after the message itself, which is
/// the third, and at last the same value under another key.
const FIVE: usize = 5;
const MESSAGE: usize = 2;
const OTHER_KEY: usize = 4;

#[test]
fn on_postgresql_and_s3_a_forged_crc_hides_neither_its_own_message_nor_the_other() {
    hides_nothing(Place::real);
}

#[test]
fn on_sqlite_and_a_directory_a_forged_crc_hides_neither_its_own_message_nor_the_other() {
    hides_nothing(Place::local);
}

fn hides_nothing(place: fn(&Broker) -> Option<Place>) {
    // All in one batch, and each in one of its own.
    for batch in ["1000", "1"] {
        let Some(broker) = Broker::connect() else {
            return;
        };
        let Some(mut place) = place(&broker) else {
            return;
        };
        place.set("archive", "archive-batch-records", batch);
        let records = forged(&broker.create("forged", 1));
        place.catalogue().migrate().expect("an empty database");
        let messages = records.chunks(FIVE).map(|five| &five[MESSAGE]);
        let uuids: Vec<Uuid> = messages
            .map(|message| foreign::archive(&place, message))
            .collect();
        let objects = place.object_keys();
        broker.send(&records);

        let summary = place.run_to_end();
        let (new, known) = (records.len() - uuids.len(), uuids.len());
        let seen = (summary.archived as usize, summary.duplicates as usize);
        assert_eq!(seen, (new, known));
        assert_kept(&place, &records, &uuids, &objects);

        place.set("hop", "hop-groupname", "\"random\"");
        let again = place.run_to_end();
        assert_eq!(
            (again.archived, again.duplicates),
            (0, records.len() as u64)
        );
        assert_kept(&place, &records, &uuids, &objects);
    }
}

/// Messages and forgeries of them. Those with a client UUID are forged under
/// the same UUID.
fn forged(topic: &str) -> Vec<Record> {
    let mut records = plain_records(topic, 1, 4 * FIVE);
    for (number, five) in records.chunks_mut(FIVE).enumerate() {
        let message = five[MESSAGE].clone();
        let value = message.value.clone().expect("plain records have one");
        for (place, record) in five.iter_mut().enumerate() {
            record.timestamp = message.timestamp;
            if place != OTHER_KEY {
                record.key = message.key.clone();
            }
            if number % 2 == 1 {
                record.headers = vec![client_uuid(number)];
            }
            record.value = Some(match place {
                MESSAGE | OTHER_KEY => value.clone(),
                _ => with_crc(format!("forged {place}").into(), crc32fast::hash(&value)),
            });
        }
    }
    records
}

/// `value` with four bytes more, so that its CRC-32 is `crc`.
fn with_crc(mut value: Vec<u8>, crc: u32) -> Vec<u8> {
    // What each byte adds to the register; the upper byte tells which it was.
    let table: Vec<u32> = (0..=u8::MAX)
        .map(|byte| !crc32fast::hash(&[!byte]) ^ 0x00ff_ffff)
        .collect();
    let now = !crc32fast::hash(&value);
    let mut register = !crc;
    for _ in 0..4 {
        let byte = table
            .iter()
            .position(|added| added >> 24 == register >> 24)
            .expect("each upper byte is one byte's");
        register = (register ^ table[byte]) << 8 | byte as u32;
    }
    value.extend((register ^ now).to_le_bytes());
    assert_eq!(crc32fast::hash(&value), crc);
    value
}

#[track_caller]
fn assert_kept(place: &Place, records: &[Record], uuids: &[Uuid], objects: &[String]) {
    let archived = place.archived();
    assert_exactly(records, &archived);
    let keys = place.object_keys();
    assert_no_orphan(&archived, &keys);
    assert!(objects.iter().all(|key| keys.contains(key)));
    // The rows that were there are the messages' own, and no forgery's.
    let (theirs, ours): (Vec<&Archived>, Vec<&Archived>) = archived
        .iter()
        .partition(|message| message.annotations.digest.is_none());
    let of_theirs: Vec<Uuid> = theirs.iter().map(|message| message.row.uuid).collect();
    assert_eq!(of_theirs, uuids);
    assert!(
        theirs
            .iter()
            .all(|message| message.record.offset as usize % FIVE == MESSAGE)
    );
    assert!(ours.iter().all(|message| !message.row.is_client_uuid));
    place.run(&["verify", "--deep"]).clean();
}
