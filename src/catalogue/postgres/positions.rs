//! Positions, and the intervals that were read.

use std::collections::BTreeMap;
use std::ops::Range;

use tokio_postgres::Statement;
use uuid::Uuid;

use crate::catalogue::positions::{
    ArchivedCount, ArchivedExtent, Change, ReadInterval, Recorded, RecordedGap, StreamKey,
    StreamPosition, StreamStart, advance, parts_to_record, replacement, unread,
};
use crate::catalogue::{Gap, GapReason};
use crate::postgres_server::{Fault, Session, Transaction};
use crate::record::TopicId;

/// The statements that read and write positions.
pub struct Statements {
    begin: Statement,
    lock: Statement,
    find: Statement,
    intervals: Statement,
    gaps: Statement,
    write: Statement,
    shrink: Statement,
}

impl Statements {
    pub fn prepare(session: &mut Session) -> Result<Self, Fault> {
        Ok(Self {
            begin: session.prepare(BEGIN)?,
            lock: session.prepare(LOCK)?,
            find: session.prepare(FIND)?,
            intervals: session.prepare(INTERVALS)?,
            gaps: session.prepare(GAPS)?,
            write: session.prepare(WRITE)?,
            shrink: session.prepare(SHRINK)?,
        })
    }
}

const BEGIN: &str = "
    INSERT INTO streams (topic, kafka_partition, topic_id, first_offset, next_offset)
    SELECT * FROM unnest($1::text[], $2::int[], $3::uuid[], $4::bigint[], $4::bigint[])
    ON CONFLICT DO NOTHING
    RETURNING id
";

macro_rules! find {
    ($end:literal) => {
        concat!(
            "SELECT s.id, s.topic, s.kafka_partition, s.topic_id, s.next_offset, s.first_offset
            FROM streams s JOIN unnest($1::text[], $2::int[], $3::uuid[])
                AS g (topic, kafka_partition, topic_id)
                ON s.topic = g.topic AND s.kafka_partition = g.kafka_partition
                AND s.topic_id = g.topic_id
            ORDER BY s.id ",
            $end
        )
    };
}

const FIND: &str = find!("");

/// In one order, so that two writers never wait for each other in a circle.
const LOCK: &str = find!("FOR NO KEY UPDATE OF s");

/// The intervals of each stream from the last one that begins at or before
/// `low`.
const INTERVALS: &str = "
    SELECT w.id, r.from_offset, r.to_offset, r.records, r.holes_confirmed
    FROM unnest($1::int[], $2::bigint[]) AS w (id, low)
    JOIN read_intervals r ON r.stream = w.id AND r.from_offset >= COALESCE(
        (SELECT max(b.from_offset) FROM read_intervals b
            WHERE b.stream = w.id AND b.from_offset <= w.low),
        w.low
    )
    ORDER BY w.id, r.from_offset
";

const GAPS: &str = "
    SELECT w.id, g.from_offset, g.to_offset, g.reason
    FROM unnest($1::int[], $2::bigint[]) AS w (id, low)
    JOIN streams s ON s.id = w.id
    JOIN gaps g ON g.topic = s.topic AND g.kafka_partition = s.kafka_partition
        AND COALESCE(g.topic_id, '00000000-0000-0000-0000-000000000000') = s.topic_id
    WHERE g.to_offset > w.low
";

const WRITE: &str = "
    WITH gone AS (
        DELETE FROM read_intervals r USING unnest($1::int[], $2::bigint[]) AS g (stream, at)
        WHERE r.stream = g.stream AND r.from_offset = g.at
    ), moved AS (
        UPDATE streams s SET next_offset = g.next
        FROM unnest($3::int[], $4::bigint[]) AS g (id, next)
        WHERE s.id = g.id AND s.next_offset < g.next
    )
    INSERT INTO read_intervals (stream, from_offset, to_offset, records, holes_confirmed)
    SELECT * FROM unnest($5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
    ON CONFLICT (stream, from_offset) DO UPDATE SET
        to_offset = EXCLUDED.to_offset, records = EXCLUDED.records,
        holes_confirmed = EXCLUDED.holes_confirmed
";

/// Gaps are replaced by the parts of them that are still missing.
const SHRINK: &str = "
    WITH shrunk AS (
        DELETE FROM gaps g USING streams s,
            unnest($1::int[], $2::bigint[], $3::bigint[]) AS w (id, from_offset, to_offset)
        WHERE s.id = w.id AND g.topic = s.topic AND g.kafka_partition = s.kafka_partition
            AND COALESCE(g.topic_id, '00000000-0000-0000-0000-000000000000') = s.topic_id
            AND g.from_offset = w.from_offset AND g.to_offset = w.to_offset
        RETURNING w.id, g.topic, g.kafka_partition, g.from_offset, g.found_at,
            g.acknowledged_at, g.topic_id, g.reason
    )
    INSERT INTO gaps
        (topic, kafka_partition, from_offset, to_offset, found_at, acknowledged_at, topic_id,
         reason)
    SELECT o.topic, o.kafka_partition, p.from_offset, p.to_offset, o.found_at,
        o.acknowledged_at, o.topic_id, o.reason
    FROM shrunk o JOIN unnest($4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS p (id, of, from_offset, to_offset) ON p.id = o.id AND p.of = o.from_offset
    ON CONFLICT DO NOTHING
";

/// Streams as the arrays that a statement takes.
#[derive(Default)]
struct Keys<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    topic_ids: Vec<Uuid>,
}

impl<'a> Keys<'a> {
    fn new(keys: impl IntoIterator<Item = &'a StreamKey>) -> Self {
        let mut arrays = Self::default();
        for key in keys {
            arrays.topics.push(&key.topic);
            arrays.partitions.push(key.partition);
            arrays.topic_ids.push(key.id_column());
        }
        arrays
    }
}

struct Found {
    id: i32,
    position: StreamPosition,
}

fn found(row: &tokio_postgres::Row) -> Result<Found, Fault> {
    let topic_id: Uuid = row.try_get(3)?;
    Ok(Found {
        id: row.try_get(0)?,
        position: StreamPosition {
            key: StreamKey {
                topic: row.try_get::<_, &str>(1)?.into(),
                partition: row.try_get(2)?,
                topic_id: TopicId::from_uuid(topic_id),
            },
            next: row.try_get(4)?,
            first: row.try_get(5)?,
        },
    })
}

type Spans<'a> = BTreeMap<&'a StreamKey, Vec<(i64, i64, bool)>>;

/// Adds what was read to the streams, which begin with it where they are new.
/// Returns how many offsets are no longer recorded as a gap; `None` where nothing
/// is locked and something is to be written.
pub fn add_spans(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    spans: &mut Spans<'_>,
    locked: bool,
) -> Result<Option<u64>, Fault> {
    let keys = Keys::new(spans.keys().copied());
    let find = if locked {
        &statements.lock
    } else {
        &statements.find
    };
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&keys.topics, &keys.partitions, &keys.topic_ids];
    let mut rows = transaction.query(find, &params)?;
    if rows.len() < spans.len() {
        if !locked {
            return Ok(None);
        }
        let read = || spans.iter().filter(|(_, spans)| !spans.is_empty());
        let new = Keys::new(read().map(|(key, _)| *key));
        let first: Vec<i64> = read()
            .filter_map(|(_, spans)| spans.iter().map(|span| span.0).min())
            .collect();
        transaction.execute(
            &statements.begin,
            &[&new.topics, &new.partitions, &new.topic_ids, &first],
        )?;
        rows = transaction.query(find, &params)?;
    }
    let streams: Vec<Found> = rows.iter().map(found).collect::<Result<_, _>>()?;
    let lows: Vec<i64> = streams
        .iter()
        .map(|stream| {
            let spans = spans.get(&stream.position.key).into_iter().flatten();
            let from = spans.map(|span| span.0).min();
            from.map_or(stream.position.next, |from| from.min(stream.position.next))
        })
        .collect();
    let mut recorded = recorded(transaction, statements, &streams, &lows)?;
    let mut write = Writes::default();
    for stream in &streams {
        let Some(recorded) = recorded.remove(&stream.id) else {
            continue;
        };
        let mut none = Vec::new();
        let spans = spans.get_mut(&stream.position.key).unwrap_or(&mut none);
        write.add(stream.id, recorded.next, advance(&recorded, spans));
    }
    if write.is_empty() {
        return Ok(Some(0));
    }
    if !locked {
        return Ok(None);
    }
    write.execute(transaction, statements)?;
    Ok(Some(write.recovered))
}

fn recorded(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    streams: &[Found],
    lows: &Vec<i64>,
) -> Result<BTreeMap<i32, Recorded>, Fault> {
    let ids: Vec<i32> = streams.iter().map(|stream| stream.id).collect();
    let mut recorded: BTreeMap<i32, Recorded> = streams
        .iter()
        .map(|stream| {
            let next = stream.position.next;
            let (intervals, gaps) = (vec![], vec![]);
            (
                stream.id,
                Recorded {
                    next,
                    intervals,
                    gaps,
                },
            )
        })
        .collect();
    for row in transaction.query(&statements.intervals, &[&ids, lows])? {
        if let Some(recorded) = recorded.get_mut(&row.try_get(0)?) {
            recorded.intervals.push(interval(&row, 1)?);
        }
    }
    for row in transaction.query(&statements.gaps, &[&ids, lows])? {
        if let Some(recorded) = recorded.get_mut(&row.try_get(0)?) {
            recorded.gaps.push(RecordedGap {
                offsets: row.try_get(1)?..row.try_get(2)?,
                reason: reason(&row, 3)?,
            });
        }
    }
    Ok(recorded)
}

/// Why a gap is one.
pub fn reason(row: &tokio_postgres::Row, column: usize) -> Result<GapReason, Fault> {
    GapReason::parse(row.try_get(column)?)
        .ok_or_else(|| Fault::Refused("a row of gaps has no known reason".into()))
}

fn interval(row: &tokio_postgres::Row, first: usize) -> Result<ReadInterval, Fault> {
    Ok(ReadInterval {
        from: row.try_get(first)?,
        to: row.try_get(first + 1)?,
        records: row.try_get(first + 2)?,
        holes_confirmed: row.try_get(first + 3)?,
    })
}

/// What is written, as the arrays that one statement takes.
#[derive(Default)]
struct Writes {
    removed_of: Vec<i32>,
    removed: Vec<i64>,
    moved: Vec<i32>,
    next: Vec<i64>,
    written_of: Vec<i32>,
    from: Vec<i64>,
    to: Vec<i64>,
    records: Vec<i64>,
    confirmed: Vec<i64>,
    shrunk_of: Vec<i32>,
    shrunk_from: Vec<i64>,
    shrunk_to: Vec<i64>,
    part_of: Vec<i32>,
    part_of_from: Vec<i64>,
    part_from: Vec<i64>,
    part_to: Vec<i64>,
    recovered: u64,
}

impl Writes {
    fn add(&mut self, stream: i32, next_before: i64, change: Change) {
        self.recovered += change.offsets_recovered();
        for gap in change.shrunk {
            self.shrunk_of.push(stream);
            self.shrunk_from.push(gap.recorded.start);
            self.shrunk_to.push(gap.recorded.end);
            for part in gap.missing {
                self.part_of.push(stream);
                self.part_of_from.push(gap.recorded.start);
                self.part_from.push(part.start);
                self.part_to.push(part.end);
            }
        }
        for from in change.removed {
            self.removed_of.push(stream);
            self.removed.push(from);
        }
        if change.next > next_before {
            self.moved.push(stream);
            self.next.push(change.next);
        }
        for interval in change.written {
            self.written_of.push(stream);
            self.from.push(interval.from);
            self.to.push(interval.to);
            self.records.push(interval.records);
            self.confirmed.push(interval.holes_confirmed);
        }
    }

    fn is_empty(&self) -> bool {
        self.moved.is_empty()
            && self.written_of.is_empty()
            && self.removed.is_empty()
            && self.shrunk_of.is_empty()
    }

    fn execute(
        &self,
        transaction: &mut Transaction<'_>,
        statements: &Statements,
    ) -> Result<(), Fault> {
        transaction.execute(
            &statements.write,
            &[
                &self.removed_of,
                &self.removed,
                &self.moved,
                &self.next,
                &self.written_of,
                &self.from,
                &self.to,
                &self.records,
                &self.confirmed,
            ],
        )?;
        if !self.shrunk_of.is_empty() {
            transaction.execute(
                &statements.shrink,
                &[
                    &self.shrunk_of,
                    &self.shrunk_from,
                    &self.shrunk_to,
                    &self.part_of,
                    &self.part_of_from,
                    &self.part_from,
                    &self.part_to,
                ],
            )?;
        }
        Ok(())
    }
}

pub fn positions(
    session: &mut Session,
    streams: &[StreamKey],
) -> Result<Vec<StreamPosition>, Fault> {
    let keys = Keys::new(streams);
    session
        .query(FIND, &[&keys.topics, &keys.partitions, &keys.topic_ids])?
        .iter()
        .map(|row| Ok(found(row)?.position))
        .collect()
}

const ALL: &str = r#"
    SELECT id, topic, kafka_partition, topic_id, next_offset, first_offset FROM streams
    ORDER BY topic COLLATE "C", kafka_partition, topic_id
"#;

pub fn all(session: &mut Session) -> Result<Vec<StreamPosition>, Fault> {
    session
        .query(ALL, &[])?
        .iter()
        .map(|row| Ok(found(row)?.position))
        .collect()
}

/// Looks at the last offsets only: a search for a topic id that no row has would
/// read all rows of the partition.
pub const EXTENT: &str = "
    SELECT
        max(d.kafka_offset) FILTER (WHERE d.topic_id = $3),
        max(d.kafka_offset) FILTER (WHERE d.topic_id IS NULL),
        EXISTS (
            SELECT FROM messages
            WHERE topic = $1 AND kafka_offset IS NULL AND NOT direct_upload
        )
    FROM (
        (SELECT kafka_offset, topic_id FROM messages
            WHERE topic = $1 AND kafka_partition = $2 AND kafka_offset IS NOT NULL
            ORDER BY kafka_offset DESC LIMIT 10000)
        UNION ALL
        (SELECT kafka_offset, topic_id FROM retries
            WHERE topic = $1 AND kafka_partition = $2
            ORDER BY kafka_offset DESC LIMIT 10000)
    ) d
";

pub fn extent(session: &mut Session, stream: &StreamKey) -> Result<ArchivedExtent, Fault> {
    let id = stream.id_column();
    let row = session.query_one(EXTENT, &[&&*stream.topic, &stream.partition, &id])?;
    let past = |last: Option<i64>| last.map(|last| last + 1);
    Ok(ArchivedExtent {
        with_id: past(row.try_get(0)?),
        without_id: past(row.try_get(1)?),
        has_foreign_rows: row.try_get(2)?,
    })
}

/// Each run of offsets that follow each other is an interval.
pub const ARCHIVED_RUNS: &str = "
    INSERT INTO read_intervals (stream, from_offset, to_offset, records)
    SELECT $1, min(at), max(at) + 1, count(*) FROM (
        SELECT at, at - row_number() OVER (ORDER BY at) AS run FROM (
            SELECT kafka_offset AS at FROM messages
            WHERE topic = $2 AND kafka_partition = $3 AND kafka_offset >= $4
                AND (topic_id = $5 OR ($6 AND topic_id IS NULL))
            UNION
            SELECT kafka_offset FROM retries
            WHERE topic = $2 AND kafka_partition = $3 AND kafka_offset >= $4
                AND (topic_id = $5 OR ($6 AND topic_id IS NULL))
        ) offsets
    ) runs GROUP BY run
";

pub fn begin(session: &mut Session, streams: &[StreamStart]) -> Result<Vec<StreamPosition>, Fault> {
    let statements = Statements::prepare(session)?;
    let runs = session.prepare(ARCHIVED_RUNS)?;
    session.in_transaction(|transaction| {
        let mut begun = Vec::new();
        for StreamStart {
            key,
            first,
            has_rows_without_id,
        } in streams
        {
            let keys = Keys::new([key]);
            let inserted = transaction.query(
                &statements.begin,
                &[
                    &keys.topics,
                    &keys.partitions,
                    &keys.topic_ids,
                    &vec![*first],
                ],
            )?;
            if let Some(row) = inserted.first() {
                let id: i32 = row.try_get(0)?;
                let runs_added = transaction.execute(
                    &runs,
                    &[
                        &id,
                        &&*key.topic,
                        &key.partition,
                        first,
                        &key.id_column(),
                        has_rows_without_id,
                    ],
                )?;
                if runs_added > 0 {
                    let mut none = BTreeMap::from([(key, vec![])]);
                    add_spans(transaction, &statements, &mut none, true)?;
                }
            }
            let row = transaction.query_one(
                &statements.find,
                &[&keys.topics, &keys.partitions, &keys.topic_ids],
            )?;
            begun.push(found(&row)?.position);
        }
        Ok(begun)
    })
}

pub fn unread_of(
    session: &mut Session,
    stream: &StreamKey,
    offsets: Range<i64>,
) -> Result<Vec<Range<i64>>, Fault> {
    let statements = Statements::prepare(session)?;
    session.in_transaction(|transaction| {
        let keys = Keys::new([stream]);
        let rows = transaction.query(
            &statements.find,
            &[&keys.topics, &keys.partitions, &keys.topic_ids],
        )?;
        let streams: Vec<Found> = rows.iter().map(found).collect::<Result<_, _>>()?;
        let recorded = recorded(transaction, &statements, &streams, &vec![offsets.start])?;
        Ok(match recorded.into_values().next() {
            Some(recorded) => unread(&recorded, offsets),
            None => vec![offsets],
        })
    })
}

/// Locks the streams of gaps, so that nothing is archived of them meanwhile.
pub fn lock(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    streams: &[StreamKey],
) -> Result<(), Fault> {
    let keys = Keys::new(streams);
    transaction.query(
        &statements.lock,
        &[&keys.topics, &keys.partitions, &keys.topic_ids],
    )?;
    Ok(())
}

/// The parts of a gap that are to be recorded, of a stream that is locked: all
/// of it where the stream has no position.
pub fn parts_of(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    gap: &Gap,
) -> Result<Vec<Gap>, Fault> {
    let stream = gap.stream();
    let keys = Keys::new([&stream]);
    let rows = transaction.query(
        &statements.find,
        &[&keys.topics, &keys.partitions, &keys.topic_ids],
    )?;
    let streams: Vec<Found> = rows.iter().map(found).collect::<Result<_, _>>()?;
    let recorded = recorded(transaction, statements, &streams, &vec![gap.from])?;
    Ok(match recorded.into_values().next() {
        Some(recorded) => parts_to_record(gap, &recorded),
        None => vec![gap.clone()],
    })
}

const OF_STREAM: &str = "
    SELECT r.from_offset, r.to_offset, r.records, r.holes_confirmed
    FROM read_intervals r JOIN streams s ON s.id = r.stream
    WHERE s.topic = $1 AND s.kafka_partition = $2 AND s.topic_id = $3
    ORDER BY r.from_offset
";

pub fn intervals(session: &mut Session, stream: &StreamKey) -> Result<Vec<ReadInterval>, Fault> {
    let id = stream.id_column();
    session
        .query(OF_STREAM, &[&&*stream.topic, &stream.partition, &id])?
        .iter()
        .map(|row| interval(row, 0))
        .collect()
}

pub fn confirm_holes(
    session: &mut Session,
    stream: &StreamKey,
    before: &[ReadInterval],
    after: &[ReadInterval],
) -> Result<bool, Fault> {
    let Some(low) = before.first().map(|first| first.from) else {
        return Ok(true);
    };
    let statements = Statements::prepare(session)?;
    session.in_transaction(|transaction| {
        let keys = Keys::new([stream]);
        let rows = transaction.query(
            &statements.lock,
            &[&keys.topics, &keys.partitions, &keys.topic_ids],
        )?;
        let streams: Vec<Found> = rows.iter().map(found).collect::<Result<_, _>>()?;
        let recorded = recorded(transaction, &statements, &streams, &vec![low])?;
        let Some((id, recorded)) = recorded.into_iter().next() else {
            return Ok(false);
        };
        if !before.iter().all(|one| recorded.intervals.contains(one)) {
            return Ok(false);
        }
        let mut writes = Writes::default();
        writes.add(id, recorded.next, replacement(recorded.next, before, after));
        writes.execute(transaction, &statements)?;
        Ok(true)
    })
}

pub const COUNT: &str = "
    SELECT count(DISTINCT kafka_offset), count(*) FILTER (WHERE is_row) FROM (
        SELECT kafka_offset, true AS is_row FROM messages
        WHERE topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3 AND kafka_offset < $4
            AND (topic_id = $5 OR topic_id IS NULL)
        UNION ALL
        SELECT kafka_offset, false FROM retries
        WHERE topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3 AND kafka_offset < $4
            AND (topic_id = $5 OR topic_id IS NULL)
    ) archived
";

pub fn count_archived(
    session: &mut Session,
    stream: &StreamKey,
    offsets: Range<i64>,
) -> Result<ArchivedCount, Fault> {
    let id = stream.id_column();
    let row = session.query_one(
        COUNT,
        &[
            &&*stream.topic,
            &stream.partition,
            &offsets.start,
            &offsets.end,
            &id,
        ],
    )?;
    Ok(ArchivedCount {
        offsets: row.try_get(0)?,
        rows: row.try_get(1)?,
    })
}
