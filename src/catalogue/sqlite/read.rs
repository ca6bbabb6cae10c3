//! Rows, retries and counts, read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Params, Transaction, params};
use uuid::Uuid;

use super::row::{UuidText, message_columns, retry, stored_row};
use crate::catalogue::filter::{Bounds, is_sooner_by_topic, variants};
use crate::catalogue::{Cursor, Retry, RowFilter, StoredRow, TopicSummary};
use crate::sqlite_file::Fault;

/// Rows strictly between two cursors, ?1 to ?4, of the topics in ?5 (a JSON
/// array; null: of all).
macro_rules! matching {
    ($more:literal) => {
        concat!(
            "(timestamp, id) > (?1, ?2) AND (timestamp, id) < (?3, ?4)
             AND (?5 IS NULL OR topic IN (SELECT value FROM json_each(?5)))",
            $more
        )
    };
}

/// The same of the topics in ?5, which is not null: each has its rows in the index
/// over (topic, timestamp).
macro_rules! matching_topics {
    ($more:literal) => {
        concat!(
            "topic IN (SELECT value FROM json_each(?5))
             AND (timestamp, id) > (?1, ?2) AND (timestamp, id) < (?3, ?4)",
            $more
        )
    };
}

/// A page is found in the index over (timestamp, id, topic) before any row is
/// read.
macro_rules! page {
    ($order:literal, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM (SELECT id FROM messages WHERE ",
            matching!($more),
            " ORDER BY timestamp ",
            $order,
            ", id ",
            $order,
            " LIMIT ?6) AS page CROSS JOIN messages m ON m.id = page.id
            ORDER BY m.timestamp ",
            $order,
            ", m.id ",
            $order
        )
    };
}
pub const FORWARD: [&str; 4] = variants!(page, "ASC");
pub const BACKWARD: [&str; 4] = variants!(page, "DESC");

/// A page of one topic, ?5, in the index over (topic, timestamp).
macro_rules! topic_page {
    ($order:literal, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM messages m INDEXED BY messages_topic_timestamp_idx
            WHERE topic = ?5 AND (timestamp, id) > (?1, ?2) AND (timestamp, id) < (?3, ?4)",
            $more,
            " ORDER BY timestamp ",
            $order,
            ", id ",
            $order,
            " LIMIT ?6"
        )
    };
}
pub const TOPIC_FORWARD: [&str; 4] = variants!(topic_page, "ASC");
pub const TOPIC_BACKWARD: [&str; 4] = variants!(topic_page, "DESC");

/// How many messages these topics have, and all topics.
const SHARE: &str = "
    SELECT coalesce(sum(n_messages) FILTER (
            WHERE topic IN (SELECT value FROM json_each(?1))), 0),
        coalesce(sum(n_messages), 0)
    FROM topics
";

fn list(file: &Transaction<'_>, sql: &str, params: impl Params) -> Result<Vec<StoredRow>, Fault> {
    let mut select = file.prepare_cached(sql)?;
    let rows = select.query_map(params, stored_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn rows(
    file: &Transaction<'_>,
    filter: &RowFilter,
    after: Option<Cursor>,
    limit: usize,
    reverse: bool,
) -> Result<Vec<StoredRow>, Fault> {
    let Bounds { after, before } = filter.page(after, reverse);
    if let Some(names) = &filter.topics
        && is_sooner_by_topic(names.len(), || {
            let mut share = file.prepare_cached(SHARE)?;
            share.query_row([topics(filter)], |row| Ok((row.get(0)?, row.get(1)?)))
        })?
    {
        let sql = if reverse {
            TOPIC_BACKWARD
        } else {
            TOPIC_FORWARD
        };
        let mut page = vec![];
        for topic in names.iter().collect::<BTreeSet<_>>() {
            let params = params![
                after.timestamp,
                after.id,
                before.timestamp,
                before.id,
                topic,
                limit_of(limit),
            ];
            page.extend(list(file, sql[filter.variant()], params)?);
            page.sort_unstable_by_key(StoredRow::cursor);
            if reverse {
                page.reverse();
            }
            page.truncate(limit);
        }
        return Ok(page);
    }
    let sql = if reverse { BACKWARD } else { FORWARD };
    list(
        file,
        sql[filter.variant()],
        params![
            after.timestamp,
            after.id,
            before.timestamp,
            before.id,
            topics(filter),
            limit_of(limit),
        ],
    )
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The filter's topics as the statements take them.
fn topics(filter: &RowFilter) -> Option<String> {
    let topics = filter.topics.as_ref()?;
    Some(serde_json::Value::from(topics.as_slice()).to_string())
}

/// Walks the index and gives every row that matches a random number: some
/// seconds in a file of many millions of rows, and no row likelier than another.
macro_rules! shuffled {
    ($matching:ident, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM (SELECT id FROM messages WHERE ",
            $matching!($more),
            " ORDER BY random() LIMIT ?6) AS sample CROSS JOIN messages m ON m.id = sample.id"
        )
    };
}
const SAMPLE: [&str; 4] = variants!(shuffled, matching);
const SAMPLE_TOPICS: [&str; 4] = variants!(shuffled, matching_topics);

pub fn sample(
    file: &Transaction<'_>,
    filter: &RowFilter,
    n: usize,
) -> Result<Vec<StoredRow>, Fault> {
    let Bounds { after, before } = filter.bounds();
    let sample = match &filter.topics {
        Some(_) => SAMPLE_TOPICS,
        None => SAMPLE,
    };
    list(
        file,
        sample[filter.variant()],
        params![
            after.timestamp,
            after.id,
            before.timestamp,
            before.id,
            topics(filter),
            limit_of(n),
        ],
    )
}

const TOPICS: &str = "
    SELECT topic, n_messages, e_timestamp, l_timestamp FROM topics
    WHERE ?1 IS NULL OR topic IN (SELECT value FROM json_each(?1))
    ORDER BY topic
";

macro_rules! counted {
    ($matching:ident, $more:literal) => {
        concat!(
            "SELECT topic, count(*), min(timestamp), max(timestamp) FROM messages WHERE ",
            $matching!($more),
            " GROUP BY topic ORDER BY topic"
        )
    };
}
const COUNT: [&str; 4] = variants!(counted, matching);
pub const COUNT_TOPICS: [&str; 4] = variants!(counted, matching_topics);

pub fn count_by_topic(
    file: &Transaction<'_>,
    filter: &RowFilter,
) -> Result<Vec<TopicSummary>, Fault> {
    if !filter.needs_rows() {
        let mut select = file.prepare_cached(TOPICS)?;
        let topics = select.query_map(params![topics(filter)], summary)?;
        return Ok(topics.collect::<Result<_, _>>()?);
    }
    let Bounds { after, before } = filter.bounds();
    let count = match &filter.topics {
        Some(_) => COUNT_TOPICS,
        None => COUNT,
    };
    let mut select = file.prepare_cached(count[filter.variant()])?;
    let bounds = params![
        after.timestamp,
        after.id,
        before.timestamp,
        before.id,
        topics(filter),
    ];
    let topics = select.query_map(bounds, summary)?;
    Ok(topics.collect::<Result<_, _>>()?)
}

fn summary(row: &rusqlite::Row<'_>) -> rusqlite::Result<TopicSummary> {
    Ok(TopicSummary {
        topic: row.get(0)?,
        messages: row.get(1)?,
        earliest: row.get(2)?,
        latest: row.get(3)?,
    })
}

macro_rules! like {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM messages m INDEXED BY ",
            $index,
            " WHERE m.topic = ?1 AND m.timestamp = ?2 AND m.message_crc32 = ?3
                AND ",
            $condition
        )
    };
}

/// Each half has an index of its own.
pub const FOREIGN: &str = concat!(
    like!(
        "messages_foreign_idx",
        "m.kafka_offset IS NULL AND NOT m.direct_upload"
    ),
    " UNION ALL ",
    like!("messages_origin_found_idx", "m.origin_found")
);

pub fn foreign_rows(
    file: &Transaction<'_>,
    alike: &[(Arc<str>, i64, u32)],
) -> Result<Vec<StoredRow>, Fault> {
    let mut found = BTreeMap::new();
    for (topic, timestamp, crc) in alike {
        for row in list(file, FOREIGN, params![topic, timestamp, crc])? {
            found.insert(row.id, row);
        }
    }
    Ok(found.into_values().collect())
}

pub const RETRIES: &str = "
    SELECT uuid, topic, kafka_partition, kafka_offset, timestamp, timestamp_type, topic_id
    FROM retries
    WHERE topic = ?1 AND kafka_partition = ?2 AND kafka_offset >= ?3 AND kafka_offset < ?4
    ORDER BY kafka_offset, timestamp, uuid
";

pub fn retries(
    file: &Transaction<'_>,
    topic: &str,
    partition: i32,
    offsets: Range<i64>,
) -> Result<Vec<Retry>, Fault> {
    let mut select = file.prepare_cached(RETRIES)?;
    let retries = select.query_map(params![topic, partition, offsets.start, offsets.end], retry)?;
    Ok(retries.collect::<Result<_, _>>()?)
}

const PACKED: &str = "
    SELECT EXISTS (
        SELECT 1 FROM messages WHERE object_offset IS NOT NULL AND bucket = ?1 AND key = ?2
    )
";

pub fn packed(file: &Transaction<'_>, bucket: &str, keys: &[String]) -> Result<Vec<String>, Fault> {
    let mut select = file.prepare_cached(PACKED)?;
    let mut packed = Vec::new();
    for key in keys {
        if select.query_row(params![bucket, key], |row| row.get(0))? {
            packed.push(key.clone());
        }
    }
    Ok(packed)
}

pub const ROW: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.uuid = ?1"
);

/// The row of a UUID, if it has one.
pub fn row_of(file: &Transaction<'_>, uuid: Uuid) -> Result<Option<StoredRow>, Fault> {
    let mut select = file.prepare_cached(ROW)?;
    Ok(select.query_row([UuidText(uuid)], stored_row).optional()?)
}

pub fn fetch(file: &Transaction<'_>, uuids: &[Uuid]) -> Result<Vec<StoredRow>, Fault> {
    let mut rows = Vec::with_capacity(uuids.len());
    for uuid in uuids {
        rows.extend(row_of(file, *uuid)?);
    }
    Ok(rows)
}
