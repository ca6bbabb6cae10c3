//! Aether's table `offset`, where it is there: a position begins where it says,
//! and it is kept up, for a way back.

use tokio_postgres::Statement;

use crate::entities::TypeId;
use crate::postgres_server::{Fault, Session};

const HAS_AETHERS: &str = r#"SELECT to_regclass('"offset"') IS NOT NULL"#;

fn has_aethers(session: &mut Session) -> Result<bool, Fault> {
    let rows = session.query(HAS_AETHERS, &[])?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => false,
    })
}

/// Where Aether's producer has come to with this schema.
pub(super) fn aethers(session: &mut Session, of: &TypeId) -> Result<Option<String>, Fault> {
    const SEED: &str = r#"SELECT offset_value::text FROM "offset" WHERE schema_name = $1::text"#;
    if !has_aethers(session)? {
        return Ok(None);
    }
    let rows = session.query(SEED, &[&of.schema_id.to_string()])?;
    let value: Option<Option<String>> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(value.flatten())
}

/// The lowest of the realms that share the schema: who goes back to Aether's
/// producer gets some things twice, and misses none.
const MIRROR: &str = r#"
    INSERT INTO "offset" (schema_name, offset_value)
    SELECT $1::text, min("position") FROM producer_positions WHERE schema_id = $2
    ON CONFLICT (schema_name) DO UPDATE SET offset_value = EXCLUDED.offset_value
"#;

/// Prepared before the transaction that uses it.
pub(super) fn mirror(session: &mut Session) -> Result<Option<Statement>, Fault> {
    match has_aethers(session)? {
        true => session.prepare(MIRROR).map(Some),
        false => Ok(None),
    }
}
