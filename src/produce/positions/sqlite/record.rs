//! What a committed transaction adds, and the rebuild that forgets all of it.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::sent::add_chunk;
use super::standing::{STANDING, standing};
use crate::entities::TypeId;
use crate::produce::positions::{Progress, ends};
use crate::sqlite_file::Fault;

/// Whether it was recorded: not when the type has been rebuilt.
pub(super) fn record(
    file: &Transaction<'_>,
    of: &TypeId,
    generation: i64,
    progress: &Progress,
) -> Result<bool, Fault> {
    const UPDATE: &str = r#"
        UPDATE producer_positions SET "position" = ?3, known_from = ?4, log_ends = ?5,
            open_chunk = ?6 WHERE realm = ?1 AND schema_id = ?2"#;
    const RELEASE: &str = "
        DELETE FROM producer_quarantine
        WHERE realm = ? AND schema_id = ? AND entity_id = ? AND modified = ?";
    let row = |row: &Row<'_>| Ok((standing(row)?, row.get::<_, Option<i64>>("open_chunk")?));
    let found = file.query_row(STANDING, params![of.realm, of.schema_id], row);
    let Some((before, mut open_chunk)) = found.optional()? else {
        return Ok(false);
    };
    if before.generation != generation {
        return Ok(false);
    }
    for sent in &progress.sent {
        open_chunk = add_chunk(file, of, sent, open_chunk)?;
    }
    let position = before.position.max(progress.position.clone());
    let known_from = match &progress.known_from {
        Some(from) => before.known_from.max(from.clone()),
        None => before.known_from,
    };
    let ends = ends::to_text(&ends::merge(before.log_ends, &progress.log_ends));
    let (position, known_from) = (position.as_str(), known_from.as_str());
    file.execute(
        UPDATE,
        params![
            of.realm,
            of.schema_id,
            position,
            known_from,
            ends,
            open_chunk
        ],
    )?;
    for (id, modified) in &progress.released {
        file.execute(
            RELEASE,
            params![of.realm, of.schema_id, id, modified.as_str()],
        )?;
    }
    Ok(true)
}

pub(super) fn reset(file: &Transaction<'_>, of: &TypeId, generation: i64) -> Result<bool, Fault> {
    const FORGET: &str = r#"
        UPDATE producer_positions SET "position" = '', known_from = '', log_ends = '',
            open_chunk = NULL, generation = generation + 1, mode = 'paused'
        WHERE realm = ? AND schema_id = ? AND generation = ? AND mode = 'rebuilding'"#;
    const FORGET_SENT: &str = "DELETE FROM producer_sent WHERE realm = ? AND schema_id = ?";
    const FORGET_BAD: &str = "DELETE FROM producer_quarantine WHERE realm = ? AND schema_id = ?";
    if file.execute(FORGET, params![of.realm, of.schema_id, generation])? != 1 {
        return Ok(false);
    }
    for statement in [FORGET_SENT, FORGET_BAD] {
        file.execute(statement, params![of.realm, of.schema_id])?;
    }
    Ok(true)
}
