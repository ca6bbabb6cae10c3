//! What could not be sent.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::sent::ChunkStatements;
use super::standing::type_id;
use crate::entities::{Position, TypeId};
use crate::postgres_server::{Fault, Session};
use crate::produce::positions::{Mark, Quarantined, Sent, Unsendable};

pub(super) fn add(session: &mut Session, of: &TypeId, bad: &[Unsendable]) -> Result<(), Fault> {
    const ADD: &str = "
        INSERT INTO producer_quarantine (realm, schema_id, entity_id, modified, reason, bytes)
        SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[])
        ON CONFLICT (realm, schema_id, modified, entity_id)
        DO UPDATE SET reason = EXCLUDED.reason, replay = false";
    let ids: Vec<Uuid> = bad.iter().map(|one| one.id).collect();
    let modified: Vec<&str> = bad.iter().map(|one| one.modified.as_str()).collect();
    // A text of PostgreSQL's holds no NUL.
    let reasons: Vec<String> = bad
        .iter()
        .map(|one| one.reason.replace('\0', "\u{fffd}"))
        .collect();
    let bytes: Vec<i64> = bad.iter().map(|one| one.bytes as i64).collect();
    session
        .execute(
            ADD,
            &[&of.realm, &of.schema_id, &ids, &modified, &reasons, &bytes],
        )
        .map(drop)
}

pub(super) fn list(
    session: &mut Session,
    of: Option<&TypeId>,
    after: Option<&Quarantined>,
    limit: usize,
) -> Result<Vec<Quarantined>, Fault> {
    const LIST: &str = "
        SELECT realm, schema_id, entity_id, modified, reason, bytes, replay,
            (extract(epoch FROM found_at) * 1000)::bigint AS found_at
        FROM producer_quarantine
        WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
            AND ($3::text IS NULL
                OR (realm, schema_id, modified, entity_id) > ($3, $4::uuid, $5::text, $6::uuid))
        ORDER BY realm, schema_id, modified, entity_id LIMIT $7";
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    let rows = session.query(
        LIST,
        &[
            &realm,
            &schema_id,
            &after.map(|row| &row.of.realm),
            &after.map(|row| row.of.schema_id),
            &after.map(|row| row.entity.modified.as_str()),
            &after.map(|row| row.entity.id),
            &(limit as i64),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Quarantined {
                of: type_id(row, "realm", "schema_id")?,
                entity: unsendable(row)?,
                found_at: row.try_get("found_at")?,
                replay: row.try_get("replay")?,
            })
        })
        .collect()
}

fn unsendable(row: &Row) -> Result<Unsendable, Fault> {
    Ok(Unsendable {
        id: row.try_get("entity_id")?,
        modified: row.try_get::<_, &str>("modified")?.into(),
        reason: row.try_get("reason")?,
        bytes: row.try_get::<_, i64>("bytes")? as u64,
    })
}

/// How many there are of each type.
pub(super) fn counts(session: &mut Session) -> Result<BTreeMap<TypeId, u64>, Fault> {
    const COUNTS: &str = "
        SELECT realm, schema_id, count(*) AS count FROM producer_quarantine GROUP BY 1, 2";
    let rows = session.query(COUNTS, &[])?;
    rows.iter()
        .map(|row| {
            let count: i64 = row.try_get("count")?;
            Ok((type_id(row, "realm", "schema_id")?, count as u64))
        })
        .collect()
}

pub(super) fn ask_replay(
    session: &mut Session,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const ASK: &str = "
        UPDATE producer_quarantine SET replay = true
        WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
            AND ($3::uuid IS NULL OR entity_id = $3)";
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    session.execute(ASK, &[&realm, &schema_id, &id])
}

pub(super) fn to_replay(
    session: &mut Session,
    of: &TypeId,
    limit: usize,
) -> Result<Vec<Unsendable>, Fault> {
    const TO_REPLAY: &str = "
        SELECT entity_id, modified, reason, bytes FROM producer_quarantine
        WHERE realm = $1 AND schema_id = $2 AND replay ORDER BY modified, entity_id LIMIT $3";
    let rows = session.query(TO_REPLAY, &[&of.realm, &of.schema_id, &(limit as i64)])?;
    rows.iter().map(unsendable).collect()
}

pub(super) fn give_up(
    session: &mut Session,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const DROP: &str = "
        DELETE FROM producer_quarantine
        WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
            AND ($3::uuid IS NULL OR entity_id = $3)
        RETURNING realm, schema_id, entity_id, modified";
    let statement = session.prepare(DROP)?;
    let chunks = ChunkStatements::prepare(session)?;
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    session.in_transaction(|transaction| {
        let dropped = transaction.query(&statement, &[&realm, &schema_id, &id])?;
        let mut by_type: BTreeMap<TypeId, Vec<(Position, Mark)>> = BTreeMap::new();
        for row in &dropped {
            let modified = Position::from(row.try_get::<_, &str>("modified")?);
            let mark = Mark::of(&row.try_get("entity_id")?, &modified);
            let of = type_id(row, "realm", "schema_id")?;
            by_type.entry(of).or_default().push((modified, mark));
        }
        for (of, entities) in by_type {
            if let Some(sent) = Sent::late(entities) {
                chunks.add(transaction, &of, &sent, None)?;
            }
        }
        Ok(dropped.len() as u64)
    })
}
