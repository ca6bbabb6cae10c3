//! The file's tables, and the kernel's two views over them.

use rusqlite::{Transaction, params};
use uuid::Uuid;

use crate::sqlite_file::Fault;

/// UUIDs are text, hyphenated, lower case; text is ordered as bytes.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS schema (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        definition TEXT NOT NULL,
        revision TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS schemadecorator (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        schema_id TEXT NOT NULL REFERENCES schema (id),
        realm TEXT NOT NULL,
        modified TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS entity (
        id TEXT PRIMARY KEY,
        revision TEXT NOT NULL DEFAULT '1',
        payload TEXT NOT NULL,
        modified TEXT NOT NULL,
        status TEXT NOT NULL,
        schemadecorator_id TEXT NOT NULL REFERENCES schemadecorator (id)
    );
    CREATE INDEX IF NOT EXISTS entity_modified ON entity (modified);
    CREATE INDEX IF NOT EXISTS entity_of_decorator ON entity (schemadecorator_id, modified);
    CREATE VIEW IF NOT EXISTS kernel_schema_vw AS
        SELECT d.modified, d.id AS schemadecorator_id, d.name AS schemadecorator_name,
            s.id AS schema_id, s.name AS schema_name, s.definition AS schema_definition,
            s.revision AS schema_revision, d.realm, 0 AS is_identity
        FROM schemadecorator AS d JOIN schema AS s ON s.id = d.schema_id;
    CREATE VIEW IF NOT EXISTS kernel_entity_vw AS
        SELECT e.id, e.revision, e.payload, e.modified, e.status, e.schemadecorator_id,
            s.schemadecorator_name, s.schema_name, s.schema_id, s.schema_revision, s.realm
        FROM entity AS e JOIN kernel_schema_vw AS s USING (schemadecorator_id);";

pub fn create(file: &Transaction<'_>) -> Result<(), Fault> {
    Ok(file.execute_batch(TABLES)?)
}

pub struct NewSchema<'a> {
    pub id: Uuid,
    pub name: &'a str,
    pub definition: &'a str,
    /// Its use in a realm.
    pub decorator: Uuid,
    pub realm: &'a str,
    pub modified: &'a str,
}

pub fn add_schema(file: &Transaction<'_>, schema: &NewSchema<'_>) -> Result<(), Fault> {
    file.execute(
        "INSERT OR IGNORE INTO schema (id, name, definition, revision) VALUES (?, ?, ?, '1')",
        params![schema.id.to_string(), schema.name, schema.definition],
    )?;
    file.execute(
        "INSERT OR IGNORE INTO schemadecorator (id, name, schema_id, realm, modified)
         VALUES (?, ?, ?, ?, ?)",
        params![
            schema.decorator.to_string(),
            schema.name,
            schema.id.to_string(),
            schema.realm,
            schema.modified
        ],
    )?;
    Ok(())
}

pub struct NewEntity<'a> {
    pub id: Uuid,
    pub payload: &'a str,
    /// The time without the id.
    pub stamp: &'a str,
    pub decorator: Uuid,
}

pub fn add_entity(file: &Transaction<'_>, entity: &NewEntity<'_>) -> Result<(), Fault> {
    let mut insert = file.prepare_cached(
        "INSERT OR IGNORE INTO entity (id, payload, modified, status, schemadecorator_id)
         VALUES (?1, ?2, ?3 || '-' || ?1, 'Publishable', ?4)",
    )?;
    insert.execute(params![
        entity.id.to_string(),
        entity.payload,
        entity.stamp,
        entity.decorator.to_string()
    ])?;
    Ok(())
}
