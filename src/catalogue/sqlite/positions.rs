//! Positions, and the intervals that were read.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{OptionalExtension, Transaction, params};

use super::row::{UuidText, topic};
use crate::catalogue::positions::{
    ArchivedCount, ArchivedExtent, ReadInterval, Recorded, RecordedGap, StreamKey, StreamPosition,
    StreamStart, advance, parts_to_record, unread,
};
use crate::catalogue::{Gap, GapReason};
use crate::record::TopicId;
use crate::sqlite_file::Fault;

const BEGIN: &str = "
    INSERT INTO streams (topic, kafka_partition, topic_id, first_offset, next_offset)
    VALUES (?1, ?2, ?3, ?4, ?4)
    ON CONFLICT DO NOTHING
";

const FIND: &str = "
    SELECT id, topic, kafka_partition, topic_id, next_offset, first_offset FROM streams
    WHERE topic = ?1 AND kafka_partition = ?2 AND topic_id = ?3
";

struct Found {
    id: i64,
    position: StreamPosition,
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: row.get(0)?,
        position: StreamPosition {
            key: StreamKey {
                topic: topic(row, 1)?,
                partition: row.get(2)?,
                topic_id: TopicId::from_uuid(row.get::<_, UuidText>(3)?.0),
            },
            next: row.get(4)?,
            first: row.get(5)?,
        },
    })
}

fn find(file: &Transaction<'_>, stream: &StreamKey) -> Result<Option<Found>, Fault> {
    let id = UuidText(stream.id_column());
    let mut find = file.prepare_cached(FIND)?;
    Ok(find
        .query_row(params![stream.topic, stream.partition, id], found)
        .optional()?)
}

fn insert(file: &Transaction<'_>, stream: &StreamKey, first: i64) -> Result<bool, Fault> {
    let id = UuidText(stream.id_column());
    let inserted =
        file.prepare_cached(BEGIN)?
            .execute(params![stream.topic, stream.partition, id, first])?;
    Ok(inserted == 1)
}

/// The intervals from the last one that begins at or before an offset.
const INTERVALS: &str = "
    SELECT from_offset, to_offset, records, holes_confirmed FROM read_intervals
    WHERE stream = ?1 AND from_offset >= COALESCE(
        (SELECT max(from_offset) FROM read_intervals WHERE stream = ?1 AND from_offset <= ?2),
        ?2
    )
    ORDER BY from_offset
";

const GAPS: &str = "
    SELECT from_offset, to_offset, reason FROM gaps
    WHERE topic = ?1 AND kafka_partition = ?2
        AND COALESCE(topic_id, '00000000-0000-0000-0000-000000000000') = ?3 AND to_offset > ?4
";

fn recorded(file: &Transaction<'_>, stream: &Found, low: i64) -> Result<Recorded, Fault> {
    let mut intervals = file.prepare_cached(INTERVALS)?;
    let intervals = intervals.query_map(params![stream.id, low], interval)?;
    let key = &stream.position.key;
    let mut gaps = file.prepare_cached(GAPS)?;
    let gaps = gaps.query_map(
        params![key.topic, key.partition, UuidText(key.id_column()), low],
        |row| {
            Ok(RecordedGap {
                offsets: row.get(0)?..row.get(1)?,
                reason: reason(row, 2)?,
            })
        },
    )?;
    Ok(Recorded {
        next: stream.position.next,
        intervals: intervals.collect::<Result<_, _>>()?,
        gaps: gaps.collect::<Result<_, _>>()?,
    })
}

fn interval(row: &rusqlite::Row<'_>) -> rusqlite::Result<ReadInterval> {
    Ok(ReadInterval {
        from: row.get(0)?,
        to: row.get(1)?,
        records: row.get(2)?,
        holes_confirmed: row.get(3)?,
    })
}

/// Why a gap is one.
pub fn reason(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<GapReason> {
    Ok(GapReason::parse(row.get_ref(column)?.as_str()?)
        .ok_or(rusqlite::types::FromSqlError::InvalidType)?)
}

const REMOVE: &str = "DELETE FROM read_intervals WHERE stream = ?1 AND from_offset = ?2";
const MOVE: &str = "UPDATE streams SET next_offset = ?2 WHERE id = ?1 AND next_offset < ?2";
const WRITE: &str = "
    INSERT OR REPLACE INTO read_intervals
        (stream, from_offset, to_offset, records, holes_confirmed)
    VALUES (?1, ?2, ?3, ?4, ?5)
";

/// Adds a part of a gap.
const ADD_PART: &str = "
    INSERT OR IGNORE INTO gaps
        (topic, kafka_partition, from_offset, to_offset, found_at, acknowledged_at, topic_id,
         reason)
    SELECT topic, kafka_partition, ?6, ?7, found_at, acknowledged_at, topic_id, reason
    FROM gaps
    WHERE topic = ?1 AND kafka_partition = ?2
        AND COALESCE(topic_id, '00000000-0000-0000-0000-000000000000') = ?3
        AND from_offset = ?4 AND to_offset = ?5
";
const REMOVE_GAP: &str = "
    DELETE FROM gaps
    WHERE topic = ?1 AND kafka_partition = ?2
        AND COALESCE(topic_id, '00000000-0000-0000-0000-000000000000') = ?3
        AND from_offset = ?4 AND to_offset = ?5
";

/// Adds what was read to the streams, which begin with it where they are new.
/// Returns how many offsets are no longer recorded as a gap.
pub fn add_spans(
    file: &Transaction<'_>,
    spans: &mut BTreeMap<&StreamKey, Vec<(i64, i64, bool)>>,
) -> Result<u64, Fault> {
    let mut recovered = 0;
    for (key, spans) in spans {
        let from = spans.iter().map(|span| span.0).min();
        if let Some(from) = from {
            insert(file, key, from)?;
        }
        let Some(stream) = find(file, key)? else {
            continue;
        };
        let next = stream.position.next;
        let recorded = recorded(file, &stream, from.map_or(next, |from| from.min(next)))?;
        let change = advance(&recorded, spans);
        recovered += change.offsets_recovered();
        for gap in change.shrunk {
            let (id, of) = (UuidText(key.id_column()), gap.recorded);
            for part in gap.missing {
                file.prepare_cached(ADD_PART)?.execute(params![
                    key.topic,
                    key.partition,
                    id,
                    of.start,
                    of.end,
                    part.start,
                    part.end,
                ])?;
            }
            file.prepare_cached(REMOVE_GAP)?.execute(params![
                key.topic,
                key.partition,
                id,
                of.start,
                of.end,
            ])?;
        }
        for from in change.removed {
            file.prepare_cached(REMOVE)?
                .execute(params![stream.id, from])?;
        }
        if change.next > next {
            file.prepare_cached(MOVE)?
                .execute(params![stream.id, change.next])?;
        }
        for interval in change.written {
            file.prepare_cached(WRITE)?.execute(params![
                stream.id,
                interval.from,
                interval.to,
                interval.records,
                interval.holes_confirmed,
            ])?;
        }
    }
    Ok(recovered)
}

pub fn positions(
    file: &Transaction<'_>,
    streams: &[StreamKey],
) -> Result<Vec<StreamPosition>, Fault> {
    let mut positions = Vec::new();
    for stream in streams {
        positions.extend(find(file, stream)?.map(|found| found.position));
    }
    Ok(positions)
}

const ALL: &str = "
    SELECT id, topic, kafka_partition, topic_id, next_offset, first_offset FROM streams
    ORDER BY topic, kafka_partition, topic_id
";

pub fn all(file: &Transaction<'_>) -> Result<Vec<StreamPosition>, Fault> {
    let mut all = file.prepare_cached(ALL)?;
    let found = all.query_map([], found)?;
    Ok(found
        .map(|found| found.map(|found| found.position))
        .collect::<Result<_, _>>()?)
}

pub const EXTENT: &str = "
    SELECT
        max(kafka_offset) FILTER (WHERE topic_id = ?3),
        max(kafka_offset) FILTER (WHERE topic_id IS NULL),
        EXISTS (
            SELECT 1 FROM messages INDEXED BY messages_foreign_idx
            WHERE topic = ?1 AND kafka_offset IS NULL AND NOT direct_upload
        )
    FROM (
        SELECT * FROM (SELECT kafka_offset, topic_id FROM messages
            WHERE topic = ?1 AND kafka_partition = ?2 AND kafka_offset IS NOT NULL
            ORDER BY kafka_offset DESC LIMIT 10000)
        UNION ALL
        SELECT * FROM (SELECT kafka_offset, topic_id FROM retries
            WHERE topic = ?1 AND kafka_partition = ?2
            ORDER BY kafka_offset DESC LIMIT 10000)
    )
";

/// Looks at the last offsets only: a search for a topic id that no row has would
/// read all rows of the partition.
pub fn extent(file: &Transaction<'_>, stream: &StreamKey) -> Result<ArchivedExtent, Fault> {
    let id = UuidText(stream.id_column());
    let mut extent = file.prepare_cached(EXTENT)?;
    Ok(
        extent.query_row(params![stream.topic, stream.partition, id], |row| {
            let past = |last: Option<i64>| last.map(|last| last + 1);
            Ok(ArchivedExtent {
                with_id: past(row.get(0)?),
                without_id: past(row.get(1)?),
                has_foreign_rows: row.get(2)?,
            })
        })?,
    )
}

/// Each run of offsets that follow each other is an interval.
pub const ARCHIVED_RUNS: &str = "
    INSERT INTO read_intervals (stream, from_offset, to_offset, records)
    SELECT ?1, min(at), max(at) + 1, count(*) FROM (
        SELECT at, at - row_number() OVER (ORDER BY at) AS run FROM (
            SELECT kafka_offset AS at FROM messages
            WHERE topic = ?2 AND kafka_partition = ?3 AND kafka_offset >= ?4
                AND (topic_id = ?5 OR (?6 AND topic_id IS NULL))
            UNION
            SELECT kafka_offset FROM retries
            WHERE topic = ?2 AND kafka_partition = ?3 AND kafka_offset >= ?4
                AND (topic_id = ?5 OR (?6 AND topic_id IS NULL))
        )
    ) GROUP BY run
";

pub fn begin(
    file: &Transaction<'_>,
    streams: &[StreamStart],
) -> Result<Vec<StreamPosition>, Fault> {
    let mut positions = Vec::new();
    for StreamStart {
        key,
        first,
        has_rows_without_id,
    } in streams
    {
        if insert(file, key, *first)?
            && let Some(begun) = find(file, key)?
        {
            file.prepare_cached(ARCHIVED_RUNS)?.execute(params![
                begun.id,
                key.topic,
                key.partition,
                first,
                UuidText(key.id_column()),
                has_rows_without_id,
            ])?;
            add_spans(file, &mut BTreeMap::from([(key, vec![])]))?;
        }
        positions.extend(find(file, key)?.map(|found| found.position));
    }
    Ok(positions)
}

pub fn unread_of(
    file: &Transaction<'_>,
    stream: &StreamKey,
    offsets: Range<i64>,
) -> Result<Vec<Range<i64>>, Fault> {
    let Some(found) = find(file, stream)? else {
        return Ok(vec![offsets]);
    };
    let recorded = recorded(file, &found, offsets.start)?;
    Ok(unread(&recorded, offsets))
}

/// The parts of a gap that are to be recorded: all of it where its stream has no
/// position.
pub fn parts_of(file: &Transaction<'_>, gap: &Gap) -> Result<Vec<Gap>, Fault> {
    let Some(found) = find(file, &gap.stream())? else {
        return Ok(vec![gap.clone()]);
    };
    Ok(parts_to_record(gap, &recorded(file, &found, gap.from)?))
}

const OF_STREAM: &str = "
    SELECT from_offset, to_offset, records, holes_confirmed FROM read_intervals
    WHERE stream = ?1 ORDER BY from_offset
";

pub fn intervals(file: &Transaction<'_>, stream: &StreamKey) -> Result<Vec<ReadInterval>, Fault> {
    let Some(found) = find(file, stream)? else {
        return Ok(vec![]);
    };
    let mut intervals = file.prepare_cached(OF_STREAM)?;
    let intervals = intervals.query_map([found.id], interval)?;
    Ok(intervals.collect::<Result<_, _>>()?)
}

pub fn confirm_holes(
    file: &Transaction<'_>,
    stream: &StreamKey,
    before: &[ReadInterval],
    after: &[ReadInterval],
) -> Result<bool, Fault> {
    let Some(low) = before.first().map(|first| first.from) else {
        return Ok(true);
    };
    let Some(found) = find(file, stream)? else {
        return Ok(false);
    };
    let recorded = recorded(file, &found, low)?;
    if !before.iter().all(|one| recorded.intervals.contains(one)) {
        return Ok(false);
    }
    for interval in before {
        file.prepare_cached(REMOVE)?
            .execute(params![found.id, interval.from])?;
    }
    for interval in after {
        file.prepare_cached(WRITE)?.execute(params![
            found.id,
            interval.from,
            interval.to,
            interval.records,
            interval.holes_confirmed,
        ])?;
    }
    Ok(true)
}

pub const COUNT: &str = "
    SELECT count(DISTINCT kafka_offset), count(*) FILTER (WHERE is_row) FROM (
        SELECT kafka_offset, TRUE AS is_row FROM messages
        WHERE topic = ?1 AND kafka_partition = ?2 AND kafka_offset >= ?3 AND kafka_offset < ?4
            AND (topic_id = ?5 OR topic_id IS NULL)
        UNION ALL
        SELECT kafka_offset, FALSE FROM retries
        WHERE topic = ?1 AND kafka_partition = ?2 AND kafka_offset >= ?3 AND kafka_offset < ?4
            AND (topic_id = ?5 OR topic_id IS NULL)
    ) archived
";

pub fn count_archived(
    file: &Transaction<'_>,
    stream: &StreamKey,
    offsets: Range<i64>,
) -> Result<ArchivedCount, Fault> {
    let mut count = file.prepare_cached(COUNT)?;
    let params = params![
        stream.topic,
        stream.partition,
        offsets.start,
        offsets.end,
        UuidText(stream.id_column()),
    ];
    Ok(count.query_row(params, |row| {
        Ok(ArchivedCount {
            offsets: row.get(0)?,
            rows: row.get(1)?,
        })
    })?)
}
