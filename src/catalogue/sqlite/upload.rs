//! Direct uploads, and what their users do to messages.

use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::add::add_row;
use super::row::UuidText;
use crate::catalogue::Row;
use crate::record::Delivery;
use crate::sqlite_file::Fault;

const SPEND: &str = "
    DELETE FROM uuid_claims
    WHERE uuid = ?1 AND topic = ?2 AND kafka_partition = ?3 AND kafka_offset = ?4
        AND timestamp = ?5 AND content_digest = ?6
";

pub fn add(file: &Transaction<'_>, row: &Row, delivery: &Delivery) -> Result<bool, Fault> {
    let spent = file.prepare_cached(SPEND)?.execute(params![
        UuidText(row.uuid),
        delivery.topic,
        delivery.partition,
        delivery.offset,
        delivery.timestamp,
        delivery.digest.0,
    ])?;
    Ok(spent == 1 && add_row(file, row, true)?)
}

const SET_RETRACTED: &str = "UPDATE messages SET retracted = ?2 WHERE uuid = ?1";

pub fn set_retracted(file: &Transaction<'_>, uuid: Uuid, retracted: bool) -> Result<bool, Fault> {
    let mut update = file.prepare_cached(SET_RETRACTED)?;
    Ok(update.execute(params![UuidText(uuid), retracted])? == 1)
}
