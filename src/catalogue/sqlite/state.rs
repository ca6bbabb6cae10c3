//! The catalogue's identity, and whether it has every row.

use rusqlite::{Transaction, params};
use uuid::Uuid;

use super::row::UuidText;
use crate::catalogue::CatalogueState;
use crate::catalogue::state::missing_parts;
use crate::sqlite_file::Fault;

const STATE: &str = "
    SELECT id, is_complete, signed_after, (SELECT count(*) FROM unconfirmed_messages)
    FROM catalogue_state
";
const PARTS: &str = "SELECT parts, part, is_finished FROM rebuild_parts ORDER BY parts, part";

pub fn state(file: &Transaction<'_>) -> Result<CatalogueState, Fault> {
    let mut parts = file.prepare_cached(PARTS)?;
    let begun = parts
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut state = file.prepare_cached(STATE)?;
    Ok(state.query_row([], |row| {
        Ok(CatalogueState {
            id: row.get::<_, UuidText>(0)?.0,
            is_complete: row.get(1)?,
            missing_parts: missing_parts(&begun),
            signed_after: row.get(2)?,
            unconfirmed: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    })?)
}

const MARK: &str = "
    UPDATE catalogue_state SET
        is_complete = 0, changed_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
";
const BEGIN: &str = "
    INSERT INTO rebuild_parts (parts, part, newest_before)
    SELECT ?1, ?2, coalesce(max(id), 0) FROM messages WHERE true
    ON CONFLICT (parts, part) DO UPDATE SET is_finished = 0
    RETURNING position
";

pub fn begin_rebuild(
    file: &Transaction<'_>,
    (part, parts): (i32, i32),
) -> Result<Option<String>, Fault> {
    file.execute(MARK, [])?;
    Ok(file.query_row(BEGIN, params![parts, part], |row| row.get(0))?)
}

const SAVE_POSITION: &str = "UPDATE rebuild_parts SET position = ?3 WHERE parts = ?1 AND part = ?2";

pub fn save_rebuild(
    file: &Transaction<'_>,
    (part, parts): (i32, i32),
    position: &str,
) -> Result<(), Fault> {
    file.execute(SAVE_POSITION, params![parts, part, position])?;
    Ok(())
}

const FINISH: &str = "
    UPDATE rebuild_parts SET is_finished = 1, position = NULL WHERE parts = ?1 AND part = ?2
";
const COMPLETE: &str = "
    UPDATE catalogue_state SET
        is_complete = 1,
        rebuilt_through = CASE
            WHEN (SELECT coalesce(max(id), 0) FROM messages)
                > (SELECT coalesce(min(newest_before), 0) FROM rebuild_parts)
            THEN (SELECT max(id) FROM messages) ELSE catalogue_state.rebuilt_through END,
        changed_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
        id = CASE
            WHEN (SELECT coalesce(max(id), 0) FROM messages)
                > (SELECT coalesce(min(newest_before), 0) FROM rebuild_parts)
            THEN ?2 ELSE id END
    WHERE (SELECT count(*) FROM rebuild_parts WHERE parts = ?1 AND is_finished) = ?1
";

pub fn end_rebuild(
    file: &Transaction<'_>,
    (part, parts): (i32, i32),
    id: Uuid,
) -> Result<bool, Fault> {
    file.execute(FINISH, params![parts, part])?;
    let is_complete = file.execute(COMPLETE, params![parts, UuidText(id)])? == 1;
    if is_complete {
        file.execute("DELETE FROM rebuild_parts", [])?;
    }
    Ok(is_complete)
}

const BEGIN_SIGNING: &str = "
    UPDATE catalogue_state SET signed_after = (SELECT coalesce(max(id), 0) FROM messages)
    WHERE signed_after IS NULL
";

pub fn begin_signing(file: &Transaction<'_>) -> Result<bool, Fault> {
    Ok(file.execute(BEGIN_SIGNING, [])? == 1)
}

pub fn confirm(file: &Transaction<'_>, uuid: Uuid) -> Result<(), Fault> {
    let sql = "DELETE FROM unconfirmed_messages WHERE uuid = ?1";
    file.execute(sql, [UuidText(uuid)])?;
    Ok(())
}

pub fn which_unconfirmed(file: &Transaction<'_>, uuids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
    let mut select = file.prepare_cached("SELECT 1 FROM unconfirmed_messages WHERE uuid = ?1")?;
    let mut found = vec![];
    for uuid in uuids {
        if select.exists([UuidText(*uuid)])? {
            found.push(*uuid);
        }
    }
    Ok(found)
}
