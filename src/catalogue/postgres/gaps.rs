//! What retention took before it was archived.

use uuid::Uuid;

use super::row::topic_id;
use crate::catalogue::{Gap, GapReason};
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
    session.execute(
        ADD,
        &[&topics, &partitions, &from, &to, &topic_ids, &reasons],
    )
}

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
