//! The pages of a topic's stream, each along an index.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, ToSql, params};
use uuid::Uuid;

use super::SqliteCatalogue;
use super::row::UuidText;
use crate::catalogue::CatalogueError;
use crate::catalogue::stream::{
    Document, Identity, IndexPlace, Mark, Repeated, RetryPlace, StreamPages, doubled_limit,
    marks_limit,
};
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
            ", m.id, m.id, m.timestamp, m.timestamp_type, m.topic_id, m.uuid, m.size
            FROM messages m "
        )
    };
}

/// messages_stream_idx.
pub const MARKS: &str = concat!(
    mark_columns!("m.kafka_partition", "m.kafka_offset"),
    "INDEXED BY messages_stream_idx
    WHERE m.topic = ?1 AND m.kafka_offset IS NOT NULL
        AND (m.kafka_partition, m.kafka_offset, m.id) > (?2, ?3, ?4) AND m.kafka_partition <= ?5
    ORDER BY m.kafka_partition, m.kafka_offset, m.id",
    marks_limit!()
);

/// messages_foreign_idx.
pub const UNPLACED: &str = concat!(
    mark_columns!("-1", "m.timestamp"),
    "INDEXED BY messages_foreign_idx
    WHERE m.topic = ?1 AND m.kafka_offset IS NULL AND NOT m.direct_upload
        AND m.timestamp >= ?2 AND (m.timestamp, m.id) > (?2, ?3)
    ORDER BY m.timestamp, m.id",
    marks_limit!()
);

pub const CHOSEN: &str = concat!(
    mark_columns!(
        "coalesce(m.kafka_partition, -1)",
        "coalesce(m.kafka_offset, m.timestamp)"
    ),
    "WHERE m.uuid = ?2 AND m.topic = ?1 AND NOT m.direct_upload"
);

/// retries_delivery_idx.
pub const RETRY_MARKS: &str = concat!(
    "
    SELECT r.kafka_partition, r.kafka_offset, m.id, coalesce(r.serial, m.id), r.timestamp,
        r.timestamp_type, r.topic_id, r.uuid, 0
    FROM retries r INDEXED BY retries_delivery_idx CROSS JOIN messages m ON m.uuid = r.uuid
    WHERE r.topic = ?1
        AND (r.kafka_partition, r.kafka_offset, r.timestamp, r.uuid,
            coalesce(r.topic_id, '00000000-0000-0000-0000-000000000000'))
            > (?2, ?3, ?4, ?5, ?6)
        AND r.kafka_partition <= ?7
    ORDER BY r.kafka_partition, r.kafka_offset, r.timestamp, r.uuid,
        coalesce(r.topic_id, '00000000-0000-0000-0000-000000000000')",
    marks_limit!()
);

pub const DOCUMENT: &str =
    "SELECT id, uuid, bucket, key, object_offset, size, crc32 FROM messages WHERE id = ?1";

pub const LAST_PARTITION: &str = "
    SELECT max(
        coalesce((SELECT max(kafka_partition) FROM messages
            WHERE topic = ?1 AND kafka_offset IS NOT NULL), -1),
        coalesce((SELECT max(kafka_partition) FROM retries WHERE topic = ?1), -1)
    )
";

pub const DIRECT_UPLOADS: &str = "
    SELECT count(*) FROM messages INDEXED BY messages_upload_idx
    WHERE topic = ?1 AND direct_upload
";

const REBUILT_THROUGH: &str = "SELECT coalesce(max(rebuilt_through), 0) FROM catalogue_state";

/// messages_stream_idx alone.
pub const REPEATED: &str = concat!(
    "SELECT kafka_partition, kafka_offset, id FROM messages INDEXED BY messages_stream_idx
    WHERE topic = ?1 AND kafka_offset IS NOT NULL
        AND (kafka_partition, kafka_offset, id) > (?2, ?3, ?4)
    ORDER BY kafka_partition, kafka_offset, id",
    doubled_limit!()
);

pub const IDENTITY: &str =
    "SELECT uuid, topic_id, timestamp, content_digest FROM messages WHERE id = ?1";

type Result<T> = std::result::Result<T, CatalogueError>;

impl SqliteCatalogue {
    /// All rows of a statement.
    fn all<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        Ok(self.connections.read(|file| {
            let mut select = file.prepare_cached(sql)?;
            let rows = select.query_map(params, |row| read(row))?;
            Ok(rows.collect::<rusqlite::Result<Vec<T>>>()?)
        })?)
    }

    /// The one value of a statement.
    fn one<T: rusqlite::types::FromSql + Default>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
    ) -> Result<T> {
        let values = self.all(sql, params, |row| row.get(0))?;
        Ok(values.into_iter().next().unwrap_or_default())
    }
}

impl StreamPages for SqliteCatalogue {
    fn marks(&self, topic: &str, after: IndexPlace, through: i32) -> Result<Vec<Mark>> {
        let params = params![topic, after.partition, after.offset, after.id, through];
        self.all(MARKS, params, |row| mark(row, false))
    }

    fn retry_marks(&self, topic: &str, after: RetryPlace, through: i32) -> Result<Vec<Mark>> {
        let (partition, offset, timestamp, uuid, id) = after;
        let (uuid, id) = (UuidText(uuid), UuidText(id));
        let params = params![topic, partition, offset, timestamp, uuid, id, through];
        self.all(RETRY_MARKS, params, |row| mark(row, true))
    }

    fn unplaced(&self, topic: &str, (timestamp, id): (i64, i64)) -> Result<Vec<Mark>> {
        self.all(UNPLACED, params![topic, timestamp, id], |row| {
            mark(row, false)
        })
    }

    fn chosen(&self, topic: &str, uuids: &[Uuid]) -> Result<Vec<Mark>> {
        Ok(self.connections.read(|file| {
            let mut select = file.prepare_cached(CHOSEN)?;
            let mut marks = vec![];
            for uuid in uuids {
                let params = params![topic, UuidText(*uuid)];
                marks.extend(
                    select
                        .query_row(params, |row| mark(row, false))
                        .optional()?,
                );
            }
            Ok(marks)
        })?)
    }

    fn documents(&self, ids: &[i64]) -> Result<Vec<Document>> {
        Ok(self.connections.read(|file| {
            let mut select = file.prepare_cached(DOCUMENT)?;
            let mut documents = vec![];
            for id in ids {
                documents.extend(select.query_row([id], document).optional()?);
            }
            Ok(documents)
        })?)
    }

    fn last_partition(&self, topic: &str) -> Result<i32> {
        self.one(LAST_PARTITION, params![topic])
    }

    fn direct_uploads(&self, topic: &str) -> Result<u64> {
        self.one(DIRECT_UPLOADS, params![topic])
    }

    fn rebuilt_through(&self) -> Result<i64> {
        self.one(REBUILT_THROUGH, &[])
    }

    fn repeated(&self, topic: &str, after: IndexPlace) -> Result<Vec<Repeated>> {
        let params = params![topic, after.partition, after.offset, after.id];
        let mut before = after;
        let mut page = self.all(REPEATED, params, |row| {
            let place = IndexPlace {
                partition: row.get(0)?,
                offset: row.get(1)?,
                id: row.get(2)?,
            };
            Ok(Repeated {
                place,
                previous: None,
            })
        })?;
        for row in &mut page {
            let at = |place: IndexPlace| (place.partition, place.offset);
            row.previous = (at(row.place) == at(before)).then_some(before.id);
            before = row.place;
        }
        page.retain(|row| row.previous.is_some() || row.place == before);
        Ok(page)
    }

    fn identities(&self, ids: &[i64]) -> Result<BTreeMap<i64, Identity>> {
        Ok(self.connections.read(|file| {
            let mut select = file.prepare_cached(IDENTITY)?;
            let mut identities = BTreeMap::new();
            for id in ids {
                let identity = select.query_row([id], |row| {
                    Ok(Identity {
                        uuid: row.get::<_, UuidText>(0)?.0,
                        topic_id: row.get::<_, Option<UuidText>>(1)?.map(|id| id.0),
                        timestamp: row.get(2)?,
                        digest: row.get(3)?,
                    })
                });
                identities.extend(identity.optional()?.map(|identity| (*id, identity)));
            }
            Ok(identities)
        })?)
    }
}

fn mark(row: &Row<'_>, is_retry: bool) -> rusqlite::Result<Mark> {
    let word: Option<String> = row.get(5)?;
    Ok(Mark {
        partition: row.get(0)?,
        offset: row.get(1)?,
        id: row.get(2)?,
        serial: row.get(3)?,
        timestamp: row.get(4)?,
        timestamp_type: word.as_deref().and_then(TimestampType::parse),
        topic_id: row.get::<_, Option<UuidText>>(6)?.map(|id| id.0),
        uuid: row.get::<_, UuidText>(7)?.0,
        size: row.get(8)?,
        is_retry,
    })
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let size: i32 = row.get(5)?;
    let offset: Option<i64> = row.get(4)?;
    Ok(Document {
        id: row.get(0)?,
        uuid: row.get::<_, UuidText>(1)?.0,
        location: Location {
            bucket: row.get(2)?,
            key: row.get(3)?,
            range: offset.map(|from| from as u64..from as u64 + size as u64),
        },
        size,
        crc32: row.get(6)?,
    })
}
