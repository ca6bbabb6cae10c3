//! What retention took before it was archived.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::positions::{Statements, add_spans};
use super::row::topic_id;
use crate::catalogue::{Gap, GapReason, StreamKey};
use crate::postgres_server::{Fault, Session};
use crate::record::TopicId;

const ADD: &str = "
    INSERT INTO gaps (topic, kafka_partition, from_offset, to_offset, topic_id, reason)
    SELECT * FROM unnest(
        $1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[]
    )
    ORDER BY 1, 2, 3, 4
    ON CONFLICT DO NOTHING
";

pub fn add(session: &mut Session, gaps: &[Gap]) -> Result<u64, Fault> {
    let topics: Vec<&str> = gaps.iter().map(|gap| &*gap.topic).collect();
    let partitions: Vec<i32> = gaps.iter().map(|gap| gap.partition).collect();
    let from: Vec<i64> = gaps.iter().map(|gap| gap.from).collect();
    let to: Vec<i64> = gaps.iter().map(|gap| gap.to).collect();
    let topic_ids: Vec<Option<Uuid>> = gaps
        .iter()
        .map(|gap| gap.topic_id.map(TopicId::as_uuid))
        .collect();
    let reasons: Vec<&str> = gaps.iter().map(|gap| gap.reason.as_str()).collect();
    let mut streams: BTreeMap<&StreamKey, Vec<_>> = BTreeMap::new();
    let keys: Vec<StreamKey> = gaps.iter().map(Gap::stream).collect();
    streams.extend(keys.iter().map(|key| (key, vec![])));
    let adopt = session.prepare(ADOPT)?;
    let add = session.prepare(ADD)?;
    let statements = Statements::prepare(session)?;
    session.in_transaction(|transaction| {
        transaction.execute(&adopt, &[&topics, &partitions, &from, &to, &topic_ids])?;
        let added = transaction.execute(
            &add,
            &[&topics, &partitions, &from, &to, &topic_ids, &reasons],
        )?;
        add_spans(transaction, &statements, &mut streams, true)?;
        Ok(added)
    })
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
    session
        .query(ALL, &[])?
        .iter()
        .map(|row| {
            Ok(Gap {
                topic: row.try_get::<_, &str>(0)?.into(),
                partition: row.try_get(1)?,
                from: row.try_get(2)?,
                to: row.try_get(3)?,
                found_at: row.try_get(4)?,
                acknowledged_at: row.try_get(5)?,
                topic_id: topic_id(row, 6)?,
                reason: GapReason::parse(row.try_get(7)?)
                    .ok_or_else(|| Fault::Refused("a row of gaps has no known reason".into()))?,
            })
        })
        .collect()
}

const ACKNOWLEDGE: &str = "
    UPDATE gaps SET acknowledged_at = clock_timestamp()
    WHERE acknowledged_at IS NULL AND ($1::text[] IS NULL OR topic = ANY ($1))
";

pub fn acknowledge(session: &mut Session, topics: Option<&[String]>) -> Result<u64, Fault> {
    session.execute(ACKNOWLEDGE, &[&topics])
}
