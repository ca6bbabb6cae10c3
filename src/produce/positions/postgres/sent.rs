//! What was sent, in chunks of marks.

use std::collections::HashSet;

use tokio_postgres::Statement;

use crate::entities::{Position, TypeId};
use crate::postgres_server::{Fault, Session, Transaction};
use crate::produce::positions::{MARK_BYTES, Mark, Sent};

/// A chunk grows until it has so many marks, so that a type with a few
/// entities a second has no row for each of them.
const OPEN_CHUNK_MARKS: usize = 512;

pub(super) struct ChunkStatements {
    append: Statement,
    insert: Statement,
}

impl ChunkStatements {
    pub(super) fn prepare(session: &mut Session) -> Result<Self, Fault> {
        const APPEND: &str = "
            UPDATE producer_sent SET last = greatest(last, $2), marks = marks || $3
            WHERE id = $1 AND length(marks) < $4";
        const INSERT: &str = "
            INSERT INTO producer_sent (realm, schema_id, first, last, marks)
            VALUES ($1, $2, $3, $4, $5) RETURNING id";
        Ok(Self {
            append: session.prepare(APPEND)?,
            insert: session.prepare(INSERT)?,
        })
    }

    /// The chunk that grows from now on.
    pub(super) fn add(
        &self,
        transaction: &mut Transaction<'_>,
        of: &TypeId,
        sent: &Sent,
        open: Option<i64>,
    ) -> Result<Option<i64>, Fault> {
        let (first, last) = (sent.first.as_str(), sent.last.as_str());
        let marks = Mark::join(&sent.marks);
        if let Some(open) = open.filter(|_| sent.is_in_order) {
            let full = (OPEN_CHUNK_MARKS * MARK_BYTES) as i32;
            if transaction.execute(&self.append, &[&open, &last, &marks, &full])? == 1 {
                return Ok(Some(open));
            }
        }
        let row = transaction.query_one(
            &self.insert,
            &[&of.realm, &of.schema_id, &first, &last, &marks],
        )?;
        Ok(match sent.is_in_order {
            true => Some(row.try_get(0)?),
            false => open,
        })
    }
}

pub(super) fn known(
    session: &mut Session,
    of: &TypeId,
    from: &Position,
    to: &Position,
) -> Result<HashSet<Mark>, Fault> {
    const SENT: &str = "
        SELECT marks FROM producer_sent
        WHERE realm = $1 AND schema_id = $2 AND last >= $3 AND first <= $4";
    const BAD: &str = "
        SELECT entity_id, modified FROM producer_quarantine
        WHERE realm = $1 AND schema_id = $2 AND modified >= $3 AND modified <= $4";
    let (from, to) = (from.as_str(), to.as_str());
    let mut known = HashSet::new();
    for row in session.query(SENT, &[&of.realm, &of.schema_id, &from, &to])? {
        known.extend(Mark::split(row.try_get(0)?));
    }
    for row in session.query(BAD, &[&of.realm, &of.schema_id, &from, &to])? {
        let modified: &str = row.try_get(1)?;
        known.insert(Mark::of(&row.try_get(0)?, &modified.into()));
    }
    Ok(known)
}
