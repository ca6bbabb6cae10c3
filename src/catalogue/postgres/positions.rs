//! Positions, and the intervals that were read.

use std::collections::BTreeMap;
use std::ops::Range;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use crate::catalogue::positions::{
    ArchivedCount, ArchivedExtent, Change, ReadInterval, Recorded, RecordedGap, StreamKey,
    StreamPosition, StreamStart, advance, parts_to_record, replacement, unread,
};
use crate::catalogue::{Gap, GapReason};
use crate::postgres_server::{Fault, Question, Session, Transaction};
use crate::record::TopicId;

/// The statements that read and write positions.
pub struct Statements {
    begin: Statement,
    lock: Statement,
    find: Statement,
    recorded: Statement,
    write: Statement,
    shrink: Statement,
}

impl Statements {
    pub fn prepare(session: &mut Session) -> Result<Self, Fault> {
        Ok(Self {
            begin: session.prepare(BEGIN)?,
            lock: session.prepare(LOCK)?,
            find: session.prepare(FIND)?,
            recorded: session.prepare(RECORDED)?,
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

/// What is recorded of each stream, of which $4 has the first offset that was
/// read: its position (0), the intervals from the last one that begins at or
/// before the offset (1), and the gaps that end after it (2).
///
/// A statement sees what was committed when it began. So this is another one than
/// [`LOCK`], which may wait for a writer whose intervals have to be seen.
const RECORDED: &str = "
    WITH wanted AS MATERIALIZED (
        SELECT g.n, s.id, s.topic, s.kafka_partition, s.topic_id, s.next_offset,
            least(g.low, s.next_offset) AS low
        FROM unnest($1::text[], $2::int[], $3::uuid[], $4::bigint[]) WITH ORDINALITY
            AS g (topic, kafka_partition, topic_id, low, n)
        JOIN streams s ON s.topic = g.topic AND s.kafka_partition = g.kafka_partition
            AND s.topic_id = g.topic_id
    )
    SELECT 0, n, id, next_offset, 0::bigint, 0::bigint, 0::bigint, NULL FROM wanted
    UNION ALL
    SELECT 1, w.n, w.id, r.from_offset, r.to_offset, r.records, r.holes_confirmed, NULL
    FROM wanted w JOIN read_intervals r ON r.stream = w.id AND r.from_offset >= COALESCE(
        (SELECT max(b.from_offset) FROM read_intervals b
            WHERE b.stream = w.id AND b.from_offset <= w.low),
        w.low
    )
    UNION ALL
    SELECT 2, w.n, w.id, g.from_offset, g.to_offset, 0, 0, g.reason
    FROM wanted w JOIN gaps g ON g.topic = w.topic AND g.kafka_partition = w.kafka_partition
        AND COALESCE(g.topic_id, '00000000-0000-0000-0000-000000000000') = w.topic_id
    WHERE g.to_offset > w.low
    ORDER BY 1, 2, 4
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

    fn params(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.topics, &self.partitions, &self.topic_ids]
    }
}

fn position(row: &Row) -> Result<StreamPosition, Fault> {
    let topic_id: Uuid = row.try_get(3)?;
    Ok(StreamPosition {
        key: StreamKey {
            topic: row.try_get::<_, &str>(1)?.into(),
            partition: row.try_get(2)?,
            topic_id: TopicId::from_uuid(topic_id),
        },
        next: row.try_get(4)?,
        first: row.try_get(5)?,
    })
}

type Spans<'a> = BTreeMap<&'a StreamKey, Vec<(i64, i64, bool)>>;

/// Streams of which something was read, in the order of their names.
pub struct Wanted<'a> {
    streams: Vec<&'a StreamKey>,
    keys: Keys<'a>,
    /// The first offset that was read; `None`: nothing was, and the stream is
    /// wanted from its position on.
    lows: Vec<Option<i64>>,
}

impl<'a> Wanted<'a> {
    /// Of each stream, what was read of it begins at these offsets.
    pub fn new(read: impl IntoIterator<Item = (&'a StreamKey, Option<i64>)>) -> Self {
        let mut lows: BTreeMap<&StreamKey, Option<i64>> = BTreeMap::new();
        for (stream, from) in read {
            let low = lows.entry(stream).or_default();
            *low = low.iter().chain(&from).min().copied();
        }
        let (streams, lows): (Vec<_>, Vec<_>) = lows.into_iter().unzip();
        let keys = Keys::new(streams.iter().copied());
        Self {
            streams,
            keys,
            lows,
        }
    }

    /// Locks the streams, and then reads what is recorded of them.
    pub fn questions<'b>(&'b self, statements: &'b Statements) -> [Question<'b>; 2] {
        let keys = &self.keys;
        [
            Question::new(&statements.lock, keys.params()),
            Question::new(&statements.recorded, self.params()),
        ]
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        let keys = &self.keys;
        [&keys.topics, &keys.partitions, &keys.topic_ids, &self.lows]
    }
}

/// Adds what was read to the streams, which begin with it where they are new.
/// Returns how many offsets are no longer recorded as a gap; `None` where nothing
/// is locked and something is to be written.
pub fn add_spans(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    spans: &mut Spans<'_>,
    locked: bool,
) -> Result<Option<u64>, Fault> {
    let read = spans.iter();
    let read = read.map(|(key, spans)| (*key, spans.iter().map(|span| span.0).min()));
    let wanted = Wanted::new(read);
    let rows = read_recorded(transaction, statements, &wanted, locked)?;
    add_to_recorded(transaction, statements, &wanted, &rows, spans, locked)
}

fn read_recorded(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    wanted: &Wanted<'_>,
    locked: bool,
) -> Result<Vec<Row>, Fault> {
    let [lock, recorded] = wanted.questions(statements);
    let mut answers = match locked {
        true => transaction.query_all(&[lock, recorded])?,
        false => transaction.query_all(&[recorded])?,
    };
    Ok(answers.pop().unwrap_or_default())
}

/// As [`add_spans`], where `rows` answers the second question of `wanted`, which
/// has all streams of the spans.
pub fn add_to_recorded(
    transaction: &mut Transaction<'_>,
    statements: &Statements,
    wanted: &Wanted<'_>,
    rows: &[Row],
    spans: &mut Spans<'_>,
    locked: bool,
) -> Result<Option<u64>, Fault> {
    let mut found = recorded(wanted, rows)?;
    let new: Vec<(&StreamKey, i64)> = spans
        .iter()
        .filter(|(key, _)| !found.contains_key(**key))
        .filter_map(|(key, spans)| Some((*key, spans.iter().map(|span| span.0).min()?)))
        .collect();
    if !new.is_empty() {
        if !locked {
            return Ok(None);
        }
        let keys = Keys::new(new.iter().map(|(key, _)| *key));
        let first: Vec<i64> = new.iter().map(|(_, first)| *first).collect();
        transaction.execute(
            &statements.begin,
            &[&keys.topics, &keys.partitions, &keys.topic_ids, &first],
        )?;
        let rows = read_recorded(transaction, statements, wanted, locked)?;
        found = recorded(wanted, &rows)?;
    }
    let mut write = Writes::default();
    for (key, spans) in spans {
        if let Some((id, recorded)) = found.get(key) {
            write.add(*id, recorded.next, advance(recorded, spans));
        }
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

/// The id of each stream, and what is recorded of it.
fn recorded<'a>(
    wanted: &Wanted<'a>,
    rows: &[Row],
) -> Result<BTreeMap<&'a StreamKey, (i32, Recorded)>, Fault> {
    let mut found: BTreeMap<&StreamKey, (i32, Recorded)> = BTreeMap::new();
    for row in rows {
        let (kind, number): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
        let Some(key) = wanted.streams.get(index) else {
            continue;
        };
        if kind == 0 {
            let recorded = Recorded {
                next: row.try_get(3)?,
                intervals: vec![],
                gaps: vec![],
            };
            found.insert(key, (row.try_get(2)?, recorded));
            continue;
        }
        let Some((_, recorded)) = found.get_mut(key) else {
            continue;
        };
        match kind {
            1 => recorded.intervals.push(interval(row, 3)?),
            _ => recorded.gaps.push(RecordedGap {
                offsets: row.try_get(3)?..row.try_get(4)?,
                reason: reason(row, 7)?,
            }),
        }
    }
    Ok(found)
}

/// Why a gap is one.
pub fn reason(row: &Row, column: usize) -> Result<GapReason, Fault> {
    GapReason::parse(row.try_get(column)?)
        .ok_or_else(|| Fault::Refused("a row of gaps has no known reason".into()))
}

fn interval(row: &Row, first: usize) -> Result<ReadInterval, Fault> {
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
        .map(position)
        .collect()
}

const ALL: &str = r#"
    SELECT id, topic, kafka_partition, topic_id, next_offset, first_offset FROM streams
    ORDER BY topic COLLATE "C", kafka_partition, topic_id
"#;

pub fn all(session: &mut Session) -> Result<Vec<StreamPosition>, Fault> {
    session.query(ALL, &[])?.iter().map(position).collect()
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
            begun.push(position(&row)?);
        }
        Ok(begun)
    })
}

pub fn unread_of(
    session: &mut Session,
    stream: &StreamKey,
    offsets: Range<i64>,
) -> Result<Vec<Range<i64>>, Fault> {
    let wanted = Wanted::new([(stream, Some(offsets.start))]);
    let rows = session.query(RECORDED, &wanted.params())?;
    Ok(match recorded(&wanted, &rows)?.into_values().next() {
        Some((_, recorded)) => unread(&recorded, offsets),
        None => vec![offsets],
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
    let wanted = Wanted::new([(&stream, Some(gap.from))]);
    let rows = transaction.query(&statements.recorded, &wanted.params())?;
    Ok(match recorded(&wanted, &rows)?.into_values().next() {
        Some((_, recorded)) => parts_to_record(gap, &recorded),
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
        let wanted = Wanted::new([(stream, Some(low))]);
        let rows = read_recorded(transaction, &statements, &wanted, true)?;
        let Some((id, recorded)) = recorded(&wanted, &rows)?.into_values().next() else {
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
