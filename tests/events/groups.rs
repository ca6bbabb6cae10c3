//! Consumers of one group: what is shared, and what a kill costs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use archive_ingest::record::Record;
use serde_json::Value;

use super::scene::{Scene, events};
use crate::support::broker::{plain_records, plain_records_from};

const PARTITIONS: i32 = 4;

/// How often each record was printed.
fn counted<'a>(printed: impl IntoIterator<Item = &'a String>) -> BTreeMap<(i64, i64), usize> {
    let mut counts = BTreeMap::new();
    for event in printed.into_iter().flat_map(|stdout| events(stdout)) {
        let number = |name: &str| event[name].as_i64().expect("a number");
        *counts
            .entry((number("partition"), number("offset")))
            .or_default() += 1;
    }
    counts
}

fn all_of(records: &[Record]) -> Vec<(i64, i64)> {
    let mut all: Vec<_> = records
        .iter()
        .map(|record| (i64::from(record.partition), record.offset))
        .collect();
    all.sort_unstable();
    all
}

fn arguments<'a>(topic: &'a str, group: &'a str) -> Vec<&'a str> {
    vec!["consume", "--json", "--topic", topic, "--group", group]
}

/// Waits until the group has committed everything.
fn wait_until_committed(scene: &Scene, topic: &str, group: &str, each: i64) {
    let committed = scene.broker.group(group, topic, PARTITIONS);
    let deadline = Instant::now() + Duration::from_secs(90);
    while committed.offsets() != vec![Some(each); PARTITIONS as usize] {
        assert!(Instant::now() < deadline, "{:?}", committed.offsets());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_members(scene: &Scene, group: &str, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while scene.broker.members(group).len() != count {
        assert!(Instant::now() < deadline, "never {count} members");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_second_consumer_shares_the_partitions_and_nothing_is_lost_or_repeated() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("shared", PARTITIONS);
    let group = scene.broker.name("shared");
    let first_half = plain_records(&topic, PARTITIONS, 2000);
    scene.broker.send(&first_half);
    let first = scene.start(&arguments(&topic, &group));
    wait_until_committed(&scene, &topic, &group, 500);
    let second = scene.start(&arguments(&topic, &group));
    wait_for_members(&scene, &group, 2);
    // More comes while the partitions are being shared, and after.
    let mut sent = first_half;
    for part in 0..20 {
        let numbers = 2000 + part * 100..2100 + part * 100;
        let more = plain_records_from(&topic, PARTITIONS, numbers);
        scene.broker.send(&more);
        sent.extend(more);
    }
    wait_until_committed(&scene, &topic, &group, 1000);
    for process in [&first, &second] {
        process.signal("TERM");
    }
    let printed = [first.ended().clean().stdout, second.ended().clean().stdout];
    let counts = counted(&printed);
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), all_of(&sent));
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(!printed[1].is_empty(), "the second one had its share");
}

#[test]
fn what_a_killed_consumer_had_is_taken_over_and_at_most_its_last_second_repeated() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("killed", PARTITIONS);
    let group = scene.broker.name("killed");
    let before = plain_records(&topic, PARTITIONS, 400);
    scene.broker.send(&before);
    // What the first one prints outlives it in a file.
    let file = scene.place.path("printed");
    let mut command = scene.command(&arguments(&topic, &group));
    command
        .stdout(std::fs::File::create(&file).expect("a folder of ours"))
        .stderr(std::process::Stdio::null());
    let mut first = command
        .spawn()
        .expect("the executable was built with the tests");
    wait_until_committed(&scene, &topic, &group, 100);
    let second = scene.start(&arguments(&topic, &group));
    wait_for_members(&scene, &group, 2);
    let more = plain_records_from(&topic, PARTITIONS, 400..8400);
    scene.broker.send(&more);
    first.kill().expect("our child");
    first.wait().expect("our child");
    wait_until_committed(&scene, &topic, &group, 2100);
    second.signal("TERM");
    let of_first = std::fs::read_to_string(&file).expect("a file of ours");
    // Its last line may be half of one.
    let of_first: String = of_first
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .collect();
    let counts = counted(&[of_first, second.ended().clean().stdout]);
    let all: Vec<Record> = before.into_iter().chain(more).collect();
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), all_of(&all));
    let repeated = counts.values().filter(|count| **count > 1).count();
    assert!(repeated <= 500, "{repeated} repeated");
    assert!(counts.values().all(|count| *count <= 2));
}

#[test]
fn a_group_goes_on_where_it_was_and_another_one_begins_anew() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("goes-on", 1);
    scene.broker.send(&plain_records(&topic, 1, 10));
    let group = scene.broker.name("goes-on");
    let offsets = |count, more: &[&str]| -> Vec<Value> {
        let consumed = scene.consume(&topic, count, more);
        consumed
            .iter()
            .map(|event| event["offset"].clone())
            .collect()
    };
    assert_eq!(offsets(4, &["--group", &group]), [0, 1, 2, 3]);
    assert_eq!(offsets(3, &["--group", &group, "--from", "end"]), [4, 5, 6]);
    assert_eq!(offsets(3, &["--group", &group]), [7, 8, 9]);
    assert_eq!(offsets(1, &["--group", &scene.broker.name("other")]), [0]);
    assert_eq!(offsets(1, &[]), [0]);
}

#[test]
fn a_group_that_began_at_the_end_misses_nothing_when_another_member_goes_on() {
    let Some(scene) = Scene::new() else { return };
    let topic = scene.broker.create("from-end", 1);
    scene.broker.send(&plain_records(&topic, 1, 5));
    let group = scene.broker.name("from-end");
    let arguments = [&arguments(&topic, &group)[..], &["--from", "end"][..]].concat();
    let first = scene.start(&arguments);
    first.wait_for("consuming");
    first.signal("TERM");
    first.ended().clean();
    scene.broker.send(&plain_records_from(&topic, 1, 5..8));
    let next = scene.consume(&topic, 3, &["--group", &group, "--from", "end"]);
    let offsets: Vec<&Value> = next.iter().map(|event| &event["offset"]).collect();
    assert_eq!(offsets, [5, 6, 7]);
}
