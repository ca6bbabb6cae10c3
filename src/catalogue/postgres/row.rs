//! Rows, read.

use std::sync::Arc;

use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::catalogue::{Origin, Retry, Row, StoredRow};
use crate::postgres_server::Fault;
use crate::record::{ContentDigest, Signature, TimestampType, TopicId};

/// The columns of `messages` (as `m`) that [`stored_row`] reads, first in a
/// query's list. Older rows may hold texts longer than
/// [`MAX_TEXT_CHARS`](crate::catalogue::text::MAX_TEXT_CHARS): they are cut here,
/// so that the memory of a page is bounded.
macro_rules! message_columns {
    () => {
        "m.id, m.topic, m.\"timestamp\", m.uuid, m.size, m.key, m.bucket, m.crc32, \
         m.is_client_uuid, m.public, m.direct_upload, m.message_crc32, \
         left(m.title, 2048), left(m.sender, 2048), left(m.media_type, 2048), \
         left(m.file_name, 2048), left(m.originator, 2048), m.retracted, m.object_offset, \
         m.kafka_partition, m.kafka_offset, m.timestamp_type, m.content_digest, m.topic_id, \
         m.signature, m.signing_key"
    };
}
pub(super) use message_columns;

/// How many columns [`message_columns`] names.
pub const MESSAGE_COLUMNS: usize = 26;

/// A row of a query that begins with [`message_columns`].
pub fn stored_row(row: &tokio_postgres::Row) -> Result<StoredRow, Fault> {
    let id = row.try_get(0)?;
    let stored = Row {
        topic: topic(row, 1)?,
        timestamp: row.try_get(2)?,
        uuid: row.try_get(3)?,
        size: row.try_get(4)?,
        key: row.try_get(5)?,
        bucket: row.try_get(6)?,
        crc32: crc32(row, 7)?,
        is_client_uuid: row.try_get(8)?,
        public: row.try_get(9)?,
        direct_upload: row.try_get(10)?,
        message_crc32: crc32(row, 11)?,
        title: row.try_get(12)?,
        sender: row.try_get(13)?,
        media_type: row.try_get(14)?,
        file_name: row.try_get(15)?,
        originator: row.try_get(16)?,
        retracted: row.try_get(17)?,
        object_offset: row.try_get(18)?,
        origin: origin(row, 19)?,
        signature: signature(row, 24)?,
    };
    Ok(StoredRow { id, row: stored })
}

pub fn topic(row: &tokio_postgres::Row, column: usize) -> Result<Arc<str>, Fault> {
    Ok(row.try_get::<_, &str>(column)?.into())
}

/// A value of a column that is null in other archivers' rows.
fn optional<'a, T: FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    column: usize,
) -> Result<Option<T>, Fault> {
    Ok(row.try_get(column)?)
}

/// Partition, offset, timestamp type and digest from `first` on: all, or null;
/// then the topic's id, which may be null.
fn origin(row: &tokio_postgres::Row, first: usize) -> Result<Option<Origin>, Fault> {
    let (Some(partition), Some(offset)) = (optional(row, first)?, optional(row, first + 1)?) else {
        return Ok(None);
    };
    Ok(Some(Origin {
        partition,
        offset,
        timestamp_type: timestamp_type(row, first + 2)?,
        digest: digest(row, first + 3)?,
        topic_id: topic_id(row, first + 4)?,
    }))
}

pub fn topic_id(row: &tokio_postgres::Row, column: usize) -> Result<Option<TopicId>, Fault> {
    Ok(optional::<Uuid>(row, column)?.and_then(TopicId::from_uuid))
}

/// The MAC and the id of its key from `first` on, or null.
fn signature(row: &tokio_postgres::Row, first: usize) -> Result<Option<Signature>, Fault> {
    let (Some(mac), Some(key_id)) = (
        optional::<&[u8]>(row, first)?,
        optional::<String>(row, first + 1)?,
    ) else {
        return Ok(None);
    };
    let mac = mac
        .try_into()
        .map_err(|_| damaged(row, first, "is not 32 bytes"))?;
    Ok(Some(Signature { key_id, mac }))
}

fn timestamp_type(row: &tokio_postgres::Row, column: usize) -> Result<TimestampType, Fault> {
    let word = optional::<&str>(row, column)?.unwrap_or_default();
    TimestampType::parse(word).ok_or_else(|| damaged(row, column, "is no timestamp type"))
}

pub fn digest(row: &tokio_postgres::Row, column: usize) -> Result<ContentDigest, Fault> {
    let bytes = optional::<&[u8]>(row, column)?.unwrap_or_default();
    let bytes = bytes
        .try_into()
        .map_err(|_| damaged(row, column, "is not 32 bytes"))?;
    Ok(ContentDigest(bytes))
}

pub fn crc32(row: &tokio_postgres::Row, column: usize) -> Result<u32, Fault> {
    let crc: i64 = row.try_get(column)?;
    u32::try_from(crc).map_err(|_| damaged(row, column, "is no CRC-32"))
}

/// This program never writes such a value.
fn damaged(row: &tokio_postgres::Row, column: usize, why: &str) -> Fault {
    let name = row.columns()[column].name();
    // The first column says which row: a serial number, a UUID or a topic.
    let which = match row.try_get::<_, i64>(0) {
        Ok(id) => format!("the row with id {id} of messages"),
        Err(_) => "a row".to_owned(),
    };
    Fault::Refused(format!("{which} is damaged: its {name} {why}"))
}

/// A row of `retries`: uuid, topic, partition, offset, timestamp, type, topic id.
pub fn retry(row: &tokio_postgres::Row) -> Result<Retry, Fault> {
    Ok(Retry {
        uuid: row.try_get(0)?,
        topic: topic(row, 1)?,
        partition: row.try_get(2)?,
        offset: row.try_get(3)?,
        timestamp: row.try_get(4)?,
        timestamp_type: timestamp_type(row, 5)?,
        topic_id: topic_id(row, 6)?,
    })
}
