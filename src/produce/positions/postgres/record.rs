//! What a committed transaction adds, and the rebuild that forgets all of it.

use uuid::Uuid;

use super::aether::mirror;
use super::sent::ChunkStatements;
use super::standing::{STANDING_LOCKED, standing};
use crate::entities::TypeId;
use crate::postgres_server::{Fault, Session};
use crate::produce::positions::{Progress, ends};

const UPDATE: &str = r#"
    UPDATE producer_positions SET "position" = $3, known_from = $4, log_ends = $5,
        open_chunk = $6, updated_at = now()
    WHERE realm = $1 AND schema_id = $2
"#;

const RELEASE: &str = "
    DELETE FROM producer_quarantine q USING unnest($3::uuid[], $4::text[]) AS r (id, modified)
    WHERE q.realm = $1 AND q.schema_id = $2 AND q.entity_id = r.id AND q.modified = r.modified
";

/// Whether it was recorded: not when the type has been rebuilt.
pub(super) fn record(
    session: &mut Session,
    of: &TypeId,
    generation: i64,
    progress: &Progress,
) -> Result<bool, Fault> {
    let locked = session.prepare(STANDING_LOCKED)?;
    let update = session.prepare(UPDATE)?;
    let release = session.prepare(RELEASE)?;
    let chunks = ChunkStatements::prepare(session)?;
    let mirror = mirror(session)?;
    session.in_transaction(|transaction| {
        let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
        let rows = transaction.query(&locked, &[key.0, key.1])?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let before = standing(row)?;
        if before.generation != generation {
            return Ok(false);
        }
        let mut open_chunk: Option<i64> = row.try_get("open_chunk")?;
        for sent in &progress.sent {
            open_chunk = chunks.add(transaction, of, sent, open_chunk)?;
        }
        let position = before.position.max(progress.position.clone());
        let known_from = match &progress.known_from {
            Some(from) => before.known_from.max(from.clone()),
            None => before.known_from,
        };
        let ends = ends::to_text(&ends::merge(before.log_ends, &progress.log_ends));
        let (position, known_from) = (position.as_str(), known_from.as_str());
        transaction.execute(
            &update,
            &[key.0, key.1, &position, &known_from, &ends, &open_chunk],
        )?;
        if !progress.released.is_empty() {
            let ids: Vec<Uuid> = progress.released.iter().map(|(id, _)| *id).collect();
            let modified: Vec<&str> = progress
                .released
                .iter()
                .map(|(_, at)| at.as_str())
                .collect();
            transaction.execute(&release, &[key.0, key.1, &ids, &modified])?;
        }
        if let Some(mirror) = mirror {
            transaction.execute(&mirror, &[&of.schema_id.to_string(), key.1])?;
        }
        Ok(true)
    })
}

pub(super) fn reset(session: &mut Session, of: &TypeId, generation: i64) -> Result<bool, Fault> {
    const FORGET: &str = r#"
        UPDATE producer_positions SET "position" = '', known_from = '', log_ends = '',
            open_chunk = NULL, generation = generation + 1, mode = 'paused', updated_at = now()
        WHERE realm = $1 AND schema_id = $2 AND generation = $3 AND mode = 'rebuilding'"#;
    const FORGET_SENT: &str = "DELETE FROM producer_sent WHERE realm = $1 AND schema_id = $2";
    const FORGET_BAD: &str = "DELETE FROM producer_quarantine WHERE realm = $1 AND schema_id = $2";
    let forget = session.prepare(FORGET)?;
    let rest = [session.prepare(FORGET_SENT)?, session.prepare(FORGET_BAD)?];
    let mirror = mirror(session)?;
    session.in_transaction(|transaction| {
        let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
        if transaction.execute(&forget, &[key.0, key.1, &generation])? != 1 {
            return Ok(false);
        }
        for statement in &rest {
            transaction.execute(statement, &[key.0, key.1])?;
        }
        if let Some(mirror) = mirror {
            transaction.execute(&mirror, &[&of.schema_id.to_string(), key.1])?;
        }
        Ok(true)
    })
}
