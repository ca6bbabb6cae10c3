//! Rows, retries and counts, read.

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::row::{message_columns, retry, stored_row};
use crate::catalogue::filter::{Bounds, is_sooner_by_topic, variants};
use crate::catalogue::{Cursor, Retry, RowFilter, StoredRow, TopicSummary};
use crate::postgres_server::{Fault, Params, Session};

/// Rows strictly between two cursors, $1 to $4, of the topics in $5 (null: of
/// all).
macro_rules! matching {
    ($more:literal) => {
        concat!(
            r#"("timestamp", id) > ($1, $2) AND ("timestamp", id) < ($3, $4)
               AND ($5::text[] IS NULL OR topic = ANY ($5))"#,
            $more
        )
    };
}

/// The same of the topics in $5, which is not null: each has its rows in the index
/// over (topic, timestamp, id).
macro_rules! matching_topics {
    ($more:literal) => {
        concat!(
            r#"topic = ANY ($5) AND ("timestamp", id) > ($1, $2) AND ("timestamp", id) < ($3, $4)"#,
            $more
        )
    };
}

/// A page is found in the index over (timestamp, id), which knows the topic,
/// before any row is read.
macro_rules! page {
    ($order:literal, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            r#" FROM (SELECT id FROM messages WHERE "#,
            matching!($more),
            r#" ORDER BY "timestamp" "#,
            $order,
            ", id ",
            $order,
            r#" LIMIT $6) AS page JOIN messages m ON m.id = page.id
            ORDER BY m."timestamp" "#,
            $order,
            ", m.id ",
            $order
        )
    };
}
pub const FORWARD: [&str; 4] = variants!(page, "ASC");
pub const BACKWARD: [&str; 4] = variants!(page, "DESC");

/// The same of a few topics: a page of each, in the index over (topic, timestamp,
/// id), and of all of these the first.
macro_rules! topics_page {
    ($order:literal, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            r#" FROM (
                SELECT of_topic.id
                FROM (SELECT DISTINCT unnest($5::text[]) AS topic) AS asked
                CROSS JOIN LATERAL (
                    SELECT id, "timestamp" FROM messages
                    WHERE topic = asked.topic
                        AND ("timestamp", id) > ($1, $2) AND ("timestamp", id) < ($3, $4)"#,
            $more,
            r#" ORDER BY "timestamp" "#,
            $order,
            ", id ",
            $order,
            r#" LIMIT $6) AS of_topic ORDER BY of_topic."timestamp" "#,
            $order,
            ", of_topic.id ",
            $order,
            r#" LIMIT $6) AS page JOIN messages m ON m.id = page.id
            ORDER BY m."timestamp" "#,
            $order,
            ", m.id ",
            $order
        )
    };
}
pub const TOPICS_FORWARD: [&str; 4] = variants!(topics_page, "ASC");
pub const TOPICS_BACKWARD: [&str; 4] = variants!(topics_page, "DESC");

/// How many messages these topics have, and all topics.
const SHARE: &str = "
    SELECT coalesce(sum(n_messages) FILTER (WHERE topic = ANY ($1)), 0)::bigint,
        coalesce(sum(n_messages), 0)::bigint
    FROM topics
";

pub fn rows(
    session: &mut Session,
    filter: &RowFilter,
    after: Option<Cursor>,
    limit: usize,
    reverse: bool,
) -> Result<Vec<StoredRow>, Fault> {
    let is_by_topic = match &filter.topics {
        Some(topics) => is_sooner_by_topic(topics.len(), || {
            let share = session.query(SHARE, &[topics])?;
            Ok::<_, Fault>(match share.first() {
                Some(row) => (row.try_get(0)?, row.try_get(1)?),
                None => (0, 0),
            })
        })?,
        None => false,
    };
    let Bounds { after, before } = filter.page(after, reverse);
    let sql = match (is_by_topic, reverse) {
        (true, false) => &TOPICS_FORWARD,
        (true, true) => &TOPICS_BACKWARD,
        (false, false) => &FORWARD,
        (false, true) => &BACKWARD,
    };
    let sql = sql[filter.variant()];
    let limit = limit_of(limit);
    let params: Params<'_> = &[
        &after.timestamp,
        &after.id,
        &before.timestamp,
        &before.id,
        &filter.topics,
        &limit,
    ];
    // All that such a page reads, it gives.
    let is_short = filter.variant() == 0 && (is_by_topic || filter.topics.is_none());
    let rows = match is_short {
        true => session.query(sql, params)?,
        false => session.query_long(sql, params)?,
    };
    rows.iter().map(stored_row).collect()
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Serial numbers drawn from all there ever were. Those that a row has, and
/// that match, are rows chosen at random: no row is likelier than another.
macro_rules! drawn {
    ($more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            r#" FROM (
                SELECT * FROM messages WHERE id IN (
                    SELECT lowest + floor(random() * (highest - lowest + 1))::bigint
                    FROM (SELECT min(id) AS lowest, max(id) AS highest FROM messages) AS ids,
                        generate_series(1, $6)
                ) AND "#,
            matching!($more),
            " ORDER BY random() LIMIT $7) AS m"
        )
    };
}
const DRAW: [&str; 4] = variants!(drawn);

/// Every row that matches gets a random number: right whatever the filter, and
/// a walk through the whole index.
macro_rules! shuffled {
    ($matching:ident, $more:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM (SELECT id FROM messages WHERE ",
            $matching!($more),
            " ORDER BY random() LIMIT $6) AS sample JOIN messages m ON m.id = sample.id"
        )
    };
}
const SHUFFLE: [&str; 4] = variants!(shuffled, matching);
const SHUFFLE_TOPICS: [&str; 4] = variants!(shuffled, matching_topics);

/// Draws first, which costs the same however many rows there are; where the
/// filter leaves too few of the drawn rows, all that match are shuffled.
pub fn sample(
    session: &mut Session,
    filter: &RowFilter,
    n: usize,
) -> Result<Vec<StoredRow>, Fault> {
    let Bounds { after, before } = filter.bounds();
    let draws = i32::try_from(n.saturating_mul(4).clamp(1_000, 100_000)).unwrap_or(i32::MAX);
    let limit = limit_of(n);
    let (from, from_id) = (&after.timestamp, &after.id);
    let (to, to_id) = (&before.timestamp, &before.id);
    let topics = &filter.topics;
    let variant = filter.variant();
    let drawn = session.query_long(
        DRAW[variant],
        &[from, from_id, to, to_id, topics, &draws, &limit],
    )?;
    let rows = if drawn.len() < n {
        let shuffle = match topics {
            Some(_) => SHUFFLE_TOPICS,
            None => SHUFFLE,
        };
        session.query_long(
            shuffle[variant],
            &[from, from_id, to, to_id, topics, &limit],
        )?
    } else {
        drawn
    };
    rows.iter().map(stored_row).collect()
}

/// What `topics` says; archive-core leaves topics without messages in it.
const TOPICS: &str = r#"
    SELECT topic, n_messages, e_timestamp, l_timestamp FROM topics
    WHERE n_messages > 0 AND ($1::text[] IS NULL OR topic = ANY ($1))
    ORDER BY topic COLLATE "C"
"#;

macro_rules! counted {
    ($matching:ident, $more:literal) => {
        concat!(
            r#"SELECT topic, count(*), min("timestamp"), max("timestamp") FROM messages WHERE "#,
            $matching!($more),
            r#" GROUP BY topic ORDER BY topic COLLATE "C""#
        )
    };
}
const COUNT: [&str; 4] = variants!(counted, matching);
pub const COUNT_TOPICS: [&str; 4] = variants!(counted, matching_topics);

pub fn count_by_topic(
    session: &mut Session,
    filter: &RowFilter,
) -> Result<Vec<TopicSummary>, Fault> {
    let rows = if filter.needs_rows() {
        let Bounds { after, before } = filter.bounds();
        let count = match &filter.topics {
            Some(_) => COUNT_TOPICS,
            None => COUNT,
        };
        session.query_long(
            count[filter.variant()],
            &[
                &after.timestamp,
                &after.id,
                &before.timestamp,
                &before.id,
                &filter.topics,
            ],
        )?
    } else {
        session.query(TOPICS, &[&filter.topics])?
    };
    rows.iter().map(summary).collect()
}

fn summary(row: &tokio_postgres::Row) -> Result<TopicSummary, Fault> {
    Ok(TopicSummary {
        topic: row.try_get(0)?,
        messages: row.try_get(1)?,
        earliest: row.try_get(2)?,
        latest: row.try_get(3)?,
    })
}

/// Rows like one of those in $1 to $3.
macro_rules! like {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            r#" FROM unnest($1::text[], $2::bigint[], $3::bigint[])
                AS alike (topic, "timestamp", message_crc32)
            JOIN messages m ON m.topic = alike.topic AND m."timestamp" = alike."timestamp"
                AND m.message_crc32 = alike.message_crc32
            WHERE "#,
            $condition
        )
    };
}

/// Each half has an index of its own. By the first column, the id.
pub const FOREIGN: &str = concat!(
    like!("m.kafka_offset IS NULL AND NOT m.direct_upload"),
    " UNION ",
    like!("m.origin_found"),
    " ORDER BY 1"
);

pub fn foreign_rows(
    session: &mut Session,
    alike: &[(Arc<str>, i64, u32)],
) -> Result<Vec<StoredRow>, Fault> {
    let topics: Vec<&str> = alike.iter().map(|(topic, _, _)| &**topic).collect();
    let timestamps: Vec<i64> = alike.iter().map(|(_, timestamp, _)| *timestamp).collect();
    let crcs: Vec<i64> = alike.iter().map(|(_, _, crc)| (*crc).into()).collect();
    let rows = session.query(FOREIGN, &[&topics, &timestamps, &crcs])?;
    rows.iter().map(stored_row).collect()
}

pub const RETRIES: &str = r#"
    SELECT uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type, topic_id
    FROM retries
    WHERE topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3 AND kafka_offset < $4
    ORDER BY kafka_offset, "timestamp", uuid
"#;

pub fn retries(
    session: &mut Session,
    topic: &str,
    partition: i32,
    offsets: Range<i64>,
) -> Result<Vec<Retry>, Fault> {
    let (from, to) = (offsets.start, offsets.end);
    let rows = session.query(RETRIES, &[&topic, &partition, &from, &to])?;
    rows.iter().map(retry).collect()
}

const PACKED: &str = "
    SELECT DISTINCT key FROM messages
    WHERE object_offset IS NOT NULL AND bucket = $1 AND key = ANY ($2)
";

pub fn packed(session: &mut Session, bucket: &str, keys: &[String]) -> Result<Vec<String>, Fault> {
    let rows = session.query(PACKED, &[&bucket, &keys])?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub const FETCH: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.uuid = ANY ($1)"
);

pub fn fetch(session: &mut Session, uuids: &[Uuid]) -> Result<Vec<StoredRow>, Fault> {
    let rows = session.query(FETCH, &[&uuids])?;
    rows.iter().map(stored_row).collect()
}
