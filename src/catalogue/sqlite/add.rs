//! Rows and retries, written.

use rusqlite::{Statement, Transaction, params};

use super::positions::add_spans;
use super::row::{UuidText, id_text};
use crate::catalogue::positions::by_stream;
use crate::catalogue::text::storable;
use crate::catalogue::{Added, Origin, ReadSpan, Retry, Row};
use crate::sqlite_file::Fault;

pub fn add(
    file: &Transaction<'_>,
    rows: &[Row],
    retries: &[Retry],
    spans: &[ReadSpan],
) -> Result<Added, Fault> {
    let mut added = Added::default();
    for retry in retries {
        added.retries += add_retry(file, retry)?;
    }
    for row in rows {
        if spend_claim(file, row)? && add_row(file, row, true)? {
            added.rows.push(row.uuid);
        }
    }
    added.offsets_recovered = add_spans(file, &mut by_stream(spans, &added.rows))?;
    Ok(added)
}

const SPEND: &str = "
    DELETE FROM uuid_claims
    WHERE uuid = ?1 AND topic = ?2 AND kafka_partition = ?3 AND kafka_offset = ?4
        AND timestamp = ?5 AND content_digest = ?6
";

/// Whether the row's delivery held the claim. A row without an origin has no
/// delivery that could.
fn spend_claim(file: &Transaction<'_>, row: &Row) -> Result<bool, Fault> {
    let Some(origin) = &row.origin else {
        return Ok(false);
    };
    let spent = file.prepare_cached(SPEND)?.execute(params![
        UuidText(row.uuid),
        row.topic,
        origin.partition,
        origin.offset,
        row.timestamp,
        origin.digest.0,
    ])?;
    Ok(spent == 1)
}

const ADD_ROW: &str = "
    INSERT INTO messages (
        topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid, public,
        direct_upload, message_crc32, title, sender, media_type, file_name, originator,
        retracted, object_offset, kafka_partition, kafka_offset, timestamp_type, content_digest,
        topic_id, signature, signing_key, archived_at
    )
    VALUES (
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
        ?20, ?21, ?22, ?23, ?24, ?25,
        CASE WHEN ?26 THEN CAST(unixepoch('subsec') * 1000 AS INTEGER) END
    )
    ON CONFLICT (uuid) DO NOTHING
";

/// `is_new`: it is archived now, and not read again from its object.
pub fn add_row(file: &Transaction<'_>, row: &Row, is_new: bool) -> Result<bool, Fault> {
    let mut add = file.prepare_cached(ADD_ROW)?;
    bind(&mut add, row)?;
    add.raw_bind_parameter(26, is_new)?;
    Ok(add.raw_execute()? == 1)
}

/// Binds a row to the first 25 parameters of a statement, in the order of
/// [`ADD_ROW`].
pub fn bind(statement: &mut Statement<'_>, row: &Row) -> Result<(), Fault> {
    let origin = row.origin.as_ref();
    let values = params![
        row.topic,
        row.timestamp,
        UuidText(row.uuid),
        row.size,
        row.key,
        row.bucket,
        row.crc32,
        row.is_client_uuid,
        row.public,
        row.direct_upload,
        row.message_crc32,
        storable(&row.title),
        storable(&row.sender),
        storable(&row.media_type),
        storable(&row.file_name),
        storable(&row.originator),
        row.retracted,
        row.object_offset,
        origin.map(|origin| origin.partition),
        origin.map(|origin| origin.offset),
        origin.map(|origin| origin.timestamp_type.as_str()),
        origin.map(|origin| origin.digest.0),
        origin.and_then(|origin| origin.topic_id).map(id_text),
        row.signature.as_ref().map(|signature| signature.mac),
        row.signature.as_ref().map(|signature| &signature.key_id),
    ];
    for (number, value) in (1..).zip(values) {
        statement.raw_bind_parameter(number, value)?;
    }
    Ok(())
}

/// A retry of which an older archive recorded everything but the topic id is the
/// same one, read again.
const ADD_RETRY: &str = "
    INSERT INTO retries (
        uuid, topic, kafka_partition, kafka_offset, timestamp, timestamp_type, topic_id
    )
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (
        SELECT 1 FROM retries WHERE topic = ?2 AND kafka_partition = ?3 AND kafka_offset = ?4
            AND timestamp = ?5 AND uuid = ?1 AND topic_id IS NULL
    )
    ON CONFLICT DO NOTHING
";

fn add_retry(file: &Transaction<'_>, retry: &Retry) -> Result<u64, Fault> {
    let added = file.prepare_cached(ADD_RETRY)?.execute(params![
        UuidText(retry.uuid),
        retry.topic,
        retry.partition,
        retry.offset,
        retry.timestamp,
        retry.timestamp_type.as_str(),
        retry.topic_id.map(id_text),
    ])?;
    Ok(added as u64)
}

const SET_ORIGIN: &str = "
    UPDATE messages SET
        kafka_partition = ?2, kafka_offset = ?3, timestamp_type = ?4, content_digest = ?5,
        topic_id = ?6, origin_found = TRUE
    WHERE id = ?1 AND kafka_offset IS NULL
";

pub fn set_origin(file: &Transaction<'_>, id: i64, origin: &Origin) -> Result<bool, Fault> {
    let set = file.prepare_cached(SET_ORIGIN)?.execute(params![
        id,
        origin.partition,
        origin.offset,
        origin.timestamp_type.as_str(),
        origin.digest.0,
        origin.topic_id.map(id_text),
    ])?;
    Ok(set == 1)
}
