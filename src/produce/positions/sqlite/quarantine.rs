//! What could not be sent.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};
use uuid::Uuid;

use super::sent::add_chunk;
use super::standing::type_id;
use crate::entities::{Position, TypeId};
use crate::produce::positions::{Mark, Quarantined, Sent, Unsendable};
use crate::sqlite_file::Fault;

pub(super) fn add(file: &Transaction<'_>, of: &TypeId, bad: &[Unsendable]) -> Result<(), Fault> {
    const ADD: &str = "
        INSERT INTO producer_quarantine
            (realm, schema_id, entity_id, modified, reason, bytes, found_at)
        VALUES (?, ?, ?, ?, ?, ?, unixepoch('subsec') * 1000)
        ON CONFLICT (realm, schema_id, modified, entity_id)
        DO UPDATE SET reason = excluded.reason, replay = 0";
    let mut add = file.prepare_cached(ADD)?;
    for one in bad {
        let (modified, bytes) = (one.modified.as_str(), one.bytes as i64);
        add.execute(params![
            of.realm,
            of.schema_id,
            one.id,
            modified,
            one.reason,
            bytes
        ])?;
    }
    Ok(())
}

pub(super) fn list(
    file: &Transaction<'_>,
    of: Option<&TypeId>,
    after: Option<&Quarantined>,
    limit: usize,
) -> Result<Vec<Quarantined>, Fault> {
    const LIST: &str = "
        SELECT realm, schema_id, entity_id, modified, reason, bytes, replay, found_at
        FROM producer_quarantine
        WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
            AND (?3 IS NULL OR (realm, schema_id, modified, entity_id) > (?3, ?4, ?5, ?6))
        ORDER BY realm, schema_id, modified, entity_id LIMIT ?7";
    let mut select = file.prepare_cached(LIST)?;
    let rows = select.query_map(
        params![
            of.map(|of| &of.realm),
            of.map(|of| of.schema_id),
            after.map(|row| &row.of.realm),
            after.map(|row| row.of.schema_id),
            after.map(|row| row.entity.modified.as_str()),
            after.map(|row| row.entity.id),
            limit as i64,
        ],
        |row| {
            Ok(Quarantined {
                of: type_id(row)?,
                entity: unsendable(row)?,
                found_at: row.get("found_at")?,
                replay: row.get("replay")?,
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn unsendable(row: &Row<'_>) -> rusqlite::Result<Unsendable> {
    Ok(Unsendable {
        id: row.get("entity_id")?,
        modified: row.get::<_, String>("modified")?.into(),
        reason: row.get("reason")?,
        bytes: row.get::<_, i64>("bytes")? as u64,
    })
}

/// How many there are of each type.
pub(super) fn counts(file: &Transaction<'_>) -> Result<BTreeMap<TypeId, u64>, Fault> {
    const COUNTS: &str =
        "SELECT realm, schema_id, count(*) AS n FROM producer_quarantine GROUP BY 1, 2";
    let mut select = file.prepare_cached(COUNTS)?;
    let rows = select.query_map([], |row| {
        Ok((type_id(row)?, row.get::<_, i64>("n")? as u64))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn ask_replay(
    file: &Transaction<'_>,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const ASK: &str = "
        UPDATE producer_quarantine SET replay = 1
        WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
            AND (?3 IS NULL OR entity_id = ?3)";
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    Ok(file.execute(ASK, params![realm, schema_id, id])? as u64)
}

pub(super) fn to_replay(
    file: &Transaction<'_>,
    of: &TypeId,
    limit: usize,
) -> Result<Vec<Unsendable>, Fault> {
    const TO_REPLAY: &str = "
        SELECT entity_id, modified, reason, bytes FROM producer_quarantine
        WHERE realm = ? AND schema_id = ? AND replay ORDER BY modified, entity_id LIMIT ?";
    let mut select = file.prepare_cached(TO_REPLAY)?;
    let rows = select.query_map(params![of.realm, of.schema_id, limit as i64], unsendable)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn give_up(
    file: &Transaction<'_>,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const DROP: &str = "
        DELETE FROM producer_quarantine
        WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
            AND (?3 IS NULL OR entity_id = ?3)
        RETURNING realm, schema_id, entity_id, modified";
    let mut delete = file.prepare_cached(DROP)?;
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    let rows = delete.query_map(params![realm, schema_id, id], |row| {
        let modified = Position::from(row.get::<_, String>("modified")?);
        let mark = Mark::of(&row.get("entity_id")?, &modified);
        Ok((type_id(row)?, (modified, mark)))
    })?;
    let dropped: Vec<(TypeId, (Position, Mark))> = rows.collect::<Result<_, _>>()?;
    let mut by_type: BTreeMap<TypeId, Vec<(Position, Mark)>> = BTreeMap::new();
    let count = dropped.len() as u64;
    for (of, entity) in dropped {
        by_type.entry(of).or_default().push(entity);
    }
    for (of, entities) in by_type {
        if let Some(sent) = Sent::late(entities) {
            add_chunk(file, &of, &sent, None)?;
        }
    }
    Ok(count)
}
