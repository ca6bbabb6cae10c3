//! What was sent, in chunks of marks.

use std::collections::HashSet;

use rusqlite::{Transaction, params};

use crate::entities::{Position, TypeId};
use crate::produce::positions::{MARK_BYTES, Mark, Sent};
use crate::sqlite_file::Fault;

/// As in PostgreSQL.
const OPEN_CHUNK_BYTES: i64 = 512 * MARK_BYTES as i64;

/// The chunk that grows from now on.
pub(super) fn add_chunk(
    file: &Transaction<'_>,
    of: &TypeId,
    sent: &Sent,
    open: Option<i64>,
) -> Result<Option<i64>, Fault> {
    // `||` would make a text of two blobs.
    const APPEND: &str = "
        UPDATE producer_sent SET last = max(last, ?2), marks = CAST(marks || ?3 AS BLOB)
        WHERE id = ?1 AND length(marks) < ?4";
    const INSERT: &str = "
        INSERT INTO producer_sent (realm, schema_id, first, last, marks) VALUES (?, ?, ?, ?, ?)";
    let (first, last) = (sent.first.as_str(), sent.last.as_str());
    let marks = Mark::join(&sent.marks);
    if let Some(open) = open.filter(|_| sent.is_in_order)
        && file.execute(APPEND, params![open, last, marks, OPEN_CHUNK_BYTES])? == 1
    {
        return Ok(Some(open));
    }
    file.execute(INSERT, params![of.realm, of.schema_id, first, last, marks])?;
    Ok(match sent.is_in_order {
        true => Some(file.last_insert_rowid()),
        false => open,
    })
}

pub(super) fn known(
    file: &Transaction<'_>,
    of: &TypeId,
    from: &Position,
    to: &Position,
) -> Result<HashSet<Mark>, Fault> {
    const SENT: &str = "
        SELECT marks FROM producer_sent
        WHERE realm = ? AND schema_id = ? AND last >= ? AND first <= ?";
    const BAD: &str = "
        SELECT entity_id, modified FROM producer_quarantine
        WHERE realm = ? AND schema_id = ? AND modified >= ? AND modified <= ?";
    let range = params![of.realm, of.schema_id, from.as_str(), to.as_str()];
    let mut known = HashSet::new();
    let mut select = file.prepare_cached(SENT)?;
    let mut rows = select.query(range)?;
    while let Some(row) = rows.next()? {
        known.extend(Mark::split(row.get_ref(0)?.as_blob().unwrap_or_default()));
    }
    let mut select = file.prepare_cached(BAD)?;
    let bad = select.query_map(range, |row| {
        let modified: String = row.get(1)?;
        Ok(Mark::of(&row.get(0)?, &modified.into()))
    })?;
    for mark in bad {
        known.insert(mark?);
    }
    Ok(known)
}
