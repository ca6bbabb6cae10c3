//! A service that is away for longer than Kafka waits for a member that does
//! not poll.

use std::time::Duration;

use archive_ingest::record::Record;

use super::{assert_told_once, finish, lines, services};
use crate::support::broker::plain_records_from;
use crate::support::proxy::{Mode, Proxy};
use crate::support::{Broker, Place};

/// Kafka expels a member that does not poll for 10 s.
const GROUP: &str = "{ \"session.timeout.ms\" = 6000, \"heartbeat.interval.ms\" = 500, \
                     \"max.poll.interval.ms\" = 10000 }";
const OUTAGE: Duration = Duration::from_secs(18);

/// Bytes: what waits on Kafka meanwhile, what the program may hold of it, and
/// by how much its memory may grow with everything around that.
const WAITING: usize = 64 << 20;
const BUDGET: &str = "8_388_608";
const GROWTH: u64 = 32 << 20;

const FEW: usize = 10;
const VALUE: usize = 128 << 10;

fn large_records(topic: &str, numbers: std::ops::Range<usize>) -> Vec<Record> {
    let mut records = plain_records_from(topic, 2, numbers);
    for record in &mut records {
        record.value = Some(vec![record.offset as u8; VALUE]);
    }
    records
}

/// `part` goes away when the run has begun, and comes back.
fn an_outage_is_outlasted(broker: &Broker, mut place: Place, proxy: &Proxy, part: &str) {
    let topic = broker.create("outage", 2);
    place.set("hop", "hop-properties", GROUP);
    place.set("archive", "archive-memory-bytes", BUDGET);
    let mut records = large_records(&topic, 0..FEW);
    broker.send(&records);
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(FEW as u64);
    let members = broker.members(&broker.name("group"));
    assert_eq!(members.len(), 1);

    proxy.set(Mode::Refuse);
    let memory = process.memory();
    let more = large_records(&topic, FEW..FEW + WAITING / VALUE);
    broker.send(&more);
    records.extend(more);
    process.wait_for("trying again until it works");
    std::thread::sleep(OUTAGE);
    let grown = process.memory().saturating_sub(memory);
    assert!(grown < GROWTH, "{grown} bytes more while {part} was away");
    assert_eq!(broker.members(&broker.name("group")), members);
    assert_eq!(lines(&process.log(), "partitions more").len(), 1);
    assert!(lines(&process.log(), "giving up").is_empty());

    proxy.set(Mode::Pass);
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, part);
    let summary = ended.summary();
    assert_eq!(
        (summary.archived, summary.duplicates),
        (records.len() as u64, 0)
    );
}

#[test]
fn a_store_that_is_down_for_longer_than_the_poll_interval_pauses_the_run_within_its_memory() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let proxy = place.store_through_proxy();
    an_outage_is_outlasted(&broker, place, &proxy, "store");
}

#[test]
fn a_database_that_is_down_for_longer_than_the_poll_interval_pauses_the_run_within_its_memory() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let proxy = place.database_through_proxy();
    an_outage_is_outlasted(&broker, place, &proxy, "catalogue");
}
