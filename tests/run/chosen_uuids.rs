//! Clients that choose their UUIDs to do harm: every message is kept, under a
//! UUID that follows from the rules, and none replaces or hides another.

use std::collections::BTreeMap;

use archive_ingest::envelope;
use archive_ingest::record::Record;
use uuid::Uuid;

use crate::support::broker::plain_records;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::records::{asking_for, client_uuid};
use crate::support::{Archived, Broker, Place, Process};

const DAY: i64 = 86_400_000;

/// Everything is there as it was sent, under the UUIDs that the rules give.
#[track_caller]
fn assert_kept(records: &[Record], place: &Place) -> Vec<Archived> {
    let archived = place.archived();
    assert_exactly(records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
    archived.iter().for_each(assert_uuid_follows_from_the_rules);
    place.run(&["verify", "--deep"]).clean();
    archived
}

/// The client's UUID, or one of those that the delivery derives, with a note of
/// what was asked for.
#[track_caller]
fn assert_uuid_follows_from_the_rules(message: &Archived) {
    let (row, notes) = (&message.row, &message.annotations);
    let asked = envelope::client_uuid(&message.record.headers);
    if asked == Some(row.uuid) {
        assert_eq!((row.is_client_uuid, notes.requested_uuid), (true, None));
        return;
    }
    assert_eq!((row.is_client_uuid, notes.requested_uuid), (false, asked));
    assert!(derived(&message.record).contains(&row.uuid), "{}", row.uuid);
}

/// The UUIDs that a delivery may derive: more than anybody takes here.
fn derived(record: &Record) -> [Uuid; 4] {
    let delivery = envelope::delivery(record);
    [0, 1, 2, 3].map(|attempt| envelope::derived_uuid(&delivery, attempt))
}

#[test]
fn of_messages_that_ask_two_workers_for_one_uuid_at_once_one_has_it_and_all_are_kept() {
    const PARTITIONS: i32 = 6;
    const UUIDS: usize = 50;
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("archive", "archive-batch-records", "30");
    let (one, other) = (
        broker.create("one", PARTITIONS),
        broker.create("other", PARTITIONS),
    );
    // Of each six in a row, in six partitions: two on the same topic and day,
    // two on another day, two on another topic, one of them with the content of
    // the first. All ask for one UUID.
    let mut records = plain_records(&one, PARTITIONS, 6 * UUIDS);
    for (number, record) in records.iter_mut().enumerate() {
        record.headers = vec![client_uuid(number / 6)];
        if number % 6 >= 4 {
            record.topic = other.as_str().into();
        }
        if (number / 2) % 3 == 1 {
            record.timestamp += DAY;
        }
    }
    for six in records.chunks_mut(6) {
        six[4].key = six[0].key.clone();
        six[4].value = six[0].value.clone();
    }
    give_offsets(&mut records);
    let workers: Vec<Process> = (0..2)
        .map(|_| {
            let worker = place.start(&["run", "--json"]);
            worker.wait_for("partitions more");
            worker
        })
        .collect();
    broker.send(&records);
    place.wait_for_rows(records.len() as u64);
    for worker in workers {
        worker.signal("TERM");
        let summary = worker.ended().clean().summary();
        assert!(summary.archived > 0, "both have worked");
    }
    let archived = assert_kept(&records, &place);
    let mut owners: BTreeMap<Uuid, usize> = BTreeMap::new();
    for message in archived.iter().filter(|m| m.row.is_client_uuid) {
        *owners.entry(message.row.uuid).or_default() += 1;
    }
    assert_eq!(owners.len(), UUIDS);
    assert!(owners.values().all(|&messages| messages == 1));
}

/// The offsets that the records get, in their order, in new topics.
fn give_offsets(records: &mut [Record]) {
    let mut next: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for record in records {
        let end = next
            .entry((record.topic.to_string(), record.partition))
            .or_default();
        record.offset = *end;
        *end += 1;
    }
}

/// Records without a client UUID, and for each of them two that ask for the
/// UUIDs which it derives: on the same topic and day, so under the same keys.
struct Attack {
    broker: Broker,
    place: Place,
    victims: Vec<Record>,
    attackers: Vec<Record>,
}

impl Attack {
    /// Partition 0 has the victims, 1 and 2 have the attackers.
    fn new() -> Option<Self> {
        let broker = Broker::connect()?;
        let place = Place::real(&broker)?;
        let all = plain_records(&broker.create("attacked", 3), 3, 60);
        let (victims, mut attackers): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|record| record.partition == 0);
        for (victim, attackers) in victims.iter().zip(attackers.chunks_mut(2)) {
            for (attacker, uuid) in attackers.iter_mut().zip(derived(victim)) {
                attacker.headers = vec![asking_for(uuid)];
            }
        }
        Some(Self {
            broker,
            place,
            victims,
            attackers,
        })
    }

    fn all(&self) -> Vec<Record> {
        [&self.victims[..], &self.attackers[..]].concat()
    }

    /// Sends these, all of which are new messages.
    #[track_caller]
    fn archive(&self, records: &[Record]) {
        self.broker.send(records);
        assert_eq!(self.place.run_to_end().archived as usize, records.len());
    }

    /// Everything is kept, and known again when it is read again. How many
    /// victims have the first UUID that they derive.
    #[track_caller]
    fn unharmed(mut self) -> usize {
        let all = self.all();
        let archived = assert_kept(&all, &self.place);
        self.place.set("hop", "hop-groupname", "\"random\"");
        let again = self.place.run_to_end();
        assert_eq!((again.archived, again.duplicates as usize), (0, all.len()));
        assert_kept(&all, &self.place);
        let firsts = self.victims.iter().map(|victim| derived(victim)[0]);
        let firsts: Vec<Uuid> = firsts.collect();
        let has_first = |m: &&Archived| !m.row.is_client_uuid && firsts.contains(&m.row.uuid);
        archived.iter().filter(has_first).count()
    }
}

#[test]
fn a_record_whose_uuids_a_client_took_before_is_kept_under_another() {
    let Some(attack) = Attack::new() else { return };
    attack.archive(&attack.attackers);
    attack.archive(&attack.victims);
    assert_eq!(attack.unharmed(), 0);
}

#[test]
fn a_client_that_asks_for_the_uuid_of_an_archived_record_gets_another() {
    let Some(attack) = Attack::new() else { return };
    attack.archive(&attack.victims);
    attack.archive(&attack.attackers);
    assert_eq!(attack.unharmed(), 20);
}

#[test]
fn a_client_that_asks_for_the_uuids_of_records_in_the_same_batch_harms_none() {
    let Some(attack) = Attack::new() else { return };
    attack.archive(&attack.all());
    attack.unharmed();
}
