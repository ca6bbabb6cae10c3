//! What cannot be archived now.

use crate::catalogue::{Stuck, storable};
use crate::postgres_server::{Fault, Session};

const ALL: &str = "
    SELECT topic, kafka_partition, kafka_offset, object_key, cause,
        (extract(epoch FROM since) * 1000)::bigint
    FROM stuck ORDER BY topic COLLATE \"C\", kafka_partition, kafka_offset, object_key COLLATE \"C\"
";

pub fn all(session: &mut Session) -> Result<Vec<(Stuck, i64)>, Fault> {
    session
        .query(ALL, &[])?
        .iter()
        .map(|row| {
            let offset: i64 = row.try_get(2)?;
            let object: String = row.try_get(3)?;
            let stuck = Stuck {
                topic: row.try_get::<_, &str>(0)?.into(),
                partition: row.try_get(1)?,
                offset: (offset != Stuck::UNKNOWN_OFFSET).then_some(offset),
                object: (!object.is_empty()).then_some(object),
                cause: row.try_get(4)?,
            };
            Ok((stuck, row.try_get(5)?))
        })
        .collect()
}

const REMOVE: &str = "
    DELETE FROM stuck s
    USING unnest($1::text[], $2::integer[], $3::bigint[], $4::text[])
        AS g (topic, kafka_partition, kafka_offset, object_key)
    WHERE s.topic = g.topic AND s.kafka_partition = g.kafka_partition
        AND s.kafka_offset = g.kafka_offset AND s.object_key = g.object_key
";
const ADD: &str = "
    INSERT INTO stuck (topic, kafka_partition, kafka_offset, object_key, cause)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[])
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (topic, kafka_partition, kafka_offset, object_key)
        DO UPDATE SET cause = excluded.cause
";

pub fn change(session: &mut Session, ended: &[Stuck], begun: &[Stuck]) -> Result<(), Fault> {
    let (remove, add) = (session.prepare(REMOVE)?, session.prepare(ADD)?);
    let (old, new) = (Columns::of(ended), Columns::of(begun));
    session.in_transaction(|transaction| {
        transaction.execute(
            &remove,
            &[&old.topics, &old.partitions, &old.offsets, &old.objects],
        )?;
        transaction.execute(
            &add,
            &[
                &new.topics,
                &new.partitions,
                &new.offsets,
                &new.objects,
                &new.causes,
            ],
        )?;
        Ok(())
    })
}

struct Columns<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    objects: Vec<&'a str>,
    causes: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(stuck: &'a [Stuck]) -> Self {
        Self {
            topics: stuck.iter().map(|one| &*one.topic).collect(),
            partitions: stuck.iter().map(|one| one.partition).collect(),
            offsets: stuck.iter().map(Stuck::stored_offset).collect(),
            objects: stuck.iter().map(Stuck::stored_object).collect(),
            causes: stuck
                .iter()
                .map(|one| storable(&one.cause).into_owned())
                .collect(),
        }
    }
}
