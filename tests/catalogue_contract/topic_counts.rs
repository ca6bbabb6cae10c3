//! Rows of some topics among many, and their counts, page by page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use archive_ingest::catalogue::{CountedPage, Row, RowFilter};

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    pages_of_many_topics_are_their_rows_in_the_order_of_time,
    topics_with_rows_are_found_one_after_the_other,
    pages_of_counts_add_up_to_the_rows_of_a_topic,
);

/// Few and many topics, of a small and of a large part of all rows, are found in
/// different ways.
fn pages_of_many_topics_are_their_rows_in_the_order_of_time(place: &Place) {
    let rows: Vec<Row> = (0..400)
        .map(|n| on_topic(&format!("topic.{:02}", n % 40), (n % 7) as i64, n))
        .chain((400..2_000).map(|n| on_topic("large", (n % 7) as i64, n)))
        .collect();
    archive(&*place.catalogue, &rows);
    let small: Vec<String> = (0..30).map(|n| format!("topic.{n:02}")).collect();
    let with_large: Vec<String> = small.iter().cloned().chain(["large".into()]).collect();
    for topics in [&small[..1], &small[..3], &small, &with_large] {
        for reverse in [false, true] {
            let filter = RowFilter {
                topics: Some(topics.to_vec()),
                since: Some(2),
                until: Some(6),
                ..RowFilter::default()
            };
            let mut expected = place
                .catalogue
                .rows(&RowFilter::default(), None, 10_000, reverse)
                .unwrap();
            expected.retain(|stored| {
                (2..6).contains(&stored.row.timestamp)
                    && topics.iter().any(|topic| **topic == *stored.row.topic)
            });
            let (mut listed, mut after) = (vec![], None);
            loop {
                let page = place.catalogue.rows(&filter, after, 7, reverse).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.cursor());
                listed.extend(page);
            }
            assert!(listed == expected, "{} topics", topics.len());
            let counted = place.catalogue.count(&filter).unwrap();
            assert_eq!(counted, expected.len() as u64);
        }
    }
}

fn topics_with_rows_are_found_one_after_the_other(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    assert_eq!(upkeep.topic_after(None).unwrap(), None);
    let rows: Vec<Row> = (0..6)
        .map(|n| on_topic(["b", "a", "c"][n % 3], 0, n as u64))
        .collect();
    archive(&*place.catalogue, &rows);
    // What the table says is not asked.
    place.execute("DELETE FROM topics");
    let mut found: Vec<String> = vec![];
    while let Some(next) = upkeep.topic_after(found.last().map(|t| &**t)).unwrap() {
        found.push(next);
    }
    assert_eq!(found, ["a", "b", "c"]);
}

/// Rows of `topic` with the timestamps 0 to `rows` / 3.
fn insert_many(place: &Place, topic: &str, rows: u64) {
    let uuid = "'00000000-0000-4000-8000-' || substr('000000000000' || n, -12)";
    let (uuid, numbers) = match place.config {
        archive_ingest::config::DatabaseConfig::Sqlite(_) => (
            uuid.to_owned(),
            format!(
                "WITH RECURSIVE numbers (n) AS
                    (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})"
            ),
        ),
        archive_ingest::config::DatabaseConfig::Postgres(_) => (
            "md5(n::text)::uuid".to_owned(),
            format!("WITH numbers (n) AS (SELECT generate_series(1, {rows}))"),
        ),
    };
    place.execute(&format!(
        "{numbers} INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32,
            is_client_uuid, public, direct_upload, message_crc32)
         SELECT '{topic}', n / 3, {uuid}, 1, 'key', 'bucket', 0, false, false, false, 0
         FROM numbers"
    ));
}

fn pages_of_counts_add_up_to_the_rows_of_a_topic(place: &Place) {
    let upkeep = place.catalogue.upkeep();
    let none = upkeep.count_page("large", None).unwrap();
    assert_eq!(none, CountedPage::default());
    insert_many(place, "large", 200_001);
    archive(&*place.catalogue, &[on_topic("larges", 1, 1)]);
    let mut pages = vec![];
    let mut next = Some(None);
    while let Some(after) = next {
        let page = upkeep.count_page("large", after).unwrap();
        next = page.next.map(Some);
        pages.push((page.messages, page.earliest, page.latest));
    }
    let expected = [
        (100_000, 0, 33_333),
        (100_000, 33_333, 66_666),
        (1, 66_667, 66_667),
    ];
    assert_eq!(pages, expected);
}

/// SQLite has one writer at a time: what counts rows must not be it.
#[test]
fn rows_are_added_to_a_sqlite_file_while_a_topic_is_counted() {
    let place = Place::sqlite();
    insert_many(&place, "large", 600_000);
    place.execute("UPDATE topics SET n_messages = 5, e_timestamp = -4, l_timestamp = 3");
    let (is_counted, added) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            place.catalogue.upkeep().recount("large").unwrap();
            is_counted.store(true, Ordering::SeqCst);
        });
        while !is_counted.load(Ordering::SeqCst) {
            let n = added.fetch_add(1, Ordering::SeqCst);
            let row = on_topic("large", 1_000_000 + n as i64, n);
            archive(&*place.catalogue, &[row]);
        }
    });
    let added = added.into_inner();
    assert!(added > 5, "{added} added while the rows were counted");
    let counts = place.catalogue.count_by_topic(&RowFilter::default());
    let counts = &counts.unwrap()[0];
    assert_eq!(counts.messages as u64, 600_000 + added);
    assert_eq!(
        (counts.earliest, counts.latest),
        (0, 999_999 + added as i64)
    );
}
