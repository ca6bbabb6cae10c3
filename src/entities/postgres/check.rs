//! Whether everything is as the other calls need it.

use jiff::tz::TimeZone;

use super::collation::{self, Order};
use super::look;
use crate::entities::stamp;
use crate::postgres_server::{Fault, Session};

/// What a role of PostgreSQL can see of others' transactions.
const PRIVILEGES: &str = "
    SELECT pg_is_in_recovery() AS standby, quote_ident(current_user) AS me,
        rolsuper OR pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
    FROM pg_roles WHERE rolname = current_user";

const REGISTRY: &str = "
    SELECT modified, schemadecorator_id, schema_id, schema_name, schema_definition,
        schema_revision, realm
    FROM kernel_schema_vw LIMIT 0";

const ENTITIES: &str = "
    SELECT id, payload, modified, schema_id, realm FROM kernel_entity_vw LIMIT 0";

/// Stamps this far ahead are another zone's, or a clock's that is wrong.
const AHEAD: i64 = 15 * 60 * 1_000_000;

const STAMPED_AHEAD: &str = "
    SELECT modified::text FROM kernel_entity_vw WHERE modified > $1 LIMIT 1";

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Warnings, and how the server orders `modified`.
pub fn check(session: &mut Session, zone: &TimeZone) -> Result<(Vec<String>, Order), Fault> {
    let mut warnings = Vec::new();
    for row in session.query(PRIVILEGES, &[])? {
        look::refuse_standby(row.try_get("standby")?)?;
        if !row.try_get::<_, bool>("sees_all")? {
            let me: String = row.try_get("me")?;
            warnings.push(format!(
                "others' transactions do not tell when they began, so that entities wait longer \
                 than they must: GRANT pg_read_all_stats TO {me}"
            ));
        }
    }
    session.query(REGISTRY, &[])?;
    session.query(ENTITIES, &[])?;
    let collation = collation::of_modified(session)?;
    if collation.order == Order::Seconds {
        warnings.push(format!(
            "kernel_entity_vw.modified is ordered by the collation {}, not as bytes: entities are \
             read by whole seconds and then put in order, which is slower; a column of collation \
             \"C\" would not need that",
            collation.name
        ));
    }
    warnings.extend(stamped_ahead(session, zone)?);
    Ok((warnings, collation.order))
}

fn stamped_ahead(session: &mut Session, zone: &TimeZone) -> Result<Option<String>, Fault> {
    let now: i64 = match session.query(NOW, &[])?.first() {
        Some(row) => row.try_get(0)?,
        None => return Ok(None),
    };
    let ahead = stamp::before(now + AHEAD, zone);
    let rows = session.query(STAMPED_AHEAD, &[&ahead.as_str()])?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let modified: String = row.try_get(0)?;
    Ok(Some(format!(
        "an entity is stamped {modified}, which is yet to come and waits until then: is \
         kernel-time-zone right, and the application's clock?"
    )))
}
