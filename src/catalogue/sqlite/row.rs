//! Rows, read.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use uuid::Uuid;

use crate::catalogue::{Origin, Retry, Row, StoredRow};
use crate::record::{ContentDigest, Signature, TimestampType, TopicId};

/// The columns of `messages` (as `m`) that [`stored_row`] reads, first in a
/// query's list. Older rows may hold texts longer than
/// [`MAX_TEXT_CHARS`](crate::catalogue::text::MAX_TEXT_CHARS): they are cut here,
/// so that the memory of a page is bounded.
macro_rules! message_columns {
    () => {
        "m.id, m.topic, m.timestamp, m.uuid, m.size, m.key, m.bucket, m.crc32, \
         m.is_client_uuid, m.public, m.direct_upload, m.message_crc32, \
         substr(m.title, 1, 2048), substr(m.sender, 1, 2048), substr(m.media_type, 1, 2048), \
         substr(m.file_name, 1, 2048), substr(m.originator, 1, 2048), m.retracted, m.object_offset, \
         m.kafka_partition, m.kafka_offset, m.timestamp_type, m.content_digest, m.topic_id, \
         m.signature, m.signing_key"
    };
}
pub(super) use message_columns;

/// A row of a query that begins with [`message_columns`].
pub fn stored_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredRow> {
    let stored = Row {
        topic: topic(row, 1)?,
        timestamp: row.get(2)?,
        uuid: row.get::<_, UuidText>(3)?.0,
        size: row.get(4)?,
        key: row.get(5)?,
        bucket: row.get(6)?,
        crc32: row.get(7)?,
        is_client_uuid: row.get(8)?,
        public: row.get(9)?,
        direct_upload: row.get(10)?,
        message_crc32: row.get(11)?,
        title: row.get(12)?,
        sender: row.get(13)?,
        media_type: row.get(14)?,
        file_name: row.get(15)?,
        originator: row.get(16)?,
        retracted: row.get(17)?,
        object_offset: row.get(18)?,
        origin: origin(row, 19)?,
        signature: signature(row, 24)?,
    };
    Ok(StoredRow {
        id: row.get(0)?,
        row: stored,
    })
}

pub fn topic(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    row.get::<_, Arc<str>>(column)
}

/// Partition, offset, timestamp type and digest from `first` on: all, or null;
/// then the topic's id, which may be null.
fn origin(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<Origin>> {
    let (Some(partition), Some(offset)) = (row.get(first)?, row.get(first + 1)?) else {
        return Ok(None);
    };
    Ok(Some(Origin {
        partition,
        offset,
        timestamp_type: row.get::<_, TypeWord>(first + 2)?.0,
        digest: digest(row, first + 3)?,
        topic_id: topic_id(row, first + 4)?,
    }))
}

pub fn topic_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<TopicId>> {
    let uuid = row.get::<_, Option<UuidText>>(column)?;
    Ok(uuid.and_then(|text| TopicId::from_uuid(text.0)))
}

/// The MAC and the id of its key from `first` on, or null.
fn signature(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<Signature>> {
    let (Some(mac), Some(key_id)) = (row.get(first)?, row.get(first + 1)?) else {
        return Ok(None);
    };
    Ok(Some(Signature { key_id, mac }))
}

pub fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<ContentDigest> {
    row.get(column).map(ContentDigest)
}

/// A row of `retries`: uuid, topic, partition, offset, timestamp, type, topic id.
pub fn retry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Retry> {
    Ok(Retry {
        uuid: row.get::<_, UuidText>(0)?.0,
        topic: topic(row, 1)?,
        partition: row.get(2)?,
        offset: row.get(3)?,
        timestamp: row.get(4)?,
        timestamp_type: row.get::<_, TypeWord>(5)?.0,
        topic_id: topic_id(row, 6)?,
    })
}

/// A topic's id as the tables hold it.
pub fn id_text(id: TopicId) -> UuidText {
    UuidText(id.as_uuid())
}

/// A UUID as the tables hold it: lower case, hyphenated.
pub struct UuidText(pub Uuid);

impl ToSql for UuidText {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.hyphenated().to_string().into())
    }
}

impl FromSql for UuidText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Uuid::try_parse(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

struct TypeWord(TimestampType);

impl FromSql for TypeWord {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        TimestampType::parse(value.as_str()?)
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}
