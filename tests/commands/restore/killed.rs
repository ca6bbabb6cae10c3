//! kill −9 of a restore.

use std::time::Duration;

use rand::Rng;

use super::{assert_same_stream, real, restore};
use crate::support::broker::plain_records;

const PARTITIONS: i32 = 3;

/// A number that may be given for a longer test.
fn parameter(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// `TEST_RESTORE_RECORDS=200000 TEST_RESTORE_KILLS=10` is the long one.
#[test]
fn after_kill_9_at_random_moments_a_reader_of_committed_data_sees_each_record_once() {
    let Some((broker, place)) = real() else {
        return;
    };
    let count = parameter("TEST_RESTORE_RECORDS", 4_000);
    let kills = parameter("TEST_RESTORE_KILLS", 4);
    let topic = broker.create("killed", PARTITIONS);
    let records = plain_records(&topic, PARTITIONS, count);
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, count as u64);

    let target = broker.foreign_name("killed-restored");
    // Slow enough that each kill finds something under way.
    let rate = format!("{}/s", (count / 5).max(500));
    let options = [
        "--topic",
        &topic,
        "--to",
        &target,
        "--create-topics",
        "--rate",
        &rate,
    ];
    let mut there = vec![];
    for _ in 0..kills {
        let process = place.start(&[&["restore"][..], &options].concat());
        let longest = 10_000 / kills as u64;
        std::thread::sleep(Duration::from_millis(
            rand::rng().random_range(0..longest.max(1_500)),
        ));
        process.kill();
        let (_, plan) = restore(&place, &[&options[..], &["--dry-run"]].concat(), 0);
        there.push(plan["topics"][0]["there"].as_u64().expect("a number"));
    }
    let (ended, report) = restore(&place, &options, 0);
    eprintln!(
        "there after each kill: {there:?}; then {} more in {:.1?}",
        report["restored"], ended.took
    );
    assert!(there.is_sorted(), "{there:?}");
    let before = report["topics"][0]["before"].as_u64();
    assert_eq!(before.as_ref(), there.last());
    assert_eq!(
        report["restored"].as_u64().zip(before).map(|(a, b)| a + b),
        Some(count as u64)
    );
    assert_same_stream(&records, &broker.committed(&target));

    let (_, again) = restore(&place, &options, 0);
    assert_eq!(again["restored"], 0);
    assert_same_stream(&records, &broker.committed(&target));
}

#[test]
fn what_is_told_to_stop_ends_soon_and_the_same_command_goes_on() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("stopped", 1);
    let records = plain_records(&topic, 1, 300);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("stopped-restored");
    broker.create_named(&target, 1, &[("retention.ms", "-1")]);
    let options = ["--topic", &*topic, "--to", &target];
    let slow = [&["restore", "--json"], &options[..], &["--rate", "20/s"]].concat();
    let process = place.start(&slow);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while broker.committed(&target).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{}", process.log());
    }
    process.signal("TERM");
    let ended = process.ended();
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains("goes on"), "{ended}");
    let (_, report) = restore(&place, &options, 0);
    let before = report["topics"][0]["before"].as_u64().expect("a number");
    assert!(before > 0, "{report}");
    assert_same_stream(&records, &broker.committed(&target));
}

#[test]
fn of_two_at_once_the_later_one_takes_over_and_each_record_is_there_once() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("fenced", 1);
    let records = plain_records(&topic, 1, 400);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("fenced-restored");
    broker.create_named(&target, 1, &[("retention.ms", "-1")]);
    let options = ["--topic", &*topic, "--to", &target];
    let slow = [&["restore", "--json"], &options[..], &["--rate", "50/s"]].concat();
    let first = place.start(&slow);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while broker.committed(&target).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{}", first.log());
    }
    restore(&place, &options, 0);
    let fenced = first.ended();
    assert_eq!(fenced.code, Some(3), "{fenced}");
    assert!(fenced.stderr.contains("taken over"), "{fenced}");
    assert_same_stream(&records, &broker.committed(&target));
}
