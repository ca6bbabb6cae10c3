//! A store that answers late, wrongly, or not at all.

use std::time::Duration;

use super::{Counter, assert_told_once, finish, lines, services};
use crate::support::answers::{error_document, response, s3_error};
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::proxy::{Deed, Mode};

fn is_put(request: &[u8]) -> bool {
    request.starts_with(b"PUT ")
}

/// Of 14 PUTs seven go wrong, each in another way.
fn misbehave(number: usize) -> Deed {
    match number % 14 {
        0 => Deed::Answer(s3_error(500, "InternalError")),
        2 => Deed::Answer(s3_error(503, "SlowDown")),
        4 => Deed::Answer(response(200, "", &error_document("InternalError"))),
        6 => {
            let error = error_document("InternalError");
            Deed::Answer(response(200, "etag: \"0\"\r\n", &error))
        }
        8 => Deed::HalfAnswer,
        10 => Deed::LoseAnswer,
        12 => Deed::Reset,
        _ => Deed::Pass,
    }
}

#[test]
fn puts_that_are_refused_reset_half_answered_or_stored_without_an_answer_are_archived_once() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("wrong", 2);
    let records = plain_records(&topic, 2, 300);
    broker.send(&records);
    let proxy = place.store_through_proxy();
    let puts = Counter::default();
    let counted = puts.clone();
    proxy.decide(move |request| match is_put(request) {
        true => misbehave(counted.next()),
        false => Deed::Pass,
    });
    place.set("archive", "archive-batch-records", "50");
    let process = place.start(&["run", "--json"]);
    let ended = finish(&place, process, &records);
    assert!(puts.count() > records.len(), "{} PUTs", puts.count());
    // Told as one thing, not as a hundred; the probe at start meets faults too.
    let is_of_probe = |line: &&str| line.contains("conditional PUT could not be probed");
    let warnings = lines(&ended.stderr, "WARN");
    let of_records = warnings.iter().filter(|line| !is_of_probe(line)).count();
    assert_eq!(of_records, 1, "{ended}");
    assert_eq!(ended.summary().archived, records.len() as u64);
}

#[test]
fn a_store_that_is_slow_and_then_hangs_is_waited_for_and_told_while_it_hangs() {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("late", 2);
    let mut records = plain_records(&topic, 2, 100);
    broker.send(&records);
    let proxy = place.store_through_proxy();
    proxy.decide(|request| match is_put(request) {
        true => Deed::Delay(Duration::from_millis(500)),
        false => Deed::Pass,
    });
    place.set("store", "store-request-timeout-seconds", "2");
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(100);
    assert!(
        lines(&process.log(), "WARN").is_empty(),
        "slow is no outage"
    );

    proxy.decide(|_| Deed::Pass);
    proxy.set(Mode::Hang);
    let more = plain_records_from(&topic, 2, 100..400);
    broker.send(&more);
    records.extend(more);
    // Of 300 PUTs the first that hung is told, not the last.
    process.wait_for("trying again until it works");
    std::thread::sleep(Duration::from_secs(4));
    proxy.set(Mode::Pass);
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "store");
}
