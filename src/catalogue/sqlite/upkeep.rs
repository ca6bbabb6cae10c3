//! Rows adopted and mended, counts taken anew, objects set aside, and what
//! verifications found.

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::add::{add_row, bind};
use super::row::{UuidText, message_columns, stored_row};
use crate::catalogue::upkeep::{counted_limit, defects_from_json, defects_to_json};
use crate::catalogue::{CountedPage, Cursor, Row, SetAside, StoredRow, Verification};
use crate::sqlite_file::Fault;

pub fn adopt(file: &Transaction<'_>, rows: &[Row]) -> Result<Vec<Uuid>, Fault> {
    let mut adopted = vec![];
    for row in rows {
        if add_row(file, row, false)? {
            adopted.push(row.uuid);
        }
    }
    Ok(adopted)
}

pub fn adopt_unconfirmed(file: &Transaction<'_>, rows: &[Row]) -> Result<Vec<Uuid>, Fault> {
    let adopted = adopt(file, rows)?;
    let sql = "INSERT OR IGNORE INTO unconfirmed_messages (uuid) VALUES (?1)";
    let mut insert = file.prepare_cached(sql)?;
    for uuid in &adopted {
        insert.execute([UuidText(*uuid)])?;
    }
    Ok(adopted)
}

const MEND: &str = "
    UPDATE messages SET
        topic = ?1, timestamp = ?2, uuid = ?3, size = ?4, key = ?5, bucket = ?6, crc32 = ?7,
        is_client_uuid = ?8, public = ?9, direct_upload = ?10, message_crc32 = ?11, title = ?12,
        sender = ?13, media_type = ?14, file_name = ?15, originator = ?16, retracted = ?17,
        object_offset = ?18, kafka_partition = ?19, kafka_offset = ?20, timestamp_type = ?21,
        content_digest = ?22, topic_id = ?23, signature = ?24, signing_key = ?25
    WHERE id = ?26 AND NOT EXISTS (SELECT 1 FROM messages o WHERE o.uuid = ?3 AND o.id <> ?26)
";

const ROW: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.id = ?1"
);

pub fn mend(file: &Transaction<'_>, read: &StoredRow, row: &Row) -> Result<bool, Fault> {
    let mut select = file.prepare_cached(ROW)?;
    let now = select.query_row([read.id], stored_row).optional()?;
    if now.as_ref() != Some(read) {
        return Ok(false);
    }
    let mut mend = file.prepare_cached(MEND)?;
    bind(&mut mend, row)?;
    mend.raw_bind_parameter(26, read.id)?;
    Ok(mend.raw_execute()? == 1)
}

const FIRST_TOPIC: &str = "SELECT min(topic) FROM messages";
pub const TOPIC_AFTER: &str = "SELECT min(topic) FROM messages WHERE topic > ?1";

pub fn topic_after(file: &Transaction<'_>, topic: Option<&str>) -> Result<Option<String>, Fault> {
    Ok(match topic {
        None => file
            .prepare_cached(FIRST_TOPIC)?
            .query_row([], |row| row.get(0))?,
        Some(topic) => file
            .prepare_cached(TOPIC_AFTER)?
            .query_row([topic], |row| row.get(0))?,
    })
}

/// messages_topic_timestamp_idx alone.
pub const COUNT_PAGE: &str = concat!(
    "
    WITH page AS MATERIALIZED (
        SELECT timestamp, id FROM messages INDEXED BY messages_topic_timestamp_idx
        WHERE topic = ?1 AND (timestamp, id) > (?2, ?3)
        ORDER BY timestamp, id",
    counted_limit!(),
    "
    )
    SELECT count(*), min(timestamp), max(timestamp),
        (SELECT max(id) FROM page WHERE timestamp = (SELECT max(timestamp) FROM page))
    FROM page
"
);

pub fn count_page(
    file: &Transaction<'_>,
    topic: &str,
    after: Option<Cursor>,
) -> Result<CountedPage, Fault> {
    let after = after.unwrap_or(Cursor::START);
    let mut select = file.prepare_cached(COUNT_PAGE)?;
    let page = select.query_row(params![topic, after.timestamp, after.id], |row| {
        let (earliest, latest): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
        Ok(CountedPage::new(
            row.get(0)?,
            earliest.zip(latest),
            row.get(3)?,
        ))
    });
    Ok(page?)
}

/// One statement sees one state of both tables.
pub const COUNT_ROWS: &str = "
    SELECT count(*) - coalesce((SELECT n_messages FROM topics WHERE topic = ?1), 0),
        min(timestamp), max(timestamp),
        (SELECT e_timestamp FROM topics WHERE topic = ?1),
        (SELECT l_timestamp FROM topics WHERE topic = ?1)
    FROM messages WHERE topic = ?1
";

/// What `topics` lacks of a topic.
pub struct Difference {
    messages: i64,
    /// Of the rows: earliest and latest; then what `topics` said.
    times: [Option<i64>; 4],
}

/// Only reads, so that others write meanwhile.
pub fn difference(file: &Transaction<'_>, topic: &str) -> Result<Difference, Fault> {
    let mut select = file.prepare_cached(COUNT_ROWS)?;
    let difference = select.query_row([topic], |row| {
        Ok(Difference {
            messages: row.get(0)?,
            times: [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
        })
    });
    Ok(difference?)
}

/// By the difference (?2), so that what others count meanwhile stays counted. A
/// time that is not what it was when the rows were read (?5, ?6) was widened
/// since.
const CORRECT: &str = "
    INSERT INTO topics (topic, n_messages, e_timestamp, l_timestamp)
    VALUES (?1, ?2, coalesce(?3, 0), coalesce(?4, 0))
    ON CONFLICT (topic) DO UPDATE SET
        n_messages = n_messages + ?2,
        e_timestamp = CASE WHEN ?3 IS NULL THEN e_timestamp
            WHEN e_timestamp IS ?5 THEN ?3 ELSE min(e_timestamp, ?3) END,
        l_timestamp = CASE WHEN ?4 IS NULL THEN l_timestamp
            WHEN l_timestamp IS ?6 THEN ?4 ELSE max(l_timestamp, ?4) END
";
const FORGET_EMPTY: &str = "DELETE FROM topics WHERE topic = ?1 AND n_messages = 0";

pub fn correct(file: &Transaction<'_>, topic: &str, by: &Difference) -> Result<(), Fault> {
    let [earliest, latest, told_earliest, told_latest] = by.times;
    file.prepare_cached(CORRECT)?.execute(params![
        topic,
        by.messages,
        earliest,
        latest,
        told_earliest,
        told_latest,
    ])?;
    file.prepare_cached(FORGET_EMPTY)?.execute([topic])?;
    Ok(())
}

const SET_ASIDE: &str = "INSERT OR IGNORE INTO set_aside (bucket, key, reason) VALUES (?1, ?2, ?3)";

pub fn set_aside(file: &Transaction<'_>, objects: &[SetAside]) -> Result<(), Fault> {
    let mut insert = file.prepare_cached(SET_ASIDE)?;
    for object in objects {
        insert.execute(params![object.bucket, object.key, object.reason])?;
    }
    Ok(())
}

const IS_SET_ASIDE: &str = "SELECT 1 FROM set_aside WHERE bucket = ?1 AND key = ?2";

pub fn which_set_aside(
    file: &Transaction<'_>,
    bucket: &str,
    keys: &[String],
) -> Result<Vec<String>, Fault> {
    let mut select = file.prepare_cached(IS_SET_ASIDE)?;
    let mut found = vec![];
    for key in keys {
        if select.exists(params![bucket, key])? {
            found.push(key.clone());
        }
    }
    Ok(found)
}

/// ?1 is null for a new one.
const SAVE_VERIFICATION: &str = "
    INSERT INTO verifications
        (id, asked, started_at, saved_at, finished_at, messages, objects, bytes, defects, place,
         mended)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (id) DO UPDATE SET
        asked = ?2, started_at = ?3, saved_at = ?4, finished_at = ?5, messages = ?6,
        objects = ?7, bytes = ?8, defects = ?9, place = ?10, mended = ?11
    RETURNING id
";

pub fn save_verification(file: &Transaction<'_>, of: &Verification) -> Result<i64, Fault> {
    let id = (of.id != 0).then_some(of.id);
    let values = params![
        id,
        of.asked,
        of.started_at,
        of.saved_at,
        of.finished_at,
        of.messages,
        of.objects,
        of.bytes,
        defects_to_json(&of.defects),
        of.place,
        of.mended,
    ];
    let mut save = file.prepare_cached(SAVE_VERIFICATION)?;
    Ok(save.query_row(values, |row| row.get(0))?)
}

const VERIFICATIONS: &str = "
    SELECT id, asked, started_at, saved_at, finished_at, messages, objects, bytes, defects, place,
        mended
    FROM verifications ORDER BY id DESC LIMIT ?1
";

pub fn verifications(file: &Transaction<'_>, limit: usize) -> Result<Vec<Verification>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = file.prepare_cached(VERIFICATIONS)?;
    let mut rows = select.query([limit])?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        found.push(verification(row)?);
    }
    Ok(found)
}

fn verification(row: &rusqlite::Row<'_>) -> Result<Verification, Fault> {
    let id = row.get(0)?;
    let defects: String = row.get(8)?;
    Ok(Verification {
        id,
        asked: row.get(1)?,
        started_at: row.get(2)?,
        saved_at: row.get(3)?,
        finished_at: row.get(4)?,
        messages: row.get(5)?,
        objects: row.get(6)?,
        bytes: row.get(7)?,
        defects: defects_from_json(&defects)
            .ok_or_else(|| Fault::Refused(format!("the verification {id} is damaged")))?,
        place: row.get(9)?,
        mended: row.get(10)?,
    })
}

const NEWEST: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m ORDER BY m.id DESC LIMIT 1"
);

pub fn newest_row(file: &Transaction<'_>) -> Result<Option<StoredRow>, Fault> {
    let mut select = file.prepare_cached(NEWEST)?;
    Ok(select.query_row([], stored_row).optional()?)
}

const NEWEST_ARCHIVED_AT: &str = "SELECT archived_at FROM messages ORDER BY id DESC LIMIT 1";

pub fn newest_archived_at(file: &Transaction<'_>) -> Result<Option<i64>, Fault> {
    let mut select = file.prepare_cached(NEWEST_ARCHIVED_AT)?;
    let newest: Option<Option<i64>> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(newest.flatten())
}
