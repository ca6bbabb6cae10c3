//! Several workers on the same topics: each record is archived exactly once.

use std::collections::HashSet;

use crate::support::broker::plain_records_from;
use crate::support::compare::{assert_each_once, assert_exactly, assert_no_orphan};
use crate::support::records::with_client_uuids;
use crate::support::{Archived, Broker, Place, Process};

const PARTITIONS: i32 = 6;

/// Small batches, so that many are under way at once.
fn place(broker: &Broker) -> Option<Place> {
    let mut place = Place::real(broker)?;
    place.set("archive", "archive-batch-records", "50");
    Some(place)
}

#[test]
fn workers_of_one_group_that_join_and_die_in_the_middle_archive_each_record_once() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = place(&broker) else {
        return;
    };
    let topic = broker.create("shared", PARTITIONS);
    let mut records = plain_records_from(&topic, PARTITIONS, 0..3000);
    broker.send(&records);
    let first = place.start(&["run"]);
    place.wait_for_rows(100);
    let second = place.start(&["run", "--json"]);
    second.wait_for("partitions more");
    let more = plain_records_from(&topic, PARTITIONS, 3000..4500);
    broker.send(&more);
    place.wait_for_rows(3200);
    first.kill();
    let last = plain_records_from(&topic, PARTITIONS, 4500..6000);
    broker.send(&last);
    records.extend(more);
    records.extend(last);
    place.wait_for_rows(records.len() as u64);
    second.signal("TERM");
    let summary = second.ended().clean().summary();
    assert!(summary.archived > 0, "both have worked");
    let archived = place.archived();
    assert_exactly(&records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}

#[test]
fn workers_of_two_groups_on_one_archive_agree_whose_each_uuid_is() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = place(&broker) else {
        return;
    };
    let topic = broker.create("twice", PARTITIONS);
    let (records, retries) = with_client_uuids(&topic, PARTITIONS, 3000);
    broker.send(&records);
    let workers: Vec<Process> = ["a", "b"]
        .iter()
        .map(|group| {
            let mut command = place.command(&["run", "--until-eos", "--json"]);
            command.env("HOP_GROUPNAME", broker.name(group));
            Process::start(command)
        })
        .collect();
    let summaries: Vec<_> = workers
        .into_iter()
        .map(|worker| worker.ended().clean().summary())
        .collect();
    let read = |s: &crate::support::program::Summary| s.archived + s.duplicates;
    assert!(summaries.iter().all(|s| read(s) == 3000), "{summaries:?}");
    let archived = place.archived();
    let new: u64 = summaries.iter().map(|summary| summary.archived).sum();
    assert_eq!(new, archived.len() as u64, "{summaries:?}");
    assert_each_once(&records, retries, &archived, &*place.catalogue());
    assert_no_orphan(&archived, &place.object_keys());
    assert_claims_are_consistent(&archived);
}

/// Every UUID that was asked for is one message's, and whoever else asked for
/// it says so.
fn assert_claims_are_consistent(archived: &[Archived]) {
    let owned: HashSet<_> = archived
        .iter()
        .filter(|message| message.row.is_client_uuid)
        .map(|message| message.row.uuid)
        .collect();
    let mut refused = 0;
    for message in archived {
        if let Some(requested) = message.annotations.requested_uuid {
            assert!(owned.contains(&requested), "{requested} is nobody's");
            refused += 1;
        }
    }
    assert!(refused > 0, "some UUIDs were asked for twice");
}
