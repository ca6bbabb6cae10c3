//! What is restored, where, and in what form.

use std::collections::BTreeSet;

use archive_ingest::kafka::{TopicAdmin, partition_of_key};
use archive_ingest::record::Record;
use std::sync::Arc;

use super::{assert_same_stream, real, restore};
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::{Broker, Place};

const FIRST: i64 = 1_700_000_000_000;

/// An archived topic of so many records in two partitions.
fn archived(count: usize) -> Option<(Broker, Place, String, Vec<Record>)> {
    let (broker, place) = real()?;
    let topic = broker.create("source", 2);
    let records = plain_records(&topic, 2, count);
    broker.send(&records);
    place.run_to_end();
    Some((broker, place, topic, records))
}

#[test]
fn a_dry_run_tells_what_would_be_restored_and_changes_nothing() {
    let Some((broker, place, topic, _)) = archived(50) else {
        return;
    };
    let target = broker.foreign_name("dry");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    let (_, plan) = restore(&place, &[&options[..], &["--dry-run"]].concat(), 0);
    let of_topic = &plan["topics"][0];
    assert_eq!(
        (&of_topic["messages"], &of_topic["partitions"]),
        (&50.into(), &2.into())
    );
    assert_eq!(
        (&of_topic["earliest"], &of_topic["latest"]),
        (&FIRST.into(), &(FIRST + 49).into())
    );
    assert_eq!(
        (&of_topic["to"], &of_topic["would_make"]),
        (&target.clone().into(), &true.into())
    );
    let admin = TopicAdmin::open(&Arc::new(broker.cluster(1_000_000))).expect("an admin");
    let to = of_topic["to"].as_str().expect("a name");
    assert!(admin.settings(&[to]).expect("an answer").is_empty());
    let table = place.run(&[&["restore", "--dry-run"], &options[..]].concat());
    assert!(table.clean().stdout.contains("would be made"));
}

#[test]
fn topics_that_are_made_keep_everything_and_go_where_the_map_says() {
    let Some((broker, place, topic, records)) = archived(40) else {
        return;
    };
    let target = broker.foreign_name("mapped");
    let map = format!("{topic}={target}");
    let options = ["--topic", &*topic, "--map", &map, "--create-topics"];
    let (_, report) = restore(&place, &options, 0);
    assert_eq!(report["restored"], 40);
    assert_same_stream(&records, &broker.committed(&target));
    let admin = TopicAdmin::open(&Arc::new(broker.cluster(1_000_000))).expect("an admin");
    let settings = &admin.settings(&[&target]).expect("an answer")[&target];
    assert_eq!(settings.partitions, 2);
    assert_eq!(settings.number("retention.ms"), Some(-1));
    assert_eq!(
        settings.number("message.timestamp.before.max.ms"),
        Some(i64::MAX)
    );
    assert_eq!(
        settings.number("message.timestamp.after.max.ms"),
        Some(i64::MAX)
    );
}

#[test]
fn since_and_until_are_half_open_and_another_span_is_refused_until_it_may_be_beside() {
    let Some((broker, place, topic, records)) = archived(60) else {
        return;
    };
    let target = broker.foreign_name("span");
    let span = |since: i64, until: i64| [(FIRST + since).to_string(), (FIRST + until).to_string()];
    let options = |[since, until]: &[String; 2]| -> Vec<String> {
        ["--topic", &topic, "--to", &target, "--create-topics"]
            .into_iter()
            .chain(["--since", since, "--until", until])
            .map(str::to_owned)
            .collect()
    };
    let first = options(&span(10, 30));
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let (_, report) = restore(&place, &first, 0);
    assert_eq!(report["restored"], 20);
    assert_same_stream(&records[10..30], &broker.committed(&target));

    let second = options(&span(30, 45));
    let second: Vec<&str> = second.iter().map(String::as_str).collect();
    super::refused(&place, &second, &["another selection", "--append"]);
    restore(&place, &[&second[..], &["--append"]].concat(), 0);
    assert_same_stream(&records[10..45], &broker.committed(&target));
}

#[test]
fn what_was_archived_since_is_added_by_the_same_command() {
    let Some((broker, place, topic, mut records)) = archived(30) else {
        return;
    };
    let target = broker.foreign_name("later");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    restore(&place, &options, 0);
    let more = plain_records_from(&topic, 2, 30..50);
    broker.send(&more);
    place.run_to_end();
    let (_, report) = restore(&place, &options, 0);
    assert_eq!(
        (&report["restored"], &report["topics"][0]["before"]),
        (&20.into(), &30.into())
    );
    records.extend(more);
    assert_same_stream(&records, &broker.committed(&target));
}

#[test]
fn messages_are_restored_by_their_uuids_once_each_and_unknown_ones_are_told() {
    let Some((broker, place, _, records)) = archived(20) else {
        return;
    };
    let target = broker.foreign_name("uuids");
    let archived = place.archived();
    let wanted: Vec<_> = archived.iter().step_by(3).collect();
    let uuids: Vec<String> = wanted.iter().map(|one| one.row.uuid.to_string()).collect();
    let twice = format!("{}\n{}\n", uuids.join("\n"), uuids[0]);
    let file = place.write("uuids.txt", &twice);
    let file = file.to_str().expect("UTF-8");
    let options = ["--uuid-file", file, "--to", &target, "--create-topics"];
    restore(&place, &options, 0);
    let expected: Vec<Record> = wanted.iter().map(|one| one.record.clone()).collect();
    assert_same_stream(&expected, &broker.committed(&target));

    let unknown = "00000000-0000-0000-0000-000000000001";
    let other = place.write("unknown.txt", &format!("{unknown}\n{}\n", uuids[1]));
    let other = other.to_str().expect("UTF-8");
    let beside = broker.foreign_name("unknown");
    let options = ["--uuid-file", other, "--to", &beside, "--create-topics"];
    let (ended, report) = restore(&place, &options, 1);
    assert_eq!(report["left_out"][0]["uuid"], unknown);
    assert!(ended.stderr.contains(unknown), "{ended}");
    assert_eq!(broker.committed(&beside).len(), 1);
    assert_eq!(records.len(), 20);
}

#[test]
fn by_key_equal_keys_share_a_partition_however_many_there_are() {
    let Some((broker, place, topic, records)) = archived(60) else {
        return;
    };
    let target = broker.foreign_name("by-key");
    broker.create_named(&target, 5, &[("retention.ms", "-1")]);
    restore(&place, &["--topic", &topic, "--to", &target, "--by-key"], 0);
    let found = broker.committed(&target);
    assert_eq!(found.len(), records.len());
    for record in &found {
        let key = record.key.as_deref().expect("all have one");
        assert_eq!(record.partition, partition_of_key(key, 5));
    }
    let partitions: BTreeSet<i32> = found.iter().map(|record| record.partition).collect();
    assert_eq!(partitions.len(), 5);
}

#[test]
fn marked_records_carry_the_archive_s_uuid_behind_their_headers() {
    let Some((broker, place, topic, _)) = archived(6) else {
        return;
    };
    let target = broker.foreign_name("marked");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    restore(&place, &[&options[..], &["--mark"]].concat(), 0);
    let marks: Vec<String> = broker
        .committed(&target)
        .iter()
        .map(|record| {
            let last = record.headers.last().expect("the mark");
            assert_eq!(last.name, b"_archive_uuid");
            String::from_utf8(last.value.clone().expect("a UUID")).expect("text")
        })
        .collect();
    let uuids: Vec<String> = place
        .archived()
        .iter()
        .map(|one| one.row.uuid.to_string())
        .collect();
    assert_eq!(marks, uuids);
}

#[test]
fn what_the_archive_cannot_give_is_told_counted_and_left_out() {
    let Some((broker, place, topic, records)) = archived(30) else {
        return;
    };
    let archived = place.archived();
    let objects = place.objects();
    objects.delete(&archived[4].row.key);
    let damaged = &archived[20].row.key;
    let mut bytes = objects.read(damaged);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    objects.write(damaged, &bytes);

    let target = broker.foreign_name("lacking");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    let (ended, report) = restore(&place, &options, 1);
    let why: Vec<(&str, &str)> = report["left_out"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().expect("text");
            (text("uuid"), text("why"))
        })
        .collect();
    let (missing, other) = (archived[4].row.uuid, archived[20].row.uuid);
    assert_eq!(
        why,
        [
            (&*missing.to_string(), "missing_object"),
            (&*other.to_string(), "damaged_object")
        ]
    );
    assert!(ended.stderr.contains(&missing.to_string()), "{ended}");
    let left = [&archived[4].record, &archived[20].record];
    let rest: Vec<Record> = records
        .into_iter()
        .filter(|one| {
            let is_at =
                |other: &&Record| (other.partition, other.offset) == (one.partition, one.offset);
            !left.iter().any(is_at)
        })
        .collect();
    assert_same_stream(&rest, &broker.committed(&target));
    // It is not forgotten by the next one, which has nothing more to do.
    let (_, again) = restore(&place, &options, 1);
    assert_eq!(
        (&again["restored"], &again["topics"][0]["left_out"]),
        (&0.into(), &2.into())
    );
}

#[test]
fn several_topics_go_into_one_and_each_goes_on_by_itself() {
    let Some((broker, place)) = real() else {
        return;
    };
    let sources = ["one", "two"].map(|name| broker.create(name, 1));
    for source in &sources {
        broker.send(&plain_records(source, 1, 20));
    }
    place.run_to_end();
    let target = broker.foreign_name("together");
    let glob = broker.all_topics();
    let options = ["--topic", &*glob, "--to", &target, "--create-topics"];
    let (_, report) = restore(&place, &options, 0);
    assert_eq!(report["restored"], 40);
    assert_eq!(broker.committed(&target).len(), 40);
    broker.send(&plain_records_from(&sources[1], 1, 20..25));
    place.run_to_end();
    let (_, more) = restore(&place, &options, 0);
    assert_eq!(more["restored"], 5);
    assert_eq!(broker.committed(&target).len(), 45);
}
