//! A run that is told to stop while a service is away or hangs.

use std::time::{Duration, Instant};

use super::{Counter, assert_all_there, lines, services};
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::proxy::{Deed, Mode, Proxy};
use crate::support::{Place, Process};

/// What `archive-shutdown-seconds` says, and what leaving the group and a busy
/// machine may take beyond it.
const SHUTDOWN: Duration = Duration::from_secs(3);
const MARGIN: Duration = Duration::from_secs(5);

/// Returns when the service is missed.
fn goes_away(proxy: &Proxy, process: &Process) {
    proxy.set(Mode::Refuse);
    process.wait_for("trying again until it works");
}

/// Returns when a call hangs.
fn hangs(proxy: &Proxy, _: &Process) {
    let hung = Counter::default();
    let counted = hung.clone();
    proxy.decide(move |_| {
        counted.next();
        Deed::Hang
    });
    hung.wait_for(1);
}

fn ends_in_time_and_the_next_run_completes(
    through_proxy: fn(&mut Place) -> Proxy,
    fault: fn(&Proxy, &Process),
) {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("stop", 2);
    let mut records = plain_records(&topic, 2, 100);
    broker.send(&records);
    let proxy = through_proxy(&mut place);
    place.set("archive", "archive-shutdown-seconds", "3");
    place.set("archive", "archive-batch-records", "50");
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(100);
    let more = plain_records_from(&topic, 2, 100..300);
    std::thread::scope(|scope| {
        scope.spawn(|| fault(&proxy, &process));
        broker.send(&more);
    });
    records.extend(more);

    let told = Instant::now();
    process.signal("TERM");
    let ended = process.ended();
    let took = told.elapsed();
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(
        took >= SHUTDOWN && took < SHUTDOWN + MARGIN,
        "{took:?}: {ended}"
    );
    let rest = "not everything that was received is archived";
    assert_eq!(lines(&ended.stderr, rest).len(), 1, "{ended}");
    assert!(lines(&ended.stderr, "ERROR").is_empty(), "{ended}");
    assert!(ended.summary().archived <= 100 + 50, "{ended}");

    drop(proxy);
    place.go_directly();
    place.run_to_end();
    assert_all_there(&place, &records);
}

#[test]
fn sigterm_while_the_store_is_away_ends_in_time_and_the_next_run_completes() {
    ends_in_time_and_the_next_run_completes(Place::store_through_proxy, goes_away);
}

#[test]
fn sigterm_while_the_store_hangs_ends_in_time_and_the_next_run_completes() {
    ends_in_time_and_the_next_run_completes(Place::store_through_proxy, hangs);
}

#[test]
fn sigterm_while_the_database_is_away_ends_in_time_and_the_next_run_completes() {
    ends_in_time_and_the_next_run_completes(Place::database_through_proxy, goes_away);
}

#[test]
fn sigterm_while_the_database_hangs_ends_in_time_and_the_next_run_completes() {
    ends_in_time_and_the_next_run_completes(Place::database_through_proxy, hangs);
}
