//! The registered types.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::entities::{EntityType, TypeId};
use crate::postgres_server::{Fault, Session};

/// The newest of a schema's rows first.
const REGISTERED: &str = "
    SELECT realm::text, schema_id, schema_name::text, schema_definition::text,
        schema_revision::text, schemadecorator_id
    FROM kernel_schema_vw WHERE realm IS NOT NULL
    ORDER BY modified DESC, schemadecorator_id";

/// For one decorator, because the server knows how many entities one has, and
/// finds none as quickly as many; it knows nothing of how many a realm has.
const HAS_ENTITY: &str = "
    SELECT FROM kernel_entity_vw WHERE schemadecorator_id = $1 LIMIT 1";

/// The types of realms with an entity. `live` are realms that are known to have
/// one, and are not asked for again.
pub fn types(session: &mut Session, live: &mut HashSet<String>) -> Result<Vec<EntityType>, Fault> {
    let mut types = registered(session)?;
    for entity_type in types.values() {
        let realm = &entity_type.id.realm;
        for decorator in &entity_type.decorators {
            if !live.contains(realm) && !session.query(HAS_ENTITY, &[decorator])?.is_empty() {
                live.insert(realm.clone());
            }
        }
    }
    types.retain(|id, _| live.contains(&id.realm));
    Ok(types.into_values().collect())
}

/// A schema that several projects of a realm use is one type.
fn registered(session: &mut Session) -> Result<BTreeMap<TypeId, EntityType>, Fault> {
    let mut types: BTreeMap<TypeId, EntityType> = BTreeMap::new();
    for row in session.query(REGISTERED, &[])? {
        let id = TypeId {
            realm: row.try_get("realm")?,
            schema_id: row.try_get("schema_id")?,
        };
        let decorator: Uuid = row.try_get("schemadecorator_id")?;
        match types.get_mut(&id) {
            Some(known) => known.decorators.push(decorator),
            None => {
                let found = entity_type(&row, id.clone(), decorator)?;
                types.insert(id, found);
            }
        }
    }
    types.values_mut().for_each(|found| found.decorators.sort());
    Ok(types)
}

fn entity_type(
    row: &tokio_postgres::Row,
    id: TypeId,
    decorator: Uuid,
) -> Result<EntityType, Fault> {
    let revision: Option<String> = row.try_get("schema_revision")?;
    Ok(EntityType {
        id,
        schema_name: row.try_get("schema_name")?,
        definition: row.try_get("schema_definition")?,
        revision: revision.unwrap_or_default(),
        decorators: vec![decorator],
    })
}

const DECORATORS: &str = "
    SELECT schemadecorator_id FROM kernel_schema_vw WHERE realm = $1 AND schema_id = $2 LIMIT 2";

/// The decorator of a type that has but one.
pub fn only_decorator(session: &mut Session, of: &TypeId) -> Result<Option<Uuid>, Fault> {
    match &session.query(DECORATORS, &[&of.realm, &of.schema_id])?[..] {
        [only] => Ok(Some(only.try_get(0)?)),
        _ => Ok(None),
    }
}

const NEWS: &str = "
    SELECT DISTINCT realm::text, schema_id FROM kernel_entity_vw
    WHERE realm IS NOT NULL AND modified >= $1 AND modified < $2";

/// The types with entities at positions from `from` on and below `below`.
pub fn news(session: &mut Session, from: &str, below: &str) -> Result<Vec<TypeId>, Fault> {
    let rows = session.query(NEWS, &[&from, &below])?;
    let mut types = rows
        .iter()
        .map(|row| {
            Ok(TypeId {
                realm: row.try_get(0)?,
                schema_id: row.try_get(1)?,
            })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    types.sort();
    Ok(types)
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
