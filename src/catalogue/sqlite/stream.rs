//! The stream of a topic, in its order.

use rusqlite::{Transaction, named_params};

use super::row::UuidText;
use crate::catalogue::{Appearance, StreamExtent, StreamFilter, StreamPlace};
use crate::record::TimestampType;
use crate::sqlite_file::Fault;
use crate::store::Location;

/// Messages from :since and before :until (ms), of the UUIDs in :uuids (a JSON
/// array), with serial numbers after :after and up to :through; null is no
/// condition.
macro_rules! selected {
    ($of:literal) => {
        concat!(
            "(:since IS NULL OR ",
            $of,
            ".timestamp >= :since) AND (:until IS NULL OR ",
            $of,
            ".timestamp < :until)
            AND (:uuids IS NULL OR m.uuid IN (SELECT value FROM json_each(:uuids)))
            AND (:after IS NULL OR m.id > :after) AND (:through IS NULL OR m.id <= :through)"
        )
    };
}

/// As in PostgreSQL: sorted once, without an index that inserts would pay for.
const READ: &str = concat!(
    "
    WITH appeared AS (
        SELECT m.id, m.uuid, m.bucket, m.key, m.object_offset, m.size, m.crc32,
            m.kafka_partition, m.kafka_offset, m.timestamp, m.timestamp_type, 0 AS is_retry
        FROM messages m WHERE m.topic = :topic AND NOT m.direct_upload AND ",
    selected!("m"),
    "
        UNION ALL
        SELECT m.id, m.uuid, m.bucket, m.key, m.object_offset, m.size, m.crc32,
            r.kafka_partition, r.kafka_offset, r.timestamp, r.timestamp_type, 1
        FROM retries r JOIN messages m ON m.uuid = r.uuid
        WHERE r.topic = :topic AND :uuids IS NULL AND ",
    selected!("r"),
    "
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
            coalesce(kafka_offset, timestamp) AS rank FROM counted
    )
    SELECT id, uuid, bucket, key, object_offset, size, crc32, kafka_partition, kafka_offset,
        timestamp, timestamp_type, is_retry, place_partition, life, rank
    FROM placed
    WHERE (place_partition, life, rank, id, is_retry) > (:partition, :life, :rank, :id, :is_retry)
    ORDER BY place_partition, life, rank, id, is_retry
    "
);

pub fn read(
    file: &Transaction<'_>,
    filter: &StreamFilter,
    place: StreamPlace,
    page: usize,
    receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
) -> Result<(), Fault> {
    let (after, through) = added(filter);
    let mut select = file.prepare_cached(READ)?;
    let mut rows = select.query(named_params! {
        ":topic": filter.topic,
        ":since": filter.since,
        ":until": filter.until,
        ":uuids": uuids(filter),
        ":after": after,
        ":through": through,
        ":partition": place.partition,
        ":life": place.life,
        ":rank": place.rank,
        ":id": place.id,
        ":is_retry": place.is_retry,
    })?;
    let mut read = Vec::with_capacity(page);
    while let Some(row) = rows.next()? {
        read.push(appearance(row)?);
        if read.len() == page && !receive(std::mem::replace(&mut read, Vec::with_capacity(page))) {
            return Ok(());
        }
    }
    if !read.is_empty() {
        receive(read);
    }
    Ok(())
}

fn added(filter: &StreamFilter) -> (Option<i64>, Option<i64>) {
    filter
        .added
        .map_or((None, None), |(from, to)| (Some(from), Some(to)))
}

/// As the statements take them.
fn uuids(filter: &StreamFilter) -> Option<String> {
    let uuids = filter.uuids.as_ref()?;
    let texts: Vec<String> = uuids
        .iter()
        .map(|uuid| uuid.hyphenated().to_string())
        .collect();
    Some(serde_json::Value::from(texts).to_string())
}

fn appearance(row: &rusqlite::Row<'_>) -> rusqlite::Result<Appearance> {
    let size: i32 = row.get(5)?;
    let range = row
        .get::<_, Option<i64>>(4)?
        .map(|from| from as u64..from as u64 + size as u64);
    let word: Option<String> = row.get(10)?;
    let is_retry = row.get(11)?;
    Ok(Appearance {
        place: StreamPlace {
            partition: row.get(12)?,
            life: row.get(13)?,
            rank: row.get(14)?,
            id: row.get(0)?,
            is_retry,
        },
        uuid: row.get::<_, UuidText>(1)?.0,
        location: Location {
            bucket: row.get(2)?,
            key: row.get(3)?,
            range,
        },
        size,
        crc32: row.get(6)?,
        partition: row.get(7)?,
        offset: row.get(8)?,
        timestamp: row.get(9)?,
        timestamp_type: word.as_deref().and_then(TimestampType::parse),
        is_retry,
    })
}

const EXTENT: &str = concat!(
    "
    SELECT count(*) FILTER (WHERE chosen), min(timestamp) FILTER (WHERE chosen),
        max(timestamp) FILTER (WHERE chosen), coalesce(max(size) FILTER (WHERE chosen), 0),
        coalesce(sum(size) FILTER (WHERE chosen), 0),
        count(*) FILTER (WHERE chosen AND kafka_offset IS NULL),
        count(*) FILTER (WHERE chosen AND timestamp_type = 'log_append'),
        count(*) FILTER (WHERE chosen AND timestamp = 0),
        coalesce(max(kafka_partition) + 1, 0), coalesce(max(id), 0),
        count(*) FILTER (WHERE direct_upload)
    FROM (SELECT m.*, NOT m.direct_upload AND ",
    selected!("m"),
    " AS chosen FROM messages m WHERE m.topic = :topic)"
);

const RETRIES: &str = concat!(
    "
    SELECT count(*) FILTER (WHERE chosen), coalesce(max(kafka_partition) + 1, 0),
        min(timestamp) FILTER (WHERE chosen), max(timestamp) FILTER (WHERE chosen)
    FROM (SELECT r.*, :uuids IS NULL AND ",
    selected!("r"),
    " AS chosen FROM retries r JOIN messages m ON m.uuid = r.uuid WHERE r.topic = :topic)"
);

pub fn extent(file: &Transaction<'_>, filter: &StreamFilter) -> Result<StreamExtent, Fault> {
    let (after, through) = added(filter);
    let uuids = uuids(filter);
    let params = named_params! {
        ":topic": filter.topic,
        ":since": filter.since,
        ":until": filter.until,
        ":uuids": uuids,
        ":after": after,
        ":through": through,
    };
    let (extent, first, last) =
        file.prepare_cached(EXTENT)?
            .query_row(params, |row| -> rusqlite::Result<_> {
                let extent = StreamExtent {
                    messages: row.get(0)?,
                    largest: row.get(3)?,
                    bytes: row.get(4)?,
                    without_place: row.get(5)?,
                    log_append: row.get(6)?,
                    at_zero: row.get(7)?,
                    partitions: row.get(8)?,
                    newest: row.get(9)?,
                    direct_uploads: row.get(10)?,
                    ..StreamExtent::default()
                };
                Ok((extent, row.get(1)?, row.get(2)?))
            })?;
    let (retries, partitions, first_again, last_again) = file.prepare_cached(RETRIES)?.query_row(
        params,
        |row| -> rusqlite::Result<(u64, i32, _, _)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        },
    )?;
    let earliest: [Option<i64>; 2] = [first, first_again];
    let latest: [Option<i64>; 2] = [last, last_again];
    Ok(StreamExtent {
        retries,
        partitions: extent.partitions.max(partitions),
        earliest: earliest.into_iter().flatten().min().unwrap_or_default(),
        latest: latest.into_iter().flatten().max().unwrap_or_default(),
        ..extent
    })
}
