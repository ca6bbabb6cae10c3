//! Partitions change their leaders.

use crate::support::broker::plain_records_from;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Broker, OwnKafka, Place};

const PARTITIONS: i32 = 4;
const STEP: usize = 400;

#[test]
fn partitions_that_change_their_leader_while_they_are_read_lose_nothing_and_repeat_nothing() {
    let Some(mut kafka) = OwnKafka::start(2) else {
        return;
    };
    let broker = Broker::at(&kafka.address);
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("archive", "archive-batch-records", "50");
    let topic = broker.create("led", PARTITIONS);
    kafka.wait_for_leader(&topic, 1);
    let mut sent = vec![];
    let mut send_more = || {
        let next = sent.len()..sent.len() + STEP;
        sent.extend(plain_records_from(&topic, PARTITIONS, next));
        broker.send(&sent[sent.len() - STEP..]);
        sent.len() as u64
    };
    let rows = send_more();
    let mut process = place.start(&["run"]);
    // In the middle of it, and while the other node takes over.
    place.wait_for_rows(rows / 4);
    kafka.kill(1);
    let rows = send_more();
    place.wait_for_rows(rows);
    // It comes back, and leads again what it is preferred for.
    kafka.begin(1);
    kafka.wait_for_nodes(2);
    kafka.wait_for_leader(&topic, 1);
    let rows = send_more();
    place.wait_for_rows(rows - STEP as u64 / 2);
    // It hands its partitions over and goes.
    kafka.stop(1);
    let rows = send_more();
    place.wait_for_rows(rows);
    assert!(process.is_running());
    process.signal("TERM");
    process.ended().clean();
    let archived = place.archived();
    assert_exactly(&sent, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}
