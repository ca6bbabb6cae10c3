//! How much one run archives, and what it says at the end.

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Place};

#[test]
fn max_messages_archives_exactly_so_many_and_exits_and_the_next_run_goes_on_behind_them() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("many", 3);
    let records = plain_records(&topic, 3, 50);
    broker.send(&records);
    let some = place
        .run(&["run", "--max-messages", "7", "--json"])
        .clean()
        .summary();
    assert_eq!((some.archived, some.duplicates), (7, 0));
    assert_eq!(place.archived().len(), 7);
    let rest = place.run_to_end();
    assert_eq!((rest.archived, rest.duplicates), (43, 0));
    assert_exactly(&records, &place.archived());
}

#[test]
fn max_messages_is_exact_while_memory_is_short() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("large", 3);
    let mut records = plain_records(&topic, 3, 24);
    for record in &mut records {
        record.value = Some(vec![b'x'; 900_000]);
    }
    broker.send(&records);
    place.set("archive", "archive-memory-bytes", "8_388_608");
    place.set("archive", "archive-batch-bytes", "1_048_576");
    let some = place
        .run(&["run", "--max-messages", "11", "--json"])
        .clean()
        .summary();
    assert_eq!((some.archived, some.duplicates), (11, 0));
    let rest = place.run_to_end();
    assert_eq!((rest.archived, rest.duplicates), (13, 0));
    assert_exactly(&records, &place.archived());
}

#[test]
fn test_topic_archives_that_topic_and_no_other() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let wanted = broker.create("wanted", 1);
    let other = broker.create("other", 1);
    let records = plain_records(&wanted, 1, 5);
    broker.send(&records);
    broker.send(&plain_records(&other, 1, 5));
    let summary = place
        .run(&["run", "--until-eos", "--test-topic", &wanted, "--json"])
        .clean()
        .summary();
    assert_eq!(summary.archived, 5);
    assert_exactly(&records, &place.archived());
}

#[test]
fn hop_test_max_messages_stops_consuming_and_keeps_the_process_up() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("many", 2);
    broker.send(&plain_records(&topic, 2, 30));
    place.set("hop", "hop-test-max-messages", "5");
    let mut process = place.start(&["run", "--json"]);
    process.wait_for("5 records are read; no more will be");
    place.wait_for_rows(5);
    assert!(process.is_running());
    process.signal("TERM");
    let summary = process.ended().clean().summary();
    assert_eq!((summary.archived, summary.duplicates), (5, 0));
    assert_eq!(place.archived().len(), 5);
}

#[test]
fn the_summary_is_a_table_by_topic_and_json_says_the_same() {
    let table = Place::embedded();
    let json = Place::embedded();
    let ended = table.run(&["run", "--until-eos"]).clean();
    let summary = json.run_to_end();
    assert!(summary.seconds > 0.0 && summary.rate > 0.0);

    let lines: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let [head, topics @ .., total, time] = &lines[..] else {
        panic!("{ended}");
    };
    assert_eq!(*head, ["TOPIC", "ARCHIVED", "DUPLICATES", "BYTES"]);
    let row = |name: &str, archived: u64, duplicates: u64, bytes: u64| {
        [
            name.to_owned(),
            archived.to_string(),
            duplicates.to_string(),
            bytes.to_string(),
        ]
    };
    let expected: Vec<_> = summary
        .topics
        .iter()
        .map(|(name, count)| row(name, count.archived, count.duplicates, count.bytes))
        .collect();
    assert_eq!(topics, expected);
    assert_eq!(
        *total,
        row("total", summary.archived, summary.duplicates, summary.bytes)
    );
    assert_eq!(time[1..2], ["s,"], "{ended}");

    let archived = json.archived();
    let bytes: u64 = archived.iter().map(|a| a.body.len() as u64).sum();
    assert_eq!(summary.archived, archived.len() as u64);
    assert_eq!(summary.bytes, bytes);
}
