//! A worker that lost its partition and archives what it has in memory, after
//! Kafka's retention removed it.

use std::collections::BTreeSet;

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::proxy::Mode;
use crate::support::{Broker, Place};

#[test]
fn records_that_are_archived_late_are_in_no_gap() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("late", 1);
    let session = r#"{ "session.timeout.ms" = 6000, "heartbeat.interval.ms" = 1000 }"#;
    place.set("hop", "hop-properties", session);
    let proxy = place.store_through_proxy();
    let records = plain_records(&topic, 1, 110);
    broker.send(&records[..10]);
    let late = place.start(&["run"]);
    place.wait_for_rows(10);
    proxy.set(Mode::Refuse);
    broker.send(&records[10..]);
    late.wait_for("trying again until it works");
    late.signal("STOP");
    broker.delete_records_before(&topic, 0, 80);

    place.go_directly();
    let successor = place.start(&["run"]);
    place.wait_for_rows(40);
    let gaps = place.catalogue().gaps().expect("gaps");
    let ranges: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(ranges, [(10, 80)]);

    proxy.set(Mode::Pass);
    late.signal("CONT");
    place.wait_for_rows(41);
    for process in [late, successor] {
        process.signal("TERM");
        process.ended().clean();
    }
    let archived = place.archived();
    let offsets: BTreeSet<i64> = archived.iter().map(|m| m.record.offset).collect();
    let gaps = place.catalogue().gaps().expect("gaps");
    let missing: Vec<i64> = gaps.iter().flat_map(|gap| gap.from..gap.to).collect();
    let expected: Vec<i64> = (0..110).filter(|at| !offsets.contains(at)).collect();
    assert_eq!(missing, expected);
    let kept = records.iter().filter(|of| offsets.contains(&of.offset));
    assert_exactly(&kept.cloned().collect::<Vec<_>>(), &archived);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.lost.len()), (0, 0));
}
