//! Rows of the entities' view: which are asked for, and what is read of them.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::entities::{Entity, Position, TypeId};
use crate::postgres_server::{Fault, Session};

/// What is read of a row; without its payload an entity's is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    Id,
    Entity,
}

/// The types whose rows are asked for.
///
/// One type is asked for by itself, because the server knows better then how
/// many rows there are.
#[derive(Clone, Copy)]
pub struct Types<'a>(pub &'a [TypeId]);

/// The values of the first two parameters of a query for some types.
pub enum TypeParams {
    One(String, Uuid),
    Several(Vec<String>, Vec<Uuid>),
}

/// An entity, and the place of its type among those that were asked for. With
/// several types a row may have the realm of one and the schema of another.
pub struct Row {
    pub of: Option<usize>,
    pub entity: Entity,
}

impl Types<'_> {
    /// A query for these columns of the types ($1, $2); the rest speaks of `e`.
    pub fn select(self, columns: Columns, rest: &str) -> String {
        let payload = match columns {
            Columns::Id => "''",
            Columns::Entity => "e.payload::text",
        };
        let of = match self.0 {
            [_] => "",
            _ => ", e.realm::text, e.schema_id",
        };
        self.query(&format!("e.id, e.modified::text, {payload}{of}"), rest)
    }

    /// The same for `modified` alone.
    pub fn positions(self, rest: &str) -> String {
        self.query("e.modified::text", rest)
    }

    fn query(self, columns: &str, rest: &str) -> String {
        let of_types = match self.0 {
            [_] => "e.realm = $1 AND e.schema_id = $2",
            _ => "e.realm = ANY($1) AND e.schema_id = ANY($2)",
        };
        format!("SELECT {columns} FROM kernel_entity_vw AS e WHERE {of_types} {rest}")
    }

    pub fn params(self) -> TypeParams {
        match self.0 {
            [one] => TypeParams::One(one.realm.clone(), one.schema_id),
            several => TypeParams::Several(
                several.iter().map(|of| of.realm.clone()).collect(),
                several.iter().map(|of| of.schema_id).collect(),
            ),
        }
    }

    pub fn row(self, row: &tokio_postgres::Row) -> Result<Row, Fault> {
        let of = match self.0 {
            [_] => Some(0),
            several => {
                let realm: &str = row.try_get(3)?;
                let schema_id: Uuid = row.try_get(4)?;
                let is_of = |of: &TypeId| of.realm == realm && of.schema_id == schema_id;
                several.iter().position(is_of)
            }
        };
        Ok(Row {
            of,
            entity: entity(row)?,
        })
    }
}

impl TypeParams {
    pub fn with<'a>(&'a self, rest: &[&'a (dyn ToSql + Sync)]) -> Vec<&'a (dyn ToSql + Sync)> {
        let (first, second): (&(dyn ToSql + Sync), &(dyn ToSql + Sync)) = match self {
            TypeParams::One(realm, schema_id) => (realm, schema_id),
            TypeParams::Several(realms, schema_ids) => (realms, schema_ids),
        };
        let mut params = vec![first, second];
        params.extend(rest);
        params
    }
}

/// A payload that is null in the table is JSON's null.
fn entity(row: &tokio_postgres::Row) -> Result<Entity, Fault> {
    Ok(Entity {
        id: row.try_get(0)?,
        modified: Position::new(row.try_get::<_, &str>(1)?),
        payload: row
            .try_get::<_, Option<&str>>(2)?
            .unwrap_or("null")
            .to_owned(),
    })
}

/// The entities of these ids, in any order.
pub fn fetch(session: &mut Session, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, Fault> {
    let of = Types(std::slice::from_ref(of));
    let params = of.params();
    let sql = of.select(Columns::Entity, "AND e.id = ANY($3)");
    let rows = session.query(&sql, &params.with(&[&ids]))?;
    rows.iter().map(entity).collect()
}
