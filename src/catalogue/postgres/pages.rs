//! The pages of a topic's stream, each along an index.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresCatalogue;
use super::row::crc32;
use crate::catalogue::CatalogueError;
use crate::catalogue::stream::{
    Document, Identity, IndexPlace, Mark, Repeated, RetryPlace, StreamPages, doubled_limit,
    marks_limit,
};
use crate::postgres_server::Fault;
use crate::record::TimestampType;
use crate::store::Location;

/// Partition, offset, id, serial, timestamp, type, topic id, UUID and size.
macro_rules! mark_columns {
    ($partition:literal, $offset:literal) => {
        concat!(
            "SELECT ",
            $partition,
            ", ",
            $offset,
            r#", m.id, m.id, m."timestamp", m.timestamp_type, m.topic_id, m.uuid, m.size
            FROM messages m "#
        )
    };
}

/// messages_stream_idx.
pub const MARKS: &str = concat!(
    mark_columns!("m.kafka_partition", "m.kafka_offset"),
    "WHERE m.topic = $1 AND m.kafka_offset IS NOT NULL
        AND (m.kafka_partition, m.kafka_offset, m.id) > ($2, $3, $4) AND m.kafka_partition <= $5
    ORDER BY m.kafka_partition, m.kafka_offset, m.id",
    marks_limit!()
);

/// messages_foreign_idx, which is in the order of time.
pub const UNPLACED: &str = concat!(
    mark_columns!("-1", r#"m."timestamp""#),
    r#"WHERE m.topic = $1 AND m.kafka_offset IS NULL AND NOT m.direct_upload
        AND m."timestamp" >= $2 AND (m."timestamp", m.id) > ($2, $3)
    ORDER BY m."timestamp", m.id"#,
    marks_limit!()
);

/// messages_uuid_idx.
pub const CHOSEN: &str = concat!(
    mark_columns!(
        "coalesce(m.kafka_partition, -1)",
        r#"coalesce(m.kafka_offset, m."timestamp")"#
    ),
    "WHERE m.uuid = ANY ($2) AND m.topic = $1 AND NOT m.direct_upload"
);

/// retries_delivery_idx.
pub const RETRY_MARKS: &str = concat!(
    r#"
    SELECT r.kafka_partition, r.kafka_offset, m.id, coalesce(r.serial, m.id), r."timestamp",
        r.timestamp_type, r.topic_id, r.uuid, 0
    FROM retries r JOIN messages m ON m.uuid = r.uuid
    WHERE r.topic = $1
        AND (r.kafka_partition, r.kafka_offset, r."timestamp", r.uuid,
            coalesce(r.topic_id, '00000000-0000-0000-0000-000000000000'::uuid))
            > ($2, $3, $4, $5, $6)
        AND r.kafka_partition <= $7
    ORDER BY r.kafka_partition, r.kafka_offset, r."timestamp", r.uuid,
        coalesce(r.topic_id, '00000000-0000-0000-0000-000000000000'::uuid)"#,
    marks_limit!()
);

pub const DOCUMENTS: &str = "
    SELECT id, uuid, bucket, key, object_offset, size, crc32 FROM messages WHERE id = ANY ($1)
";

pub const LAST_PARTITION: &str = "
    SELECT greatest(
        (SELECT max(kafka_partition) FROM messages WHERE topic = $1 AND kafka_offset IS NOT NULL),
        (SELECT max(kafka_partition) FROM retries WHERE topic = $1),
        -1
    )
";

/// messages_upload_idx.
pub const DIRECT_UPLOADS: &str = "SELECT count(*) FROM messages WHERE topic = $1 AND direct_upload";

const REBUILT_THROUGH: &str = "SELECT coalesce(max(rebuilt_through), 0) FROM catalogue_state";

/// messages_stream_idx alone. A page begins after a row, which its first row is
/// compared with.
pub const REPEATED: &str = concat!(
    "
    WITH page AS MATERIALIZED (
        SELECT kafka_partition, kafka_offset, id FROM messages
        WHERE topic = $1 AND kafka_offset IS NOT NULL
            AND (kafka_partition, kafka_offset, id) > ($2, $3, $4)
        ORDER BY kafka_partition, kafka_offset, id",
    doubled_limit!(),
    "
    ), compared AS (
        SELECT *, lag(kafka_partition, 1, $2) OVER place AS before_partition,
            lag(kafka_offset, 1, $3) OVER place AS before_offset,
            lag(id, 1, $4) OVER place AS before_id, lead(id) OVER place IS NULL AS is_last
        FROM page WINDOW place AS (ORDER BY kafka_partition, kafka_offset, id)
    )
    SELECT kafka_partition, kafka_offset, id,
        CASE WHEN before_partition = kafka_partition AND before_offset = kafka_offset
            THEN before_id END
    FROM compared
    WHERE is_last OR (before_partition = kafka_partition AND before_offset = kafka_offset)
    ORDER BY kafka_partition, kafka_offset, id"
);

pub const IDENTITIES: &str = r#"
    SELECT id, uuid, topic_id, "timestamp", content_digest FROM messages WHERE id = ANY ($1)
"#;

type Result<T> = std::result::Result<T, CatalogueError>;

impl StreamPages for PostgresCatalogue {
    fn marks(&self, topic: &str, after: IndexPlace, through: i32) -> Result<Vec<Mark>> {
        let (partition, offset, id) = (after.partition, after.offset, after.id);
        self.call(|session| {
            let rows = session.query(MARKS, &[&topic, &partition, &offset, &id, &through])?;
            rows.iter().map(|row| mark(row, false)).collect()
        })
    }

    fn retry_marks(&self, topic: &str, after: RetryPlace, through: i32) -> Result<Vec<Mark>> {
        let (partition, offset, timestamp, uuid, id) = after;
        self.call(|session| {
            let rows = session.query(
                RETRY_MARKS,
                &[
                    &topic, &partition, &offset, &timestamp, &uuid, &id, &through,
                ],
            )?;
            rows.iter().map(|row| mark(row, true)).collect()
        })
    }

    fn unplaced(&self, topic: &str, (timestamp, id): (i64, i64)) -> Result<Vec<Mark>> {
        self.call(|session| {
            let rows = session.query(UNPLACED, &[&topic, &timestamp, &id])?;
            rows.iter().map(|row| mark(row, false)).collect()
        })
    }

    fn chosen(&self, topic: &str, uuids: &[Uuid]) -> Result<Vec<Mark>> {
        self.call(|session| {
            let rows = session.query(CHOSEN, &[&topic, &uuids])?;
            rows.iter().map(|row| mark(row, false)).collect()
        })
    }

    fn documents(&self, ids: &[i64]) -> Result<Vec<Document>> {
        self.call(|session| {
            let rows = session.query(DOCUMENTS, &[&ids])?;
            rows.iter().map(document).collect()
        })
    }

    fn last_partition(&self, topic: &str) -> Result<i32> {
        self.call(|session| one(session.query(LAST_PARTITION, &[&topic])?, -1))
    }

    fn direct_uploads(&self, topic: &str) -> Result<u64> {
        let count: i64 = self.call(|session| one(session.query(DIRECT_UPLOADS, &[&topic])?, 0))?;
        Ok(count.unsigned_abs())
    }

    fn rebuilt_through(&self) -> Result<i64> {
        self.call(|session| one(session.query(REBUILT_THROUGH, &[])?, 0))
    }

    fn repeated(&self, topic: &str, after: IndexPlace) -> Result<Vec<Repeated>> {
        let (partition, offset, id) = (after.partition, after.offset, after.id);
        self.call(|session| {
            let rows = session.query(REPEATED, &[&topic, &partition, &offset, &id])?;
            let repeated = rows.iter().map(|row| {
                Ok(Repeated {
                    place: IndexPlace {
                        partition: row.try_get(0)?,
                        offset: row.try_get(1)?,
                        id: row.try_get(2)?,
                    },
                    previous: row.try_get(3)?,
                })
            });
            repeated.collect()
        })
    }

    fn identities(&self, ids: &[i64]) -> Result<BTreeMap<i64, Identity>> {
        self.call(|session| {
            let rows = session.query(IDENTITIES, &[&ids])?;
            let identities = rows.iter().map(|row| {
                let identity = Identity {
                    uuid: row.try_get(1)?,
                    topic_id: row.try_get(2)?,
                    timestamp: row.try_get(3)?,
                    digest: row.try_get(4)?,
                };
                Ok((row.try_get(0)?, identity))
            });
            identities.collect()
        })
    }
}

/// The value of a statement that has one row and one column.
fn one<T>(rows: Vec<Row>, default: T) -> std::result::Result<T, Fault>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    Ok(rows.first().map_or(Ok(default), |row| row.try_get(0))?)
}

fn mark(row: &Row, is_retry: bool) -> std::result::Result<Mark, Fault> {
    let word: Option<&str> = row.try_get(5)?;
    Ok(Mark {
        partition: row.try_get(0)?,
        offset: row.try_get(1)?,
        id: row.try_get(2)?,
        serial: row.try_get(3)?,
        timestamp: row.try_get(4)?,
        timestamp_type: word.and_then(TimestampType::parse),
        topic_id: row.try_get(6)?,
        uuid: row.try_get(7)?,
        size: row.try_get(8)?,
        is_retry,
    })
}

fn document(row: &Row) -> std::result::Result<Document, Fault> {
    let size: i32 = row.try_get(5)?;
    let offset: Option<i64> = row.try_get(4)?;
    Ok(Document {
        id: row.try_get(0)?,
        uuid: row.try_get(1)?,
        location: Location {
            bucket: row.try_get(2)?,
            key: row.try_get(3)?,
            range: offset.map(|from| from as u64..from as u64 + size as u64),
        },
        size,
        crc32: crc32(row, 6)?,
    })
}
