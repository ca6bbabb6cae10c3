//! The catalogue's identity, and whether it has every row.

use uuid::Uuid;

use crate::catalogue::CatalogueState;
use crate::catalogue::state::missing_parts;
use crate::postgres_server::{Fault, Session};

const STATE: &str = "
    SELECT id, is_complete, signed_after, (SELECT count(*) FROM unconfirmed_messages)
    FROM catalogue_state
";
const PARTS: &str = "SELECT parts, part, is_finished FROM rebuild_parts ORDER BY parts, part";

pub fn state(session: &mut Session) -> Result<CatalogueState, Fault> {
    let mut begun = vec![];
    for row in session.query(PARTS, &[])? {
        begun.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    let rows = session.query(STATE, &[])?;
    let row = rows
        .first()
        .ok_or_else(|| Fault::Refused("catalogue_state is empty: restore its row".to_owned()))?;
    Ok(CatalogueState {
        id: row.try_get(0)?,
        is_complete: row.try_get(1)?,
        missing_parts: missing_parts(&begun),
        signed_after: row.try_get(2)?,
        unconfirmed: row.try_get::<_, i64>(3)?.unsigned_abs(),
    })
}

/// Claims read the state's row as it was before or after this.
const MARK: &str = "UPDATE catalogue_state SET is_complete = false, changed_at = clock_timestamp()";
const BEGIN: &str = "
    INSERT INTO rebuild_parts (parts, part, newest_before)
    SELECT $1, $2, coalesce(max(id), 0) FROM messages
    ON CONFLICT (parts, part) DO UPDATE SET is_finished = false
    RETURNING position
";

pub fn begin_rebuild(
    session: &mut Session,
    (part, parts): (i32, i32),
) -> Result<Option<String>, Fault> {
    let (mark, begin) = (session.prepare(MARK)?, session.prepare(BEGIN)?);
    session.in_transaction(|transaction| {
        transaction.execute(&mark, &[])?;
        let rows = transaction.query(&begin, &[&parts, &part])?;
        let position = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(position.flatten())
    })
}

const SAVE_POSITION: &str = "UPDATE rebuild_parts SET position = $3 WHERE parts = $1 AND part = $2";

pub fn save_rebuild(
    session: &mut Session,
    (part, parts): (i32, i32),
    position: &str,
) -> Result<(), Fault> {
    session.execute(SAVE_POSITION, &[&parts, &part, &position])?;
    Ok(())
}

/// Locks the state first, so that of two parts that end at once the second one
/// sees the first.
const LOCK: &str = "SELECT FROM catalogue_state FOR UPDATE";
const FINISH: &str = "
    UPDATE rebuild_parts SET is_finished = true, position = NULL WHERE parts = $1 AND part = $2
";
const COMPLETE: &str = "
    UPDATE catalogue_state SET
        is_complete = true,
        rebuilt_through = CASE
            WHEN (SELECT coalesce(max(id), 0) FROM messages)
                > (SELECT coalesce(min(newest_before), 0) FROM rebuild_parts)
            THEN (SELECT max(id) FROM messages) ELSE catalogue_state.rebuilt_through END,
        changed_at = clock_timestamp(),
        id = CASE
            WHEN (SELECT coalesce(max(id), 0) FROM messages)
                > (SELECT coalesce(min(newest_before), 0) FROM rebuild_parts)
            THEN $2 ELSE catalogue_state.id END
    WHERE (SELECT count(*) FROM rebuild_parts WHERE parts = $1::int AND is_finished) = $1::int
";
const FORGET: &str = "DELETE FROM rebuild_parts";

pub fn end_rebuild(
    session: &mut Session,
    (part, parts): (i32, i32),
    id: Uuid,
) -> Result<bool, Fault> {
    let [lock, finish, complete, forget] = [
        session.prepare(LOCK)?,
        session.prepare(FINISH)?,
        session.prepare(COMPLETE)?,
        session.prepare(FORGET)?,
    ];
    session.in_transaction(|transaction| {
        transaction.query(&lock, &[])?;
        transaction.execute(&finish, &[&parts, &part])?;
        let is_complete = transaction.execute(&complete, &[&parts, &id])? == 1;
        if is_complete {
            transaction.execute(&forget, &[])?;
        }
        Ok(is_complete)
    })
}

const BEGIN_SIGNING: &str = "
    UPDATE catalogue_state SET signed_after = (SELECT coalesce(max(id), 0) FROM messages)
    WHERE signed_after IS NULL
";

pub fn begin_signing(session: &mut Session) -> Result<bool, Fault> {
    Ok(session.execute(BEGIN_SIGNING, &[])? == 1)
}

pub fn confirm(session: &mut Session, uuid: Uuid) -> Result<(), Fault> {
    let sql = "DELETE FROM unconfirmed_messages WHERE uuid = $1";
    session.execute(sql, &[&uuid])?;
    Ok(())
}

const WHICH_UNCONFIRMED: &str = "SELECT uuid FROM unconfirmed_messages WHERE uuid = ANY ($1)";

pub fn which_unconfirmed(session: &mut Session, uuids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    let rows = session.query(WHICH_UNCONFIRMED, &[&uuids])?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
