//! How the server orders `modified`.
//!
//! An index on the plain column is of use only to a query in the column's own
//! order, so that this order is what the walk follows, if it is the order of
//! bytes. That is known of some collations by what they are; a sample can only
//! refute it.

use crate::postgres_server::{Fault, Session};

/// What of the order of `modified` can be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is that of bytes.
    Bytes,
    /// Later seconds come later; within a second anything is possible.
    Seconds,
}

pub struct Collation {
    pub name: String,
    pub order: Order,
}

/// Columns that only newer servers have are asked for by way of JSON.
const NAMED: &str = "
    SELECT own.collname::text AS name,
        coalesce(nullif(to_jsonb(own) ->> 'collprovider', 'd'),
                 to_jsonb(db) ->> 'datlocprovider', 'c') AS provider,
        CASE own.collname WHEN 'default' THEN db.datcollate::text
             ELSE coalesce(own.collcollate::text, '') END AS locale
    FROM pg_attribute
    JOIN pg_collation AS own ON own.oid = attcollation
    JOIN pg_database AS db ON db.datname = current_database()
    WHERE attrelid = 'kernel_entity_vw'::regclass AND attname = 'modified'";

/// The collation of a union is the column's, where it is not the default one,
/// and the default one otherwise.
const SORTED: &str = "
    SELECT sample.modified::text FROM (
        SELECT modified FROM kernel_entity_vw WHERE false
        UNION ALL SELECT unnest($1::text[])
    ) AS sample ORDER BY sample.modified";

/// The collation of the view's column. `Refused` where not even seconds are in
/// order.
pub fn of_modified(session: &mut Session) -> Result<Collation, Fault> {
    let rows = session.query(NAMED, &[])?;
    let Some(row) = rows.first() else {
        return Err(Fault::Refused(
            "kernel_entity_vw has no text column modified: have the kernel make its views".into(),
        ));
    };
    let name: String = row.try_get("name")?;
    let (provider, locale): (String, String) = (row.try_get("provider")?, row.try_get("locale")?);
    let name = match name.as_str() {
        "default" => locale.clone(),
        _ => name,
    };
    let sorted = sorted_sample(session)?;
    let order = match (is_of_bytes(&provider, &locale), sorted.is_sorted()) {
        (true, true) => Order::Bytes,
        _ if sorted.is_sorted_by_key(|position| &position[..19]) => Order::Seconds,
        _ => {
            return Err(Fault::Refused(format!(
                "modified is ordered by the collation {name}, under which later times do not come later: give the column a collation such as \"C\""
            )));
        }
    };
    Ok(Collation { name, order })
}

/// Of the C library (`c`) these; all of PostgreSQL's own (`b`).
fn is_of_bytes(provider: &str, locale: &str) -> bool {
    match provider {
        "b" => true,
        "c" => matches!(
            locale.to_ascii_lowercase().as_str(),
            "c" | "posix" | "c.utf-8" | "c.utf8"
        ),
        _ => false,
    }
}

/// Positions that collations are known to order in other ways than bytes do:
/// with and without a fraction, digits beside letters, capitals beside small
/// letters, at the ends of minutes and years.
fn sorted_sample(session: &mut Session) -> Result<Vec<String>, Fault> {
    let seconds = [
        "1999-12-31T23:59:59",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:01",
        "2026-01-01T00:00:09",
        "2026-01-01T00:00:10",
        "2026-01-01T00:01:00",
        "2026-10-25T02:59:59",
        "2027-01-01T00:00:00",
    ];
    let fractions = ["", ".000001", ".1", ".123456", ".9", ".999999"];
    let rest = ["", "-", "-0a", "-a0", "-A0", "-f0db3e6-8", "-f0db3e68"];
    let mut sample: Vec<String> = Vec::new();
    for second in seconds {
        for fraction in fractions {
            sample.extend(rest.iter().map(|rest| format!("{second}{fraction}{rest}")));
        }
    }
    let rows = session.query(SORTED, &[&sample])?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
