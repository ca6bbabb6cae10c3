//! kill −9 of a restore.

use std::time::Duration;

use archive_ingest::catalogue::RowFilter;
use rand::Rng;

use super::{assert_same_stream, real, restore, wait_for_records};
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
    while place
        .run(&["run", "--until-eos", "--max-messages", "20000"])
        .clean()
        .code
        == Some(0)
    {
        let rows = place.catalogue().count(&RowFilter::default());
        if rows.expect("a readable catalogue") == count as u64 {
            break;
        }
    }

    let target = broker.foreign_name("killed-restored");
    // Slow enough that each kill finds something under way.
    let rate = format!("{}/s", count / 8);
    let options = [
        "--topic",
        &topic,
        "--to",
        &target,
        "--create-topics",
        "--rate",
        &rate,
    ];
    let longest = if count > 100_000 { 9_000 } else { 1_900 };
    let mut there = vec![];
    for _ in 0..kills {
        let process = place.start(&[&["restore"][..], &options].concat());
        process.wait_for("restoring");
        let moment = rand::rng().random_range(300..longest);
        std::thread::sleep(Duration::from_millis(moment));
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
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let before = number(&report["topics"][0]["before"]);
    // What was being committed is, although nobody was told.
    assert!(there.last().is_some_and(|last| before >= *last));
    assert_eq!(number(&report["restored"]) + before, count as u64);
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
    wait_for_records(&broker, &target, &process);
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
    let records = plain_records(&topic, 1, 3000);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("fenced-restored");
    broker.create_named(&target, 1, &[("retention.ms", "-1")]);
    let options = ["--topic", &*topic, "--to", &target];
    let slow = [&["restore", "--json"], &options[..], &["--rate", "50/s"]].concat();
    let first = place.start(&slow);
    wait_for_records(&broker, &target, &first);
    restore(&place, &options, 0);
    let fenced = first.ended();
    assert_eq!(fenced.code, Some(3), "{fenced}");
    assert!(fenced.stderr.contains("taken over"), "{fenced}");
    assert_same_stream(&records, &broker.committed(&target));
}
