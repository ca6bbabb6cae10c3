//! What retention took before it was archived.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::positions::{Statements, add_spans, lock, parts_of, reason};
use super::row::topic_id;
use crate::catalogue::{Gap, StreamKey};
use crate::postgres_server::{Fault, Session};
use crate::record::TopicId;

const ADD: &str = "
    INSERT INTO gaps (topic, kafka_partition, from_offset, to_offset, topic_id, reason)
    SELECT * FROM unnest(
        $1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[]
    )
    ORDER BY 1, 2, 3, 4
    ON CONFLICT DO NOTHING
    RETURNING topic, kafka_partition, from_offset, to_offset,
        (extract(epoch FROM found_at) * 1000)::bigint,
        (extract(epoch FROM acknowledged_at) * 1000)::bigint, topic_id, reason
";

/// The streams are locked first: what is archived until then is in no gap, and
/// what is archived later shrinks the gaps that it finds.
pub fn add(session: &mut Session, gaps: &[Gap]) -> Result<Vec<Gap>, Fault> {
    let adopt = session.prepare(ADOPT)?;
    let add = session.prepare(ADD)?;
    let statements = Statements::prepare(session)?;
    let keys: Vec<StreamKey> = gaps.iter().map(Gap::stream).collect();
    session.in_transaction(|transaction| {
        lock(transaction, &statements, &keys)?;
        let of = GapColumns::new(gaps);
        let (topics, partitions) = (&of.topics, &of.partitions);
        transaction.execute(
            &adopt,
            &[topics, partitions, &of.from, &of.to, &of.topic_ids],
        )?;
        let mut parts = Vec::new();
        for gap in gaps {
            parts.extend(parts_of(transaction, &statements, gap)?);
        }
        let of = GapColumns::new(&parts);
        let (topics, partitions) = (&of.topics, &of.partitions);
        let added = transaction.query(
            &add,
            &[
                topics,
                partitions,
                &of.from,
                &of.to,
                &of.topic_ids,
                &of.reasons,
            ],
        )?;
        let mut streams: BTreeMap<&StreamKey, Vec<_>> =
            keys.iter().map(|key| (key, vec![])).collect();
        add_spans(transaction, &statements, &mut streams, true)?;
        added.iter().map(gap).collect()
    })
}

/// Gaps as the arrays that one statement takes.
struct GapColumns<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    from: Vec<i64>,
    to: Vec<i64>,
    topic_ids: Vec<Option<Uuid>>,
    reasons: Vec<&'static str>,
}

impl<'a> GapColumns<'a> {
    fn new(gaps: &'a [Gap]) -> Self {
        Self {
            topics: gaps.iter().map(|gap| &*gap.topic).collect(),
            partitions: gaps.iter().map(|gap| gap.partition).collect(),
            from: gaps.iter().map(|gap| gap.from).collect(),
            to: gaps.iter().map(|gap| gap.to).collect(),
            topic_ids: gaps
                .iter()
                .map(|gap| gap.topic_id.map(TopicId::as_uuid))
                .collect(),
            reasons: gaps.iter().map(|gap| gap.reason.as_str()).collect(),
        }
    }
}

/// A gap that an older version recorded without a topic id.
const ADOPT: &str = "
    UPDATE gaps o SET topic_id = g.topic_id
    FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::uuid[])
        AS g (topic, kafka_partition, from_offset, to_offset, topic_id)
    WHERE o.topic = g.topic AND o.kafka_partition = g.kafka_partition
        AND o.from_offset = g.from_offset AND o.to_offset = g.to_offset
        AND o.topic_id IS NULL AND g.topic_id IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM gaps k
            WHERE k.topic = g.topic AND k.kafka_partition = g.kafka_partition
                AND k.from_offset = g.from_offset AND k.to_offset = g.to_offset
                AND k.topic_id = g.topic_id
        )
";

const ALL: &str = "
    SELECT topic, kafka_partition, from_offset, to_offset,
        (extract(epoch FROM found_at) * 1000)::bigint,
        (extract(epoch FROM acknowledged_at) * 1000)::bigint, topic_id, reason
    FROM gaps ORDER BY topic COLLATE \"C\", kafka_partition, from_offset, to_offset
";

pub fn all(session: &mut Session) -> Result<Vec<Gap>, Fault> {
    session.query(ALL, &[])?.iter().map(gap).collect()
}

fn gap(row: &tokio_postgres::Row) -> Result<Gap, Fault> {
    Ok(Gap {
        topic: row.try_get::<_, &str>(0)?.into(),
        partition: row.try_get(1)?,
        from: row.try_get(2)?,
        to: row.try_get(3)?,
        found_at: row.try_get(4)?,
        acknowledged_at: row.try_get(5)?,
        topic_id: topic_id(row, 6)?,
        reason: reason(row, 7)?,
    })
}

const ACKNOWLEDGE: &str = "
    UPDATE gaps SET acknowledged_at = clock_timestamp()
    WHERE acknowledged_at IS NULL AND ($1::text[] IS NULL OR topic = ANY ($1))
";

pub fn acknowledge(session: &mut Session, topics: Option<&[String]>) -> Result<u64, Fault> {
    session.execute(ACKNOWLEDGE, &[&topics])
}
