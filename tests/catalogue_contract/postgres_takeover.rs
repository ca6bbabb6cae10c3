//! Databases that archive-core made, and archive-core beside us.

use std::time::{Duration, Instant};

use archive_ingest::catalogue::{Catalogue, CatalogueError, Row, TopicSummary};

use crate::archive_core::{AGES, COUNTED, TEXT_UUIDS, of_age};
use crate::messages::*;
use crate::place::{Place, ServerDatabase};

fn summary(topic: &str, messages: i64, earliest: i64, latest: i64) -> TopicSummary {
    TopicSummary {
        topic: topic.into(),
        messages,
        earliest,
        latest,
    }
}

fn topics(catalogue: &dyn Catalogue) -> Vec<TopicSummary> {
    catalogue.count_by_topic(&Default::default()).unwrap()
}

/// Every age of archive-core, opened but not migrated.
fn each_age(test: impl Fn(usize, &ServerDatabase, &dyn Catalogue)) {
    for age in 0..AGES {
        let Some(database) = ServerDatabase::create() else {
            return;
        };
        database.client().batch_execute(&of_age(age)).unwrap();
        test(age, &database, &*database.open().unwrap());
    }
}

/// Where each row lies in the table's file, and which transaction wrote it:
/// both change when a row is rewritten.
fn places_of_rows(database: &ServerDatabase) -> String {
    let sql = "SELECT string_agg(ctid::text || xmin::text, ' ' ORDER BY id) FROM messages";
    database.client().query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn an_archive_core_database_of_any_age_is_taken_over_without_rewriting_a_row() {
    each_age(|age, database, catalogue| {
        let before = places_of_rows(database);
        catalogue.migrate().unwrap();
        catalogue.check().unwrap();
        assert_eq!(places_of_rows(database), before, "age {age}");

        let expected = Row {
            title: String::new(),
            sender: String::new(),
            media_type: String::new(),
            file_name: String::new(),
            originator: String::new(),
            origin: None,
            ..message(1)
        };
        let read = catalogue.fetch(&[message(1).uuid]).unwrap();
        assert_eq!(read[0].row, expected, "age {age}");
    });
}

#[test]
fn counts_are_right_from_the_moment_of_the_take_over_even_where_they_were_wrong() {
    each_age(|age, database, catalogue| {
        if age > 0 {
            let wrong = "UPDATE topics SET n_messages = 77, e_timestamp = 0;
                INSERT INTO topics VALUES ('gone', 1, 2, 0)";
            database.client().batch_execute(wrong).unwrap();
        }
        catalogue.migrate().unwrap();
        let (first, second) = (message(1).timestamp, message(2).timestamp);
        let expected = [
            summary("alerts", 2, first, second),
            summary("circulars", 1, -1, -1),
        ];
        assert_eq!(topics(catalogue), expected, "age {age}");

        // Both writers go on, and every row is counted once.
        let insert = foreign_insert(&message(4));
        database.client().batch_execute(&insert).unwrap();
        archive(catalogue, &[message(5)]);
        let last = message(5).timestamp;
        assert_eq!(
            topics(catalogue)[0],
            summary("alerts", 4, first, last),
            "age {age}"
        );
    });
}

#[test]
fn archive_core_starting_again_beside_us_does_not_count_twice() {
    each_age(|age, database, catalogue| {
        catalogue.migrate().unwrap();
        database.client().batch_execute(COUNTED).unwrap();
        let insert = foreign_insert(&message(4));
        database.client().batch_execute(&insert).unwrap();
        archive(catalogue, &[message(5)]);
        assert_eq!(topics(catalogue)[0].messages, 4, "age {age}");
    });
}

#[test]
fn a_uuid_is_unique_after_the_take_over() {
    each_age(|age, database, catalogue| {
        catalogue.migrate().unwrap();
        let again = foreign_insert(&message(1));
        assert!(
            database.client().batch_execute(&again).is_err(),
            "age {age}"
        );
    });
}

#[test]
fn search_and_doi_tables_of_archive_core_stay_as_they_are() {
    let Some(database) = ServerDatabase::create() else {
        return;
    };
    let mut client = database.client();
    client.batch_execute(&of_age(AGES - 1)).unwrap();
    database.open().unwrap().migrate().unwrap();
    let mut number = |sql: &str| -> i64 { client.query_one(sql, &[]).unwrap().get(0) };
    assert_eq!(number("SELECT count(*) FROM message_ts"), 3);
    assert_eq!(number("SELECT count(*) FROM doi_messages"), 3);
    number("WITH gone AS (DELETE FROM messages WHERE id = 1 RETURNING id) SELECT id FROM gone");
    assert_eq!(number("SELECT count(*) FROM message_ts"), 2);
}

#[test]
fn rows_of_an_old_archive_are_found_by_a_redelivery() {
    each_age(|age, _, catalogue| {
        catalogue.migrate().unwrap();
        let old = message(1);
        let alike = [(old.topic.clone(), old.timestamp, old.message_crc32)];
        let found = catalogue.foreign_rows(&alike).unwrap();
        assert_eq!(found.len(), 1, "age {age}");
        assert!(catalogue.set_origin(found[0].id, &origin(1)).unwrap());
        let read = catalogue.fetch(&[old.uuid]).unwrap();
        assert_eq!(read[0].row.delivery(), Some(delivery(&old)), "age {age}");
    });
}

/// The one line of a migration that is refused.
fn refusal(database: &ServerDatabase) -> String {
    let error = database.open().unwrap().migrate().unwrap_err();
    let name = format!(
        "postgres {}:{}/{}: ",
        database.config.host, database.config.port, database.config.name
    );
    assert!(matches!(error, CatalogueError::Refused { .. }), "{error:?}");
    error.to_string().strip_prefix(&name).unwrap().to_owned()
}

#[test]
fn a_database_with_uuids_as_text_is_refused_with_what_to_do() {
    let Some(database) = ServerDatabase::create() else {
        return;
    };
    let mut client = database.client();
    client.batch_execute(TEXT_UUIDS).unwrap();
    let theirs = "INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32,
        is_client_uuid, message_crc32)
        VALUES ('alerts', 1, '4dd07c11-22f8-576d-8fe2-fd061f8bf789', 9, 'k', 'b', 1, true, 2)";
    client.batch_execute(theirs).unwrap();
    assert_eq!(
        refusal(&database),
        "column messages.uuid is of type text, as the first versions of archive-core made it: run \"ALTER TABLE messages ALTER COLUMN uuid TYPE uuid USING uuid::uuid\" first (it rewrites the table) (SQLSTATE P0001)"
    );
    // And that is all there is to do.
    client
        .batch_execute("ALTER TABLE messages ALTER COLUMN uuid TYPE uuid USING uuid::uuid")
        .unwrap();
    let catalogue = database.open().unwrap();
    catalogue.migrate().unwrap();
    assert_eq!(topics(&*catalogue), [summary("alerts", 1, 1, 1)]);
}

#[test]
fn a_database_that_has_a_uuid_twice_is_refused_and_the_uuid_named() {
    let Some(database) = ServerDatabase::create() else {
        return;
    };
    let twice = foreign_insert(&message(1));
    let mut client = database.client();
    client.batch_execute(&(of_age(0) + &twice)).unwrap();
    assert_eq!(
        refusal(&database),
        format!(
            "could not create unique index \"messages_uuid_idx\": Key (uuid)=({}) is duplicated.",
            message(1).uuid
        )
    );
}

#[test]
fn a_row_added_while_a_claim_waits_for_it_is_the_owner_and_no_claim_stays() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let row = message(1);
    place.catalogue.claim(&[claim_of(&row)]).unwrap();
    // What add() does, stopped before its commit.
    let mut adding = place.client();
    adding
        .batch_execute("BEGIN; DELETE FROM uuid_claims")
        .unwrap();
    adding.batch_execute(&foreign_insert(&row)).unwrap();
    std::thread::scope(|scope| {
        let claiming = scope.spawn(|| place.open().claim(&[claim_of(&rival(&row))]));
        wait_until_one_waits_for_a_lock(&place);
        adding.batch_execute("COMMIT").unwrap();
        let owners = claiming.join().unwrap().unwrap();
        assert_eq!(owning_row(&owners[0].1).uuid, row.uuid);
    });
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
}

fn wait_until_one_waits_for_a_lock(place: &Place) {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let start = Instant::now();
    while place.number(sql) == 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody waits");
        std::thread::yield_now();
    }
}
