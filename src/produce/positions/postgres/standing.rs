//! Where types stand, and whose a topic is.

use tokio_postgres::Row;
use uuid::Uuid;

use super::aether::aethers;
use crate::entities::TypeId;
use crate::postgres_server::{Fault, Session};
use crate::produce::positions::{Claimed, Mode, Standing, ends};

const STANDING: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = $1 AND schema_id = $2
"#;

pub(super) const STANDING_LOCKED: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = $1 AND schema_id = $2 FOR UPDATE
"#;

const ALL: &str = r#"
    SELECT realm, schema_id, topic, "position", known_from, generation, mode, log_ends
    FROM producer_positions ORDER BY realm, schema_id
"#;

pub(super) fn standing(row: &Row) -> Result<Standing, Fault> {
    let text = |name: &str| row.try_get::<_, &str>(name);
    Ok(Standing {
        topic: row.try_get("topic")?,
        position: text("position")?.into(),
        known_from: text("known_from")?.into(),
        generation: row.try_get("generation")?,
        mode: Mode::parse(text("mode")?),
        log_ends: ends::parse(text("log_ends")?),
    })
}

pub(super) fn type_id(row: &Row, realm: &str, schema_id: &str) -> Result<TypeId, Fault> {
    Ok(TypeId {
        realm: row.try_get(realm)?,
        schema_id: row.try_get(schema_id)?,
    })
}

pub(super) fn find(session: &mut Session, of: &TypeId) -> Result<Option<Standing>, Fault> {
    let rows = session.query(STANDING, &[&of.realm, &of.schema_id])?;
    rows.first().map(standing).transpose()
}

pub(super) fn all(session: &mut Session) -> Result<Vec<(TypeId, Standing)>, Fault> {
    let rows = session.query(ALL, &[])?;
    rows.iter()
        .map(|row| Ok((type_id(row, "realm", "schema_id")?, standing(row)?)))
        .collect()
}

const OWNER: &str = "SELECT realm, schema_id FROM producer_positions WHERE topic = $1";

/// An entry of Aether's table may be there or not; a table never is.
const INSERT: &str = r#"
    INSERT INTO producer_positions (realm, schema_id, topic, "position", known_from)
    VALUES ($1, $2, $3, $4, $4) ON CONFLICT (realm, schema_id) DO NOTHING
"#;

const SET_TOPIC: &str = "
    UPDATE producer_positions SET topic = $3, log_ends = ''
    WHERE realm = $1 AND schema_id = $2 AND topic IS DISTINCT FROM $3
";

pub(super) fn claim(session: &mut Session, of: &TypeId, topic: &str) -> Result<Claimed, Fault> {
    if let Some(row) = session.query(OWNER, &[&topic])?.first() {
        let owner = type_id(row, "realm", "schema_id")?;
        if owner != *of {
            return Ok(Claimed::Taken(owner));
        }
    }
    let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
    if session.query(STANDING, &[key.0, key.1])?.is_empty() {
        let seed = aethers(session, of)?.unwrap_or_default();
        session.execute(INSERT, &[key.0, key.1, &topic, &seed])?;
    }
    session.execute(SET_TOPIC, &[key.0, key.1, &topic])?;
    let rows = session.query(STANDING, &[key.0, key.1])?;
    match rows.first() {
        Some(row) => standing(row).map(Claimed::Standing),
        None => Err(Fault::Unavailable(format!("{of} was removed meanwhile"))),
    }
}
