//! Reading the two views.

use rusqlite::{Params, Row, Transaction, params};
use uuid::Uuid;

use crate::entities::{Entity, EntityType, Page, Position, TypeId, sort};
use crate::sqlite_file::Fault;

/// Positions of a type from `from` on (or after it) and below `below`.
pub struct Span<'a> {
    pub of: &'a TypeId,
    pub from: &'a Position,
    pub includes_from: bool,
    pub below: &'a Position,
}

/// That the views are there.
pub fn check(file: &Transaction<'_>) -> Result<(), Fault> {
    file.prepare("SELECT id, payload, modified, schema_id, realm FROM kernel_entity_vw")?;
    file.prepare("SELECT schema_id, schema_name, schema_definition FROM kernel_schema_vw")?;
    Ok(())
}

pub fn types(file: &Transaction<'_>) -> Result<Vec<EntityType>, Fault> {
    let mut rows = file.prepare(
        "SELECT s.realm, s.schema_id, s.schema_name, s.schema_definition, s.schema_revision,
             s.schemadecorator_id
         FROM kernel_schema_vw AS s
         WHERE EXISTS (SELECT 1 FROM kernel_entity_vw AS e WHERE e.realm = s.realm)
         ORDER BY s.realm, s.schema_id, s.schemadecorator_id",
    )?;
    let mut types: Vec<EntityType> = Vec::new();
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (found, decorator) = (entity_type(row)?, uuid(row, 5)?);
        match types.last_mut() {
            Some(last) if last.id == found.id => last.decorators.push(decorator),
            _ => types.push(EntityType {
                decorators: vec![decorator],
                ..found
            }),
        }
    }
    types.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(types)
}

fn entity_type(row: &Row<'_>) -> Result<EntityType, Fault> {
    Ok(EntityType {
        id: TypeId {
            realm: row.get(0)?,
            schema_id: uuid(row, 1)?,
        },
        schema_name: row.get(2)?,
        definition: row.get(3)?,
        revision: row.get(4)?,
        decorators: Vec::new(),
    })
}

const SPAN: &str = "
    SELECT id, modified, payload FROM kernel_entity_vw
    WHERE realm = ?1 AND schema_id = ?2 AND (modified > ?3 OR (?4 AND modified = ?3))
      AND modified >= ?3 AND modified < ?5
    ORDER BY modified, id";

const SPAN_OF_IDS: &str = "
    SELECT id, modified, '' FROM kernel_entity_vw
    WHERE realm = ?1 AND schema_id = ?2 AND (modified > ?3 OR (?4 AND modified = ?3))
      AND modified >= ?3 AND modified < ?5
    ORDER BY modified, id";

pub fn page(
    file: &Transaction<'_>,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Page, Fault> {
    filled(file, SPAN, span, limit, bytes)
}

/// The same without payloads.
pub fn page_of_ids(file: &Transaction<'_>, span: &Span<'_>, limit: usize) -> Result<Page, Fault> {
    filled(file, SPAN_OF_IDS, span, limit, usize::MAX)
}

/// Rows are read one by one, as far as they are wanted.
fn filled(
    file: &Transaction<'_>,
    sql: &str,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Page, Fault> {
    let (limit, bytes) = (limit.max(1), bytes.max(1));
    let mut statement = file.prepare_cached(sql)?;
    let mut rows = statement.query(params![
        span.of.realm,
        span.of.schema_id.to_string(),
        span.from.as_str(),
        span.includes_from,
        span.below.as_str()
    ])?;
    let mut page = Page::default();
    let mut taken = 0;
    while let Some(row) = rows.next()? {
        let entity = entity(row)?;
        let is_full = page.entities.len() >= limit || taken >= bytes;
        let last = page.entities.last();
        if is_full && last.is_some_and(|last| last.modified != entity.modified) {
            page.more = true;
            break;
        }
        taken += entity.payload.len();
        page.entities.push(entity);
    }
    sort(&mut page.entities);
    Ok(page)
}

fn entity(row: &Row<'_>) -> Result<Entity, Fault> {
    Ok(Entity {
        id: uuid(row, 0)?,
        modified: Position::from(row.get::<_, String>(1)?),
        payload: row.get(2)?,
    })
}

fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, Fault> {
    let text: String = row.get(column)?;
    Uuid::parse_str(&text).map_err(|error| {
        Fault::Refused(format!("{text:?} is not a UUID ({error}): correct the row"))
    })
}

pub fn fetch(file: &Transaction<'_>, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, Fault> {
    let mut statement = file.prepare_cached(
        "SELECT id, modified, payload FROM kernel_entity_vw
         WHERE realm = ?1 AND schema_id = ?2 AND id = ?3",
    )?;
    let mut entities = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows =
            statement.query(params![of.realm, of.schema_id.to_string(), id.to_string()])?;
        while let Some(row) = rows.next()? {
            entities.push(entity(row)?);
        }
    }
    Ok(entities)
}

/// The types with entities at positions from `from` on and below `to`.
pub fn news(file: &Transaction<'_>, from: &Position, to: &Position) -> Result<Vec<TypeId>, Fault> {
    let mut statement = file.prepare_cached(
        "SELECT DISTINCT realm, schema_id FROM kernel_entity_vw
         WHERE modified >= ?1 AND modified < ?2",
    )?;
    let mut rows = statement.query(params![from.as_str(), to.as_str()])?;
    let mut types = Vec::new();
    while let Some(row) = rows.next()? {
        types.push(TypeId {
            realm: row.get(0)?,
            schema_id: uuid(row, 1)?,
        });
    }
    types.sort();
    Ok(types)
}

pub fn count(file: &Transaction<'_>, of: &TypeId) -> Result<u64, Fault> {
    number(
        file,
        "SELECT count(*) FROM kernel_entity_vw WHERE realm = ?1 AND schema_id = ?2",
        params![of.realm, of.schema_id.to_string()],
    )
}

fn number(file: &Transaction<'_>, sql: &str, params: impl Params) -> Result<u64, Fault> {
    let count: i64 = file.query_row(sql, params, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}
