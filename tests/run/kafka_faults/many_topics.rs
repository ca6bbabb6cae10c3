//! Many topics with a little in each.

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Place};

const TOPICS: usize = 300;
const RECORDS: usize = 10;

#[test]
fn a_backlog_of_three_hundred_topics_is_archived_within_the_memory_that_is_allowed() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let names: Vec<String> = (0..TOPICS).map(|n| format!("many-{n}")).collect();
    let topics = broker.create_all(&names);
    let records: Vec<_> = topics
        .iter()
        .flat_map(|topic| plain_records(topic, 1, RECORDS))
        .collect();
    broker.send(&records);
    let process = place.start(&["run"]);
    place.wait_for_rows(records.len() as u64);
    let peak = process.peak_memory();
    assert!(peak <= 256 << 20, "{peak} bytes");
    process.signal("TERM");
    process.ended().clean();
    assert_exactly(&records, &place.archived());
}
