//! Three workers of one group that come and go.

use crate::support::broker::plain_records_from;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Broker, Place};

const PARTITIONS: i32 = 6;
const STEP: usize = 1500;

#[test]
fn three_workers_that_join_freeze_die_and_leave_in_the_middle_archive_each_record_once() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    place.set("archive", "archive-batch-records", "50");
    let topic = broker.create("shared", PARTITIONS);
    let mut sent = vec![];
    let mut send_more = || {
        let next = sent.len()..sent.len() + STEP;
        sent.extend(plain_records_from(&topic, PARTITIONS, next));
        broker.send(&sent[sent.len() - STEP..]);
        sent.len() as u64
    };
    let rows = send_more();
    let first = place.start(&["run"]);
    place.wait_for_rows(100);
    let second = place.start(&["run"]);
    let third = place.start(&["run"]);
    second.wait_for("partitions more");
    third.wait_for("partitions more");
    place.wait_for_rows(rows);

    // Frozen for longer than its session: the others get what it had, and it
    // comes back as if nothing had been.
    let rows = send_more();
    place.wait_for_rows(rows - STEP as u64 / 2);
    first.signal("STOP");
    place.wait_for_rows(rows);
    let rows = send_more();
    place.wait_for_rows(rows);
    first.signal("CONT");
    first.wait_for("giving up");
    let rows = send_more();
    place.wait_for_rows(rows - STEP as u64 / 2);

    // One dies without a word, one leaves in good order.
    second.kill();
    place.wait_for_rows(rows);
    let rows = send_more();
    place.wait_for_rows(rows - STEP as u64 / 2);
    third.signal("TERM");
    third.ended().clean();
    place.wait_for_rows(rows);
    first.signal("TERM");
    first.ended().clean();

    let archived = place.archived();
    assert_exactly(&sent, &archived);
    assert_no_orphan(&archived, &place.object_keys());
    // The group is where the topic ends.
    let next = place.run_to_end();
    assert_eq!((next.archived, next.duplicates), (0, 0));
}
