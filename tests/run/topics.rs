//! Which topics a run archives, while topics come and go.

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Place};

/// The broker, and a place that looks for topics every second.
fn scene() -> Option<(Broker, Place)> {
    let broker = Broker::connect()?;
    let mut place = Place::real(&broker)?;
    place.set("hop", "hop-topic-refresh-interval-seconds", "1");
    Some((broker, place))
}

#[test]
fn a_topic_made_while_running_is_picked_up() {
    let Some((broker, place)) = scene() else {
        return;
    };
    let old = broker.create("old", 1);
    let mut records = plain_records(&old, 1, 5);
    broker.send(&records);
    let process = place.start(&["run"]);
    place.wait_for_rows(5);
    let new = broker.create("new", 2);
    records.extend(plain_records(&new, 2, 6));
    broker.send(&records[5..]);
    place.wait_for_rows(11);
    process.signal("TERM");
    process.ended().clean();
    assert_exactly(&records, &place.archived());
}

#[test]
fn a_run_begins_before_there_is_any_topic() {
    let Some((broker, place)) = scene() else {
        return;
    };
    let process = place.start(&["run"]);
    process.wait_for("no topic to read yet");
    let topic = broker.create("first", 1);
    let records = plain_records(&topic, 1, 3);
    broker.send(&records);
    place.wait_for_rows(3);
    process.signal("TERM");
    process.ended().clean();
    assert_exactly(&records, &place.archived());
}

#[test]
fn a_topic_deleted_while_running_does_not_stop_the_others() {
    let Some((broker, place)) = scene() else {
        return;
    };
    let (kept, deleted) = (broker.create("kept", 1), broker.create("deleted", 1));
    let mut records = plain_records(&kept, 1, 5);
    records.extend(plain_records(&deleted, 1, 5));
    broker.send(&records);
    let mut process = place.start(&["run"]);
    place.wait_for_rows(10);
    broker.delete(&deleted);
    process.wait_for("reading 1 topics");
    let later = plain_records_from(&kept, 1, 5..9);
    broker.send(&later);
    place.wait_for_rows(14);
    assert!(process.is_running());
    process.signal("TERM");
    process.ended().clean();
    records.extend(later);
    assert_exactly(&records, &place.archived());
}

#[test]
fn until_eos_ends_when_a_topic_is_deleted_before_its_end_is_reached() {
    let Some((broker, place)) = scene() else {
        return;
    };
    let (kept, deleted) = (broker.create("kept", 1), broker.create("deleted", 1));
    let records = plain_records(&kept, 1, 5);
    broker.send(&records);
    broker.send(&plain_records(&deleted, 1, 5));
    // Whoever was killed holds the partitions for some seconds more.
    let killed = place.start(&["run"]);
    killed.wait_for("reading 2 partitions more");
    killed.kill();
    let process = place.start(&["run", "--until-eos"]);
    process.wait_for("reading 2 topics");
    broker.delete(&deleted);
    process.ended().clean();
    let mut archived = place.archived();
    archived.retain(|message| *message.record.topic == *kept);
    assert_exactly(&records, &archived);
}

#[test]
fn a_topic_created_anew_is_archived_from_its_beginning() {
    let Some((broker, place)) = scene() else {
        return;
    };
    let topic = broker.create("again", 1);
    let old = plain_records(&topic, 1, 5);
    broker.send(&old);
    assert_eq!(place.run_to_end().archived, 5);
    broker.delete(&topic);
    assert_eq!(broker.create("again", 1), topic);
    let mut new = plain_records(&topic, 1, 8);
    for record in &mut new {
        record.timestamp += 1_000_000;
    }
    broker.send(&new);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.duplicates), (8, 0));
    let (mut before, mut after) = (place.archived(), vec![]);
    before.retain(|message| {
        let is_new = new.contains(&message.record);
        if is_new {
            after.push(message.clone());
        }
        !is_new
    });
    assert_exactly(&old, &before);
    assert_exactly(&new, &after);
}

#[test]
fn topics_vetoed_by_the_configuration_or_the_veto_list_are_left_out() {
    let Some((broker, mut place)) = scene() else {
        return;
    };
    let wanted = broker.create("wanted", 1);
    let by_file = broker.create("by-veto-list.a", 1);
    let by_glob = broker.create("by-veto-list.b", 1);
    let by_key = broker.create("by-key", 1);
    let list = format!("# not these\n{by_file}\n{}\n", broker.name("*.b"));
    place.write("veto.list", &list);
    place.set("hop", "hop-vetoed-topics", &format!("[{by_key:?}]"));
    let records = plain_records(&wanted, 1, 2);
    broker.send(&records);
    for vetoed in [&by_file, &by_glob, &by_key] {
        broker.send(&plain_records(vetoed, 1, 2));
    }
    assert_eq!(place.run_to_end().archived, 2);
    assert_exactly(&records, &place.archived());
}
