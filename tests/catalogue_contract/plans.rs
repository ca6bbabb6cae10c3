//! The plans of the program's own statements: each goes along the index that is
//! meant for it, and reads no table whole.
//!
//! Every plan is looked at a second time without its index: then the check has
//! to fail, or it would prove nothing.

use std::collections::BTreeMap;

use archive_ingest::catalogue::{INDEXED_POSTGRES_STATEMENTS, INDEXED_SQLITE_STATEMENTS};
use archive_ingest::config::DatabaseConfig;
use serde_json::Value;

use crate::messages::*;
use crate::place::Place;

/// Parameters as PostgreSQL's literals, and the index that serves the statement.
const POSTGRES: &[(&str, &str, &str)] = &[
    (
        "rows",
        "1600000100000, 5, 1600001000000, 5, NULL, 100",
        "messages_timestamp_id_idx",
    ),
    (
        "rows_backward",
        "1600000100000, 5, 1600001000000, 5, NULL, 100",
        "messages_timestamp_id_idx",
    ),
    (
        "rows_of_topics",
        "1600000100000, 5, 9223372036854775807, 5, '{generated.7,generated.8}', 100",
        "messages_topic_timestamp_idx",
    ),
    (
        "rows_of_topics_backward",
        "-9223372036854775808, 5, 1600001000000, 5, '{generated.7,generated.8}', 100",
        "messages_topic_timestamp_idx",
    ),
    (
        "count_of_topics",
        "1600000100000, 5, 1600001000000, 5, '{generated.7,generated.8}'",
        "messages_topic_timestamp_idx",
    ),
    (
        "foreign_rows",
        "'{generated.7}', '{1600000100000}', '{5}'",
        "messages_foreign_idx",
    ),
    (
        "retries",
        "'generated.7', 2, 0, 100000",
        "retries_delivery_idx",
    ),
    (
        "fetch",
        "'{c4ca4238-a0b9-2382-0dcc-509a6f75849b}'",
        "messages_uuid_idx",
    ),
    (
        "topic_after",
        "'generated.7'",
        "messages_topic_timestamp_idx",
    ),
    (
        "count_page",
        "'generated.7', 1600000100000, 5",
        "messages_topic_timestamp_idx",
    ),
    (
        "count_rows",
        "'generated.7'",
        "messages_topic_timestamp_idx",
    ),
    (
        "marks",
        "'generated.7', 1, 5, 5, 2147483647",
        "messages_stream_idx",
    ),
    (
        "unplaced",
        "'generated.7', 1600000100000, 5",
        "messages_foreign_idx",
    ),
    (
        "chosen",
        "'generated.7', '{c4ca4238-a0b9-2382-0dcc-509a6f75849b}'",
        "messages_uuid_idx",
    ),
    (
        "retry_marks",
        "'generated.7', 1, 5, 5, '00000000-0000-0000-0000-000000000000',
            '00000000-0000-0000-0000-000000000000', 2147483647",
        "retries_delivery_idx",
    ),
    ("documents", "'{5,6,7}'", "messages_pkey"),
    ("last_partition", "'generated.7'", "messages_stream_idx"),
    ("direct_uploads", "'generated.7'", "messages_upload_idx"),
    ("repeated", "'generated.7', 1, 5, 5", "messages_stream_idx"),
    ("identities", "'{5,6,7}'", "messages_pkey"),
    (
        "archived_extent",
        "'generated.7', 1, '00000000-0000-0000-0000-000000000000'",
        "messages_stream_idx",
    ),
    (
        "archived_runs",
        "1, 'generated.7', 1, 0, '00000000-0000-0000-0000-000000000000', true",
        "messages_stream_idx",
    ),
    (
        "count_archived",
        "'generated.7', 1, 0, 100, '00000000-0000-0000-0000-000000000000'",
        "messages_stream_idx",
    ),
];

/// The index that serves the statement.
const SQLITE: &[(&str, &str)] = &[
    ("rows", "messages_timestamp_id_idx"),
    ("rows_backward", "messages_timestamp_id_idx"),
    ("rows_of_topic", "messages_topic_timestamp_idx"),
    ("rows_of_topic_backward", "messages_topic_timestamp_idx"),
    ("count_of_topics", "messages_topic_timestamp_idx"),
    ("foreign_rows", "messages_foreign_idx"),
    ("retries", "retries_delivery_idx"),
    ("row", "sqlite_autoindex_messages_1"),
    ("topic_after", "messages_topic_timestamp_idx"),
    ("count_page", "messages_topic_timestamp_idx"),
    ("count_rows", "messages_topic_timestamp_idx"),
    ("marks", "messages_stream_idx"),
    ("unplaced", "messages_foreign_idx"),
    ("chosen", "sqlite_autoindex_messages_1"),
    ("retry_marks", "retries_delivery_idx"),
    ("document", "INTEGER PRIMARY KEY"),
    ("last_partition", "messages_stream_idx"),
    ("direct_uploads", "messages_upload_idx"),
    ("repeated", "messages_stream_idx"),
    ("identity", "INTEGER PRIMARY KEY"),
    ("archived_extent", "messages_stream_idx"),
    ("archived_runs", "messages_stream_idx"),
    ("count_archived", "messages_stream_idx"),
];

/// Scans of messages and retries in a plan: how, of which table, by which index.
fn scans(plan: &Value, found: &mut Vec<(String, String, String)>) {
    let text = |key: &str| plan[key].as_str().unwrap_or_default().to_owned();
    let node = text("Node Type");
    // The index of a bitmap scan is in a node of its own, without the table.
    if ["messages", "retries"].contains(&&*text("Relation Name")) || node == "Bitmap Index Scan" {
        found.push((node, text("Relation Name"), text("Index Name")));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        scans(part, found);
    }
}

/// What is wrong with the plan; `None`: nothing.
fn complaint(
    client: &mut impl postgres::GenericClient,
    explain: &str,
    index: &str,
) -> Option<String> {
    let answers = client.simple_query(explain).unwrap();
    let text: String = answers
        .iter()
        .filter_map(|answer| match answer {
            postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    scans(&plan[0]["Plan"], &mut found);
    let is_along = found.iter().any(|(_, _, used)| used == index);
    let is_whole = found.iter().any(|(node, _, _)| node == "Seq Scan");
    (!is_along || is_whole).then(|| format!("{found:?}"))
}

#[test]
fn statements_go_along_their_index_in_postgres() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let mut client = place.client();
    let generate = include_str!("../../scripts/generate-catalogue.sql")
        .replace(":rows::bigint", "60000")
        .replace(":topics", "100");
    client.batch_execute(&generate).unwrap();
    client.batch_execute("VACUUM ANALYZE").unwrap();
    let cases: BTreeMap<_, _> = POSTGRES.iter().map(|(n, p, i)| (*n, (*p, *i))).collect();
    let mut wrong = Vec::new();
    for (name, sql) in INDEXED_POSTGRES_STATEMENTS {
        let (parameters, index) = cases[name];
        client
            .batch_execute(&format!("PREPARE plan_{name} AS {sql}"))
            .unwrap();
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE plan_{name} ({parameters})");
        // A connection plans a statement for its parameters at first, and for any
        // later.
        for mode in ["force_custom_plan", "force_generic_plan"] {
            client
                .batch_execute(&format!("SET plan_cache_mode = {mode}"))
                .unwrap();
            if let Some(complaint) = complaint(&mut client, &explain, index) {
                wrong.push(format!("{name}, {mode}: not along {index}: {complaint}"));
            }
        }
        let mut transaction = client.transaction().unwrap();
        let drop = match index.strip_prefix("messages_").unwrap_or_default() {
            "pkey" | "uuid_idx" => format!("ALTER TABLE messages DROP CONSTRAINT {index}"),
            _ => format!("DROP INDEX {index}"),
        };
        transaction.batch_execute(&drop).unwrap();
        if complaint(&mut transaction, &explain, index).is_none() {
            wrong.push(format!("{name}: passes without {index}"));
        }
        transaction.rollback().unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statements_go_along_their_index_in_sqlite() {
    let place = Place::sqlite();
    archive(&*place.catalogue, &[message(1), message(2)]);
    let DatabaseConfig::Sqlite(config) = &place.config else {
        panic!("not a file");
    };
    let mut file = rusqlite::Connection::open(&config.path).unwrap();
    let cases: BTreeMap<_, _> = SQLITE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, sql) in INDEXED_SQLITE_STATEMENTS {
        let index = cases[name];
        if let Err(complaint) = sqlite_plan(&file, sql, index) {
            wrong.push(format!("{name}: not along {index}: {complaint}"));
        }
        // The others are part of the table.
        if index.ends_with("_idx") {
            let transaction = file.transaction().unwrap();
            transaction
                .execute_batch(&format!("DROP INDEX {index}"))
                .unwrap();
            if sqlite_plan(&transaction, sql, index).is_ok() {
                wrong.push(format!("{name}: passes without {index}"));
            }
            transaction.rollback().unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Fails with the plan, or with what SQLite says where a statement names an index
/// that is not there.
fn sqlite_plan(file: &rusqlite::Connection, sql: &str, index: &str) -> Result<(), String> {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let mut explain = file.prepare(&explain).map_err(|error| error.to_string())?;
    let mut rows = explain.raw_query();
    let mut steps: Vec<String> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    let is_of_table = |step: &&String| {
        let table = step.split_whitespace().nth(1).unwrap_or_default();
        ["messages", "m", "retries", "r"].contains(&table)
    };
    let is_whole = steps
        .iter()
        .filter(is_of_table)
        .any(|step| step.starts_with("SCAN"));
    let is_along = steps
        .iter()
        .any(|step| step.starts_with("SEARCH") && step.contains(index));
    match is_along && !is_whole {
        true => Ok(()),
        false => Err(steps.join("; ")),
    }
}
