//! Records with more headers than librdkafka reads.

use archive_ingest::record::{Header, Record};

use crate::support::broker::plain_records;
use crate::support::compare::assert_exactly;
use crate::support::{Broker, Place};

/// librdkafka reads no headers of a record that has more.
const LIBRDKAFKA_MAX_HEADERS: usize = 100_000;

fn with_headers(record: &Record, count: usize) -> Record {
    let header = |number: usize| Header {
        name: vec![b'a' + (number % 26) as u8],
        value: (number % 3)
            .checked_sub(1)
            .map(|length| vec![number as u8; length]),
    };
    Record {
        headers: (0..count).map(header).collect(),
        ..record.clone()
    }
}

#[test]
fn records_with_more_than_100_000_headers_are_archived_exactly() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("headers", 1);
    let mut records = plain_records(&topic, 1, 8);
    for (number, count) in [
        (2, LIBRDKAFKA_MAX_HEADERS),
        (3, LIBRDKAFKA_MAX_HEADERS + 1),
        (6, 150_000),
    ] {
        records[number] = with_headers(&records[number], count);
    }
    broker.send(&records);
    let summary = place.run_to_end();
    assert_eq!((summary.archived, summary.lost.len()), (8, 0));
    assert_exactly(&records, &place.archived());
    place
        .run(&["verify", "--deep", "--against-kafka", "--json"])
        .clean();
    // Who else reads records has them too.
    assert_eq!(broker.committed(&topic), records);
}
