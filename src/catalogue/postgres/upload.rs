//! Direct uploads, and what their users do to messages.

use uuid::Uuid;

use crate::catalogue::Row;
use crate::catalogue::text::storable;
use crate::postgres_server::{Fault, Session};
use crate::record::Delivery;

/// One statement spends the claim and adds the row.
const ADD: &str = r#"
    WITH spent AS (
        DELETE FROM uuid_claims
        WHERE uuid = $1 AND topic = $2 AND kafka_partition = $3 AND kafka_offset = $4
            AND "timestamp" = $5 AND content_digest = $6
        RETURNING uuid, topic
    )
    INSERT INTO messages (
        uuid, topic, "timestamp", size, key, bucket, crc32, is_client_uuid, public,
        direct_upload, message_crc32, title, sender, media_type, file_name, originator, retracted
    )
    SELECT
        uuid, topic, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
    FROM spent
    ON CONFLICT (uuid) DO NOTHING
"#;

pub fn add(session: &mut Session, row: &Row, delivery: &Delivery) -> Result<bool, Fault> {
    let added = session.execute(
        ADD,
        &[
            &row.uuid,
            &&*delivery.topic,
            &delivery.partition,
            &delivery.offset,
            &delivery.timestamp,
            &delivery.digest.0.as_slice(),
            &row.timestamp,
            &row.size,
            &row.key,
            &row.bucket,
            &i64::from(row.crc32),
            &row.is_client_uuid,
            &row.public,
            &row.direct_upload,
            &i64::from(row.message_crc32),
            &storable(&row.title),
            &storable(&row.sender),
            &storable(&row.media_type),
            &storable(&row.file_name),
            &storable(&row.originator),
            &row.retracted,
        ],
    )?;
    Ok(added == 1)
}

const SET_RETRACTED: &str = "UPDATE messages SET retracted = $2 WHERE uuid = $1";

pub fn set_retracted(session: &mut Session, uuid: Uuid, retracted: bool) -> Result<bool, Fault> {
    Ok(session.execute(SET_RETRACTED, &[&uuid, &retracted])? == 1)
}
