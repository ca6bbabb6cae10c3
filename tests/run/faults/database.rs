//! A database that hangs, breaks off, or does and does not say so.

use std::time::Duration;

use super::{Counter, assert_told_once, finish, lines, services};
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::proxy::{Deed, Mode};

fn is_commit(request: &[u8]) -> bool {
    request.windows(7).any(|bytes| bytes == b"COMMIT\0")
}

#[test]
fn commits_whose_answers_are_lost_and_connections_that_are_reset_archive_each_record_once() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("reset", 2);
    let records = plain_records(&topic, 2, 600);
    let proxy = place.database_through_proxy();
    place.set("archive", "archive-batch-records", "20");
    let process = place.start(&["run", "--json"]);
    process.wait_for("partitions more");
    let (commits, others) = (Counter::default(), Counter::default());
    let (lost, reset) = (commits.clone(), others.clone());
    proxy.decide(move |request| match is_commit(request) {
        true if lost.next() % 3 == 0 => Deed::LoseAnswer,
        // A batch on a new connection prepares its statements first: some 30 requests.
        false if reset.next() % 75 == 0 => Deed::Reset,
        _ => Deed::Pass,
    });
    broker.send(&records);
    let ended = finish(&place, process, &records);
    assert!(commits.count() > 20 && others.count() > 40);
    assert_eq!(lines(&ended.stderr, "WARN").len(), 1, "{ended}");
    let summary = ended.summary();
    assert!(summary.archived < 600, "no COMMIT's answer was lost");
    // What was committed unheard is met again.
    assert_eq!(summary.archived + summary.duplicates, 600, "{summary:?}");
}

/// The second COMMIT never arrives: the server is left within a transaction
/// that holds the records' claims.
#[test]
fn a_connection_that_hangs_for_ever_in_a_transaction_is_given_up_by_both_sides() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("hang", 2);
    let records = plain_records(&topic, 2, 200);
    let proxy = place.database_through_proxy();
    place.set("archive", "archive-batch-records", "50");
    place.set("db", "db-request-timeout-seconds", "2");
    let process = place.start(&["run", "--json"]);
    process.wait_for("partitions more");
    let commits = Counter::default();
    proxy.decide(
        move |request| match is_commit(request) && commits.next() == 2 {
            true => Deed::Hang,
            false => Deed::Pass,
        },
    );
    broker.send(&records);
    process.wait_for("trying again until it works");
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "catalogue");
}

#[test]
fn a_database_that_hangs_in_mid_query_is_waited_for_and_goes_on() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("stall", 2);
    let mut records = plain_records(&topic, 2, 100);
    broker.send(&records);
    let proxy = place.database_through_proxy();
    place.set("db", "db-request-timeout-seconds", "2");
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(100);
    proxy.set(Mode::Hang);
    let more = plain_records_from(&topic, 2, 100..300);
    broker.send(&more);
    records.extend(more);
    process.wait_for("trying again until it works");
    std::thread::sleep(Duration::from_secs(3));
    proxy.set(Mode::Pass);
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "catalogue");
}
