//! A broker that is far away, and a way to it that breaks.

use std::time::Duration;

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Link, OwnKafka, Place};

const PARTITIONS: i32 = 3;

#[test]
fn a_worker_keeps_its_place_in_the_group_however_slow_the_broker_answers() {
    let link = Link::new();
    let Some((kafka, listener)) = OwnKafka::start_with_link(link.port) else {
        return;
    };
    link.lead_to(&listener);
    let broker = Broker::at(&kafka.address);
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let through = format!("\"127.0.0.1:{}\"", link.port);
    place.set("hop", "hop-hostname", &through);
    // Longer than the way is cut, on a slow machine too.
    place.set(
        "hop",
        "hop-properties",
        "{ \"session.timeout.ms\" = 30000 }",
    );
    let topic = broker.create("far", PARTITIONS);
    let mut records = plain_records(&topic, PARTITIONS, 600);
    broker.send(&records);
    link.delay(Duration::from_millis(500));
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(600);
    // All connections break; what was under way of them is asked for again.
    link.cut();
    let later = plain_records_from(&topic, PARTITIONS, 600..900);
    broker.send(&later);
    records.extend(later);
    link.mend();
    place.wait_for_rows(900);
    process.signal("TERM");
    let ended = process.ended().clean();
    // Once, at the end.
    assert_eq!(ended.stderr.matches("giving up").count(), 1, "{ended}");
    let summary = ended.summary();
    assert_eq!((summary.archived, summary.duplicates), (900, 0), "{ended}");
    assert_exactly(&records, &place.archived());
}
