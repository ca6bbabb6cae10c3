//! Which transactions are open, by the server's own lists.
//!
//! Every transaction holds a lock on its virtual id from its beginning until
//! its effects are to be seen, and everybody may read of these locks. When it
//! began is in `pg_stat_activity`, for whom may see that: without
//! `pg_read_all_stats` (and of sessions with `track_activities` off) the
//! beginning is unknown. A prepared transaction has no session any more.
//!
//! Two statements, because the order matters. The first takes the time and then
//! reads who is open; the second, after it, reads who is prepared and which
//! transactions a new snapshot still counts as running. A transaction that is
//! in neither has ended, and is seen by all that is read from now on. One that
//! the snapshot counts as running although it is in no list keeps the bound
//! where it is, if it is older than the snapshot of the first statement.

use std::collections::HashSet;

use crate::entities::horizon::{Began, Look, OpenTransaction};
use crate::postgres_server::{Fault, Session};

/// A vacuum cannot write an entity, nor can a background worker without a user
/// (autovacuum), nor can another reader of this program.
const OPEN: &str = "
    WITH held AS (
        SELECT pid, virtualxid, transactionid::text::bigint AS xid
        FROM pg_locks
        WHERE granted AND mode = 'ExclusiveLock'
          AND locktype IN ('virtualxid', 'transactionid')
    ), began AS (
        SELECT pid, datname, usesysid, usename::text, application_name, state,
            coalesce(xact_start, CASE WHEN state <> 'idle' THEN query_start END) AS at
        FROM pg_stat_activity
    ), open AS (
        SELECT own.virtualxid, own.pid,
            array(SELECT xid FROM held x WHERE x.pid = own.pid AND xid IS NOT NULL) AS xids,
            (extract(epoch FROM began.at) * 1000000)::bigint AS began,
            began.usename, began.application_name, began.state,
            coalesce(began.datname = current_database(), false)
                AND began.usesysid IS NOT NULL
                AND began.application_name IS DISTINCT FROM $1
                AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = own.pid)
                AS matters
        FROM held own JOIN began ON began.pid = own.pid
        WHERE own.virtualxid IS NOT NULL AND own.pid <> pg_backend_pid()
    )
    SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint AS now,
        txid_snapshot_xmax(txid_current_snapshot()) AS fence,
        open.*
    FROM (SELECT) AS once LEFT JOIN open ON true";

const SETTLED: &str = "
    SELECT pg_is_in_recovery() AS standby,
        array(SELECT txid_snapshot_xip(txid_current_snapshot())) AS running,
        prepared.*
    FROM (SELECT) AS once LEFT JOIN (
        SELECT gid, transaction::text::bigint AS xid, database = current_database() AS here,
            (extract(epoch FROM prepared) * 1000000)::bigint AS since, owner::text
        FROM pg_prepared_xacts
    ) AS prepared ON true";

/// Transaction ids in lists have 32 bits, those of snapshots 64.
const XID_BITS: i64 = 0xFFFF_FFFF;

/// Looks at the database. `Refused` on a standby, where a commit is seen later
/// than its transaction is gone.
pub fn look(session: &mut Session) -> Result<Look, Fault> {
    let mut look = Look::default();
    let mut listed = HashSet::new();
    let mut fence = 0;
    for row in session.query(OPEN, &[&super::READER])? {
        look.now = row.try_get("now")?;
        fence = row.try_get("fence")?;
        let Some(key) = row.try_get::<_, Option<String>>("virtualxid")? else {
            continue;
        };
        listed.extend(row.try_get::<_, Vec<i64>>("xids")?);
        if row.try_get("matters")? {
            look.open.push(open(&row, key)?);
        }
    }
    let mut running: Vec<i64> = Vec::new();
    for row in session.query(SETTLED, &[])? {
        refuse_standby(row.try_get("standby")?)?;
        running = row.try_get("running")?;
        let Some(gid) = row.try_get::<_, Option<String>>("gid")? else {
            continue;
        };
        listed.insert(row.try_get("xid")?);
        if row.try_get("here")? {
            look.open.push(prepared(&row, &gid)?);
        }
    }
    let unlisted = running
        .into_iter()
        .filter(|xid| *xid < fence && !listed.contains(&(xid & XID_BITS)));
    look.open.extend(unlisted.map(in_no_list));
    Ok(look)
}

pub fn refuse_standby(is_standby: bool) -> Result<(), Fault> {
    match is_standby {
        false => Ok(()),
        true => Err(Fault::Refused(
            "it is a standby, which shows commits late: name the primary server".into(),
        )),
    }
}

fn open(row: &tokio_postgres::Row, key: String) -> Result<OpenTransaction, Fault> {
    let pid: i32 = row.try_get("pid")?;
    let mut who = format!("an open transaction (pid {pid}");
    let details = [
        ("user ", row.try_get("usename")?),
        ("", row.try_get("application_name")?),
        ("", row.try_get("state")?),
    ];
    for (what, detail) in details {
        let detail: Option<String> = detail;
        if let Some(detail) = detail.filter(|detail| !detail.is_empty()) {
            who.push_str(&format!(", {what}{detail}"));
        }
    }
    who.push(')');
    let began: Option<i64> = row.try_get("began")?;
    Ok(OpenTransaction {
        key,
        began: began.map_or(Began::Unknown, Began::At),
        who,
    })
}

fn prepared(row: &tokio_postgres::Row, gid: &str) -> Result<OpenTransaction, Fault> {
    let owner: String = row.try_get("owner")?;
    let xid: i64 = row.try_get("xid")?;
    Ok(OpenTransaction {
        key: format!("prepared {xid}"),
        began: Began::Unsettled(row.try_get("since")?),
        who: format!("the prepared transaction {gid:?} (user {owner})"),
    })
}

fn in_no_list(xid: i64) -> OpenTransaction {
    OpenTransaction {
        key: format!("running {xid}"),
        began: Began::Unsettled(None),
        who: format!("a running transaction (id {xid})"),
    }
}
