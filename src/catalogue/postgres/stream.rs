//! The stream of a topic, in its order.

use super::row::crc32;
use crate::catalogue::{Appearance, StreamExtent, StreamFilter, StreamPlace};
use crate::postgres_server::{Fault, LONG, Session};
use crate::record::TimestampType;
use crate::store::Location;

/// Messages of topic $1 from $2 and before $3 (ms), of the UUIDs in $4, with
/// serial numbers after $5 and up to $6; null is no condition.
macro_rules! selected {
    ($of:literal) => {
        concat!(
            "($2::bigint IS NULL OR ",
            $of,
            r#"."timestamp" >= $2) AND ($3::bigint IS NULL OR "#,
            $of,
            r#"."timestamp" < $3) AND ($4::uuid[] IS NULL OR m.uuid = ANY ($4))
            AND ($5::bigint IS NULL OR m.id > $5) AND ($6::bigint IS NULL OR m.id <= $6)"#
        )
    };
}

/// Sorted once, and not kept: no index is needed that every insert would pay
/// for. A message is of a later life of its topic than all those before it as
/// soon as one of them, or itself, has an offset that was there already.
const READ: &str = concat!(
    r#"
    WITH appeared AS (
        SELECT m.id, m.uuid, m.bucket, m.key, m.object_offset, m.size, m.crc32,
            m.kafka_partition, m.kafka_offset, m."timestamp", m.timestamp_type, false AS is_retry
        FROM messages m WHERE m.topic = $1 AND NOT m.direct_upload AND "#,
    selected!("m"),
    r#"
        UNION ALL
        SELECT m.id, m.uuid, m.bucket, m.key, m.object_offset, m.size, m.crc32,
            r.kafka_partition, r.kafka_offset, r."timestamp", r.timestamp_type, true
        FROM retries r JOIN messages m ON m.uuid = r.uuid
        WHERE r.topic = $1 AND $4::uuid[] IS NULL AND "#,
    selected!("r"),
    r#"
    ), counted AS (
        SELECT *, row_number() OVER (
            PARTITION BY kafka_partition, kafka_offset ORDER BY id, is_retry
        ) AS time_seen FROM appeared
    ), placed AS (
        SELECT *, coalesce(kafka_partition, -1) AS place_partition,
            CASE WHEN kafka_offset IS NULL THEN 0 ELSE max(time_seen) OVER (
                PARTITION BY kafka_partition ORDER BY id, is_retry, kafka_offset
                ROWS UNBOUNDED PRECEDING
            ) END AS life,
            coalesce(kafka_offset, "timestamp") AS rank FROM counted
    )
    SELECT id, uuid, bucket, key, object_offset, size, crc32, kafka_partition, kafka_offset,
        "timestamp", timestamp_type, is_retry, place_partition, life, rank
    FROM placed WHERE (place_partition, life, rank, id, is_retry) > ($7::int, $8::bigint, $9::bigint, $10::bigint, $11::bool)
    ORDER BY place_partition, life, rank, id, is_retry
    "#
);

pub fn read(
    session: &mut Session,
    filter: &StreamFilter,
    after: StreamPlace,
    page: usize,
    receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
) -> Result<(), Fault> {
    let statement = session.prepare(READ)?;
    let (from, to) = added(filter);
    session.in_transaction(|transaction| {
        transaction.allow(LONG)?;
        transaction.allow_standing()?;
        let portal = transaction.bind(
            &statement,
            &[
                &filter.topic,
                &filter.since,
                &filter.until,
                &filter.uuids,
                &from,
                &to,
                &after.partition,
                &after.life,
                &after.rank,
                &after.id,
                &after.is_retry,
            ],
        )?;
        loop {
            let mut read = Vec::with_capacity(page);
            let rows = i32::try_from(page).unwrap_or(i32::MAX);
            transaction.piece(&portal, rows, |row| {
                read.push(appearance(row)?);
                Ok(true)
            })?;
            let is_last = read.len() < page;
            if (!read.is_empty() && !receive(read)) || is_last {
                return Ok(());
            }
        }
    })
}

fn added(filter: &StreamFilter) -> (Option<i64>, Option<i64>) {
    filter
        .added
        .map_or((None, None), |(from, to)| (Some(from), Some(to)))
}

fn appearance(row: &tokio_postgres::Row) -> Result<Appearance, Fault> {
    let size: i32 = row.try_get(5)?;
    let range = row
        .try_get::<_, Option<i64>>(4)?
        .map(|from| from as u64..from as u64 + size as u64);
    let word: Option<&str> = row.try_get(10)?;
    let is_retry = row.try_get(11)?;
    Ok(Appearance {
        place: StreamPlace {
            partition: row.try_get(12)?,
            life: row.try_get(13)?,
            rank: row.try_get(14)?,
            id: row.try_get(0)?,
            is_retry,
        },
        uuid: row.try_get(1)?,
        location: Location {
            bucket: row.try_get(2)?,
            key: row.try_get(3)?,
            range,
        },
        size,
        crc32: crc32(row, 6)?,
        partition: row.try_get(7)?,
        offset: row.try_get(8)?,
        timestamp: row.try_get(9)?,
        timestamp_type: word.and_then(TimestampType::parse),
        is_retry,
    })
}

const EXTENT: &str = concat!(
    r#"
    SELECT count(*) FILTER (WHERE chosen), min("timestamp") FILTER (WHERE chosen),
        max("timestamp") FILTER (WHERE chosen), max(size) FILTER (WHERE chosen),
        coalesce(sum(size) FILTER (WHERE chosen), 0)::bigint,
        count(*) FILTER (WHERE chosen AND kafka_offset IS NULL),
        count(*) FILTER (WHERE chosen AND timestamp_type = 'log_append'),
        count(*) FILTER (WHERE chosen AND "timestamp" = 0),
        coalesce(max(kafka_partition) + 1, 0), coalesce(max(id), 0),
        count(*) FILTER (WHERE direct_upload)
    FROM (SELECT m.*, NOT m.direct_upload AND "#,
    selected!("m"),
    r#" AS chosen FROM messages m WHERE m.topic = $1) AS of_topic
    "#
);

const RETRIES: &str = concat!(
    r#"
    SELECT count(*) FILTER (WHERE chosen), coalesce(max(kafka_partition) + 1, 0),
        min("timestamp") FILTER (WHERE chosen), max("timestamp") FILTER (WHERE chosen)
    FROM (SELECT r.*, $4::uuid[] IS NULL AND "#,
    selected!("r"),
    r#" AS chosen FROM retries r JOIN messages m ON m.uuid = r.uuid WHERE r.topic = $1) AS of_topic
    "#
);

pub fn extent(session: &mut Session, filter: &StreamFilter) -> Result<StreamExtent, Fault> {
    let (from, to) = added(filter);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
        &filter.topic,
        &filter.since,
        &filter.until,
        &filter.uuids,
        &from,
        &to,
    ];
    let messages = session.query_long(EXTENT, &params)?;
    let retries = session.query_long(RETRIES, &params)?;
    // Aggregates without groups have one row.
    let (Some(row), Some(again)) = (messages.first(), retries.first()) else {
        return Ok(StreamExtent::default());
    };
    let count = |row: &tokio_postgres::Row, column| -> Result<u64, Fault> {
        Ok(row.try_get::<_, i64>(column)?.unsigned_abs())
    };
    let earliest: [Option<i64>; 2] = [row.try_get(1)?, again.try_get(2)?];
    let latest: [Option<i64>; 2] = [row.try_get(2)?, again.try_get(3)?];
    Ok(StreamExtent {
        messages: count(row, 0)?,
        retries: count(again, 0)?,
        earliest: earliest.into_iter().flatten().min().unwrap_or_default(),
        latest: latest.into_iter().flatten().max().unwrap_or_default(),
        largest: row
            .try_get::<_, Option<i32>>(3)?
            .map_or(0, |size| size.unsigned_abs().into()),
        bytes: count(row, 4)?,
        without_place: count(row, 5)?,
        log_append: count(row, 6)?,
        at_zero: count(row, 7)?,
        partitions: row.try_get::<_, i32>(8)?.max(again.try_get(1)?),
        newest: row.try_get(9)?,
        direct_uploads: count(row, 10)?,
    })
}
