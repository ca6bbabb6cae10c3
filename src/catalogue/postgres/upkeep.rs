//! Rows adopted and mended, counts taken anew, objects set aside, and what
//! verifications found.

use std::time::Duration;

use uuid::Uuid;

use super::columns::{RowColumns, given_rows, row_columns};
use super::row::{message_columns, stored_row};
use crate::catalogue::upkeep::{counted_limit, defects_from_json, defects_to_json};
use crate::catalogue::{CountedPage, Cursor, Row, SetAside, StoredRow, Verification};
use crate::postgres_server::{Fault, Session};

/// In the order of their UUIDs, as the archiver adds rows.
const ADOPT: &str = concat!(
    "INSERT INTO messages (",
    row_columns!(),
    ", archived_at) SELECT ",
    row_columns!(),
    ", NULL FROM ",
    given_rows!(),
    " AS g (",
    row_columns!(),
    ") ORDER BY uuid ON CONFLICT (uuid) DO NOTHING RETURNING uuid"
);

/// As [`ADOPT`]; what it adds is unconfirmed.
const ADOPT_UNCONFIRMED: &str = concat!(
    "WITH adopted AS (INSERT INTO messages (",
    row_columns!(),
    ", archived_at) SELECT ",
    row_columns!(),
    ", NULL FROM ",
    given_rows!(),
    " AS g (",
    row_columns!(),
    ") ORDER BY uuid ON CONFLICT (uuid) DO NOTHING RETURNING uuid
    ), noted AS (
        INSERT INTO unconfirmed_messages (uuid) SELECT uuid FROM adopted ON CONFLICT DO NOTHING
    )
    SELECT uuid FROM adopted"
);

pub fn adopt_unconfirmed(session: &mut Session, rows: &[Row]) -> Result<Vec<Uuid>, Fault> {
    let rows: Vec<&Row> = rows.iter().collect();
    let adopted = session.query(ADOPT_UNCONFIRMED, &RowColumns::new(&rows).params())?;
    adopted.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub fn adopt(session: &mut Session, rows: &[Row]) -> Result<Vec<Uuid>, Fault> {
    let rows: Vec<&Row> = rows.iter().collect();
    let adopted = session.query(ADOPT, &RowColumns::new(&rows).params())?;
    adopted.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// One row of arrays. $26 is its serial number.
const MEND: &str = concat!(
    "UPDATE messages m SET (",
    row_columns!(),
    ") = (SELECT ",
    row_columns!(),
    " FROM ",
    given_rows!(),
    " AS g (",
    row_columns!(),
    ")) WHERE m.id = $26
        AND NOT EXISTS (SELECT FROM messages o WHERE o.uuid = ANY ($1) AND o.id <> $26)"
);

/// Locked, the row waits for whoever changes it, and is compared as it is then.
const LOCK_ROW: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m WHERE m.id = $1 FOR UPDATE"
);

pub fn mend(session: &mut Session, read: &StoredRow, row: &Row) -> Result<bool, Fault> {
    let (lock, mend) = (session.prepare(LOCK_ROW)?, session.prepare(MEND)?);
    session.in_transaction(|transaction| {
        let now = transaction.query(&lock, &[&read.id])?;
        let now = now.first().map(stored_row).transpose()?;
        if now.as_ref() != Some(read) {
            return Ok(false);
        }
        let columns = RowColumns::new(&[row]);
        let mut params = columns.params().to_vec();
        params.push(&read.id);
        Ok(transaction.execute(&mend, &params)? == 1)
    })
}

const FIRST_TOPIC: &str = "SELECT min(topic) FROM messages";
pub const TOPIC_AFTER: &str = "SELECT min(topic) FROM messages WHERE topic > $1";

pub fn topic_after(session: &mut Session, topic: Option<&str>) -> Result<Option<String>, Fault> {
    let rows = match topic {
        None => session.query(FIRST_TOPIC, &[])?,
        Some(topic) => session.query(TOPIC_AFTER, &[&topic])?,
    };
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    })
}

/// messages_topic_timestamp_idx alone.
pub const COUNT_PAGE: &str = concat!(
    r#"
    WITH page AS MATERIALIZED (
        SELECT "timestamp", id FROM messages
        WHERE topic = $1 AND ("timestamp", id) > ($2, $3)
        ORDER BY "timestamp", id"#,
    counted_limit!(),
    r#"
    )
    SELECT count(*), min("timestamp"), max("timestamp"),
        (SELECT max(id) FROM page WHERE "timestamp" = (SELECT max("timestamp") FROM page))
    FROM page
"#
);

pub fn count_page(
    session: &mut Session,
    topic: &str,
    after: Option<Cursor>,
) -> Result<CountedPage, Fault> {
    let after = after.unwrap_or(Cursor::START);
    let rows = session.query(COUNT_PAGE, &[&topic, &after.timestamp, &after.id])?;
    let Some(row) = rows.first() else {
        return Ok(CountedPage::default());
    };
    let (earliest, latest): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
    Ok(CountedPage::new(
        row.try_get(0)?,
        earliest.zip(latest),
        row.try_get(3)?,
    ))
}

/// One statement sees one state of both tables. It locks nothing, and may take as
/// long as a topic has rows.
pub const COUNT_ROWS: &str = r#"
    SELECT count(*) - coalesce((SELECT n_messages FROM topics WHERE topic = $1), 0),
        min("timestamp"), max("timestamp"),
        (SELECT e_timestamp FROM topics WHERE topic = $1),
        (SELECT l_timestamp FROM topics WHERE topic = $1)
    FROM messages WHERE topic = $1
"#;
const COUNT_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// By the difference ($2), so that what others count meanwhile stays counted. A
/// time that is not what it was when the rows were read ($5, $6) was widened
/// since.
const CORRECT: &str = "
    INSERT INTO topics AS t (topic, n_messages, e_timestamp, l_timestamp)
    VALUES ($1, $2, coalesce($3::bigint, 0), coalesce($4::bigint, 0))
    ON CONFLICT (topic) DO UPDATE SET
        n_messages = t.n_messages + $2,
        e_timestamp = CASE WHEN t.e_timestamp IS NOT DISTINCT FROM $5::bigint
            THEN coalesce($3, t.e_timestamp) ELSE least(t.e_timestamp, $3) END,
        l_timestamp = CASE WHEN t.l_timestamp IS NOT DISTINCT FROM $6::bigint
            THEN coalesce($4, t.l_timestamp) ELSE greatest(t.l_timestamp, $4) END
";
const FORGET_EMPTY: &str = "DELETE FROM topics WHERE topic = $1 AND n_messages = 0";

pub fn recount(session: &mut Session, topic: &str) -> Result<(), Fault> {
    let [count, correct, forget] = [
        session.prepare(COUNT_ROWS)?,
        session.prepare(CORRECT)?,
        session.prepare(FORGET_EMPTY)?,
    ];
    let counted = session.in_transaction(|transaction| {
        transaction.allow(COUNT_TIMEOUT)?;
        transaction.query_one(&count, &[&topic])
    })?;
    let missing: i64 = counted.try_get(0)?;
    let times: [Option<i64>; 4] = [
        counted.try_get(1)?,
        counted.try_get(2)?,
        counted.try_get(3)?,
        counted.try_get(4)?,
    ];
    let [earliest, latest, told_earliest, told_latest] = &times;
    session.in_transaction(|transaction| {
        transaction.execute(
            &correct,
            &[
                &topic,
                &missing,
                earliest,
                latest,
                told_earliest,
                told_latest,
            ],
        )?;
        transaction.execute(&forget, &[&topic])?;
        Ok(())
    })
}

const SET_ASIDE: &str = "
    INSERT INTO set_aside (bucket, key, reason)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ORDER BY 1, 2
    ON CONFLICT DO NOTHING
";

pub fn set_aside(session: &mut Session, objects: &[SetAside]) -> Result<(), Fault> {
    let of = |field: fn(&SetAside) -> &str| objects.iter().map(field).collect::<Vec<&str>>();
    let (buckets, keys) = (of(|o| &o.bucket), of(|o| &o.key));
    let reasons = of(|o| &o.reason);
    session.execute(SET_ASIDE, &[&buckets, &keys, &reasons])?;
    Ok(())
}

const WHICH_SET_ASIDE: &str = "SELECT key FROM set_aside WHERE bucket = $1 AND key = ANY ($2)";

pub fn which_set_aside(
    session: &mut Session,
    bucket: &str,
    keys: &[String],
) -> Result<Vec<String>, Fault> {
    let rows = session.query(WHICH_SET_ASIDE, &[&bucket, &keys])?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// $1 is 0 for a new one.
const ADD_VERIFICATION: &str = "
    INSERT INTO verifications
        (asked, started_at, saved_at, finished_at, messages, objects, bytes, defects, place,
         mended)
    SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE $1::bigint = 0
    RETURNING id
";
const UPDATE_VERIFICATION: &str = "
    UPDATE verifications SET
        asked = $2, started_at = $3, saved_at = $4, finished_at = $5, messages = $6,
        objects = $7, bytes = $8, defects = $9, place = $10, mended = $11
    WHERE id = $1 RETURNING id
";

pub fn save_verification(session: &mut Session, of: &Verification) -> Result<i64, Fault> {
    let sql = match of.id {
        0 => ADD_VERIFICATION,
        _ => UPDATE_VERIFICATION,
    };
    let rows = session.query(
        sql,
        &[
            &of.id,
            &of.asked,
            &of.started_at,
            &of.saved_at,
            &of.finished_at,
            &of.messages,
            &of.objects,
            &of.bytes,
            &defects_to_json(&of.defects),
            &of.place,
            &of.mended,
        ],
    )?;
    match rows.first() {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(Fault::Refused(format!(
            "the verification {} is not there any more",
            of.id
        ))),
    }
}

const VERIFICATIONS: &str = "
    SELECT id, asked, started_at, saved_at, finished_at, messages, objects, bytes, defects, place,
        mended
    FROM verifications ORDER BY id DESC LIMIT $1
";

pub fn verifications(session: &mut Session, limit: usize) -> Result<Vec<Verification>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = session.query(VERIFICATIONS, &[&limit])?;
    rows.iter().map(verification).collect()
}

fn verification(row: &tokio_postgres::Row) -> Result<Verification, Fault> {
    let id = row.try_get(0)?;
    Ok(Verification {
        id,
        asked: row.try_get(1)?,
        started_at: row.try_get(2)?,
        saved_at: row.try_get(3)?,
        finished_at: row.try_get(4)?,
        messages: row.try_get(5)?,
        objects: row.try_get(6)?,
        bytes: row.try_get(7)?,
        defects: defects_from_json(row.try_get(8)?)
            .ok_or_else(|| Fault::Refused(format!("the verification {id} is damaged")))?,
        place: row.try_get(9)?,
        mended: row.try_get(10)?,
    })
}

const NEWEST: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m ORDER BY m.id DESC LIMIT 1"
);

pub fn newest_row(session: &mut Session) -> Result<Option<StoredRow>, Fault> {
    let rows = session.query(NEWEST, &[])?;
    rows.first().map(stored_row).transpose()
}

const NEWEST_ARCHIVED_AT: &str = "
    SELECT (extract(epoch FROM archived_at) * 1000)::bigint FROM messages ORDER BY id DESC LIMIT 1
";

pub fn newest_archived_at(session: &mut Session) -> Result<Option<i64>, Fault> {
    let rows = session.query(NEWEST_ARCHIVED_AT, &[])?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    })
}
