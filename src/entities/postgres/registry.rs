//! The registered types.

use crate::entities::{EntityType, TypeId};
use crate::postgres_server::{Fault, Session};

/// A schema that several projects of a realm use is one type. Whether a realm
/// has an entity is asked once for each, and ends at the first.
const TYPES: &str = "
    WITH registered AS (
        SELECT realm::text, schema_id, schema_name::text, schema_definition::text,
            schema_revision::text, schemadecorator_id, modified
        FROM kernel_schema_vw
        WHERE realm IS NOT NULL
    ), live AS (
        SELECT realm FROM (SELECT DISTINCT realm FROM registered) AS realms
        WHERE EXISTS (SELECT FROM kernel_entity_vw AS entity WHERE entity.realm = realms.realm)
    )
    SELECT DISTINCT ON (realm, schema_id)
        realm, schema_id, schema_name, schema_definition, schema_revision,
        array(SELECT DISTINCT other.schemadecorator_id FROM registered AS other
              WHERE other.realm = registered.realm AND other.schema_id = registered.schema_id
              ORDER BY 1) AS decorators
    FROM registered JOIN live USING (realm)
    ORDER BY realm, schema_id, modified DESC";

pub fn types(session: &mut Session) -> Result<Vec<EntityType>, Fault> {
    let rows = session.query(TYPES, &[])?;
    let mut types = rows
        .iter()
        .map(entity_type)
        .collect::<Result<Vec<_>, Fault>>()?;
    // By bytes, whatever the database's collation.
    types.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(types)
}

fn entity_type(row: &postgres::Row) -> Result<EntityType, Fault> {
    let revision: Option<String> = row.try_get("schema_revision")?;
    Ok(EntityType {
        id: TypeId {
            realm: row.try_get("realm")?,
            schema_id: row.try_get("schema_id")?,
        },
        schema_name: row.try_get("schema_name")?,
        definition: row.try_get("schema_definition")?,
        revision: revision.unwrap_or_default(),
        decorators: row.try_get("decorators")?,
    })
}

const COUNT: &str = "
    SELECT count(*) FROM kernel_entity_vw WHERE realm = $1 AND schema_id = $2";

pub fn count(session: &mut Session, of: &TypeId) -> Result<u64, Fault> {
    let rows = session.query(COUNT, &[&of.realm, &of.schema_id])?;
    let count: i64 = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    };
    Ok(count.unsigned_abs())
}
