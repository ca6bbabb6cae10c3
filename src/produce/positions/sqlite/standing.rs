//! Where types stand, and whose a topic is.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::entities::TypeId;
use crate::produce::positions::{Claimed, Mode, Standing, ends};
use crate::sqlite_file::Fault;

pub(super) const STANDING: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = ? AND schema_id = ?
"#;

const ALL: &str = r#"
    SELECT realm, schema_id, topic, "position", known_from, generation, mode, log_ends
    FROM producer_positions ORDER BY realm, schema_id
"#;

pub(super) fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        topic: row.get("topic")?,
        position: row.get::<_, String>("position")?.into(),
        known_from: row.get::<_, String>("known_from")?.into(),
        generation: row.get("generation")?,
        mode: Mode::parse(&row.get::<_, String>("mode")?),
        log_ends: ends::parse(&row.get::<_, String>("log_ends")?),
    })
}

pub(super) fn type_id(row: &Row<'_>) -> rusqlite::Result<TypeId> {
    Ok(TypeId {
        realm: row.get("realm")?,
        schema_id: row.get("schema_id")?,
    })
}

pub(super) fn find(file: &Transaction<'_>, of: &TypeId) -> Result<Option<Standing>, Fault> {
    let mut select = file.prepare_cached(STANDING)?;
    let found = select.query_row(params![of.realm, of.schema_id], standing);
    Ok(found.optional()?)
}

pub(super) fn all(file: &Transaction<'_>) -> Result<Vec<(TypeId, Standing)>, Fault> {
    let mut select = file.prepare_cached(ALL)?;
    let rows = select.query_map([], |row| Ok((type_id(row)?, standing(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn claim(file: &Transaction<'_>, of: &TypeId, topic: &str) -> Result<Claimed, Fault> {
    const OWNER: &str = "SELECT realm, schema_id FROM producer_positions WHERE topic = ?";
    const INSERT: &str = r#"
        INSERT INTO producer_positions (realm, schema_id, topic, "position", known_from)
        VALUES (?, ?, ?, '', '') ON CONFLICT (realm, schema_id) DO NOTHING"#;
    const SET_TOPIC: &str = "
        UPDATE producer_positions SET topic = ?3, log_ends = ''
        WHERE realm = ?1 AND schema_id = ?2 AND topic IS NOT ?3";
    let owner = file.query_row(OWNER, [topic], type_id).optional()?;
    if let Some(owner) = owner.filter(|owner| owner != of) {
        return Ok(Claimed::Taken(owner));
    }
    file.execute(INSERT, params![of.realm, of.schema_id, topic])?;
    file.execute(SET_TOPIC, params![of.realm, of.schema_id, topic])?;
    let found = file.query_row(STANDING, params![of.realm, of.schema_id], standing)?;
    Ok(Claimed::Standing(found))
}
