//! The walk along `modified`.
//!
//! Queries filter and order by the plain column, which is what an index on it
//! serves; equal positions are put in the order of their ids afterwards.

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::collation::Order;
use super::registry;
use super::rows::{Columns, Row, TypeParams, Types};
use crate::entities::stamp;
use crate::entities::{Page, Position};
use crate::postgres_server::{Fault, Session, Transaction};

/// What is walked along: positions of some types from `from` on (or after it)
/// and below `below`.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    pub of: Types<'a>,
    pub from: &'a Position,
    pub includes_from: bool,
    pub below: &'a Position,
    pub spread: Spread,
}

/// What is known of a span's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// They are few.
    Near,
    /// Most of them may be of other types than this one. The query then names the
    /// decorator, where the type has but one: the server knows how many rows a
    /// decorator has, and goes through those instead of all where they are few.
    ///
    /// The decorators are read before the rows are. Rows below the bound are to
    /// be seen by then, and so is the decorator of each.
    Sparse,
    /// There are more than a page of these types. The server, which takes the
    /// tables that the view joins to leave few of them, would read and sort all
    /// that is left of the span for each page.
    Dense,
}

/// The server then walks along the index, where there is one.
const WALK: &str = "SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// Rows of a span, ordered by (modified, id).
#[derive(Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    /// Whether there may be more.
    pub more: bool,
}

impl Rows {
    /// Those of a span of one type.
    pub fn into_page(self) -> Page {
        Page {
            more: self.more,
            entities: self.rows.into_iter().map(|row| row.entity).collect(),
        }
    }
}

/// Rows that are asked for before it is known how large they are.
const FIRST_ROWS: usize = 16;

/// The first rows of a span: at most about `limit`, and no more after about
/// `bytes` of payload. All that have the position of the last one.
pub fn page(
    session: &mut Session,
    order: Order,
    columns: Columns,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Rows, Fault> {
    let (limit, bytes) = (limit.max(1), bytes.max(1));
    if span.below.as_str() <= span.from.as_str() {
        return Ok(Rows::default());
    }
    match order {
        Order::Bytes => by_bytes(session, columns, span, limit, bytes),
        Order::Seconds => by_seconds(session, columns, span, limit, bytes),
    }
}

fn by_bytes(
    session: &mut Session,
    columns: Columns,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Rows, Fault> {
    let decorator = match (span.spread, span.of.0) {
        (Spread::Sparse, [of]) => registry::only_decorator(session, of)?,
        _ => None,
    };
    let from_on = if span.includes_from { ">=" } else { ">" };
    let of_decorator = match decorator {
        Some(_) => "AND e.schemadecorator_id = $6",
        None => "",
    };
    // A statement of its own, because the server may keep a statement's plan.
    let walk = match span.spread {
        Spread::Dense => "/* along the index */",
        Spread::Near | Spread::Sparse => "",
    };
    let rest = format!(
        "AND e.modified {from_on} $3 AND e.modified < $4 {of_decorator} \
         ORDER BY e.modified LIMIT $5 {walk}"
    );
    let statement = session.prepare(&span.of.select(columns, &rest))?;
    let same = Same::prepare(session, columns, span)?;
    let (from, below, rows) = (span.from.as_str(), span.below.as_str(), one_more(limit));
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&from, &below, &rows];
    if let Some(decorator) = &decorator {
        params.push(decorator);
    }
    let params = same.params.with(&params);
    in_transaction(session, span.spread, |transaction| {
        let filled = filled(transaction, &statement, span.of, &params, limit, bytes)?;
        same.completed(transaction, filled)
    })
}

/// As [`Session::in_transaction`], with the server told how to go about it.
fn in_transaction<T>(
    session: &mut Session,
    spread: Spread,
    read: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    session.in_transaction(|transaction| {
        if spread == Spread::Dense {
            transaction.batch_execute(WALK)?;
        }
        read(transaction)
    })
}

/// The row after the last one tells whether there is more.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
}

/// Where the column's order is that of seconds only: whole seconds are read,
/// from the index, and what lies in them is put in order.
///
/// The seconds end with that of the row `limit` rows on, so that there is not
/// more to put in order than that and the rest of a second.
fn by_seconds(
    session: &mut Session,
    columns: Columns,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Rows, Fault> {
    let ahead = session.prepare(
        &span
            .of
            .positions("AND e.modified >= $3 ORDER BY e.modified OFFSET $4 LIMIT 1"),
    )?;
    let statement = session.prepare(&span.of.select(
        columns,
        r#"AND e.modified >= $3 AND ($4::text IS NULL OR e.modified < $4)
           AND (e.modified COLLATE "C" > $5 OR ($6 AND e.modified COLLATE "C" = $5))
           AND e.modified COLLATE "C" < $7
           ORDER BY e.modified COLLATE "C" LIMIT $8"#,
    ))?;
    let same = Same::prepare(session, columns, span)?;
    let (after, below) = (span.from.as_str(), span.below.as_str());
    let mut first = stamp::second(after).unwrap_or_default().to_owned();
    let rows = one_more(limit);
    in_transaction(session, span.spread, |transaction| {
        loop {
            let last = transaction.query(&ahead, &same.params.with(&[&first, &rows]))?;
            let last: Option<String> = last.first().map(|row| row.try_get(0)).transpose()?;
            let end = last.as_deref().and_then(end_of_second);
            let params: [&(dyn ToSql + Sync); 6] =
                [&first, &end, &after, &span.includes_from, &below, &rows];
            let params = same.params.with(&params);
            let mut filled = filled(transaction, &statement, span.of, &params, limit, bytes)?;
            match end {
                // The seconds so far held nothing of the span: go on behind them.
                Some(end) if filled.rows.rows.is_empty() && end.as_str() < below => {
                    first = end;
                }
                end => {
                    filled.rows.more |= end.is_some_and(|end| end.as_str() < below);
                    return same.completed(transaction, filled);
                }
            }
        }
    })
}

/// The second after the one that the position lies in; `None` where there is
/// none, for then nothing bounds what is read.
fn end_of_second(position: &str) -> Option<String> {
    stamp::second(position).and_then(stamp::next_second)
}

/// Rows of one query.
struct Filled {
    rows: Rows,
    /// The row that comes next has the same position as the last one.
    splits_equals: bool,
}

/// Reads rows until there are `limit` or they have `bytes`, in pieces that are
/// as large as the rows so far let expect.
fn filled(
    transaction: &mut Transaction<'_>,
    statement: &Statement,
    of: Types<'_>,
    params: &[&(dyn ToSql + Sync)],
    limit: usize,
    bytes: usize,
) -> Result<Filled, Fault> {
    let portal = transaction.bind(statement, params)?;
    let (mut read, mut splits_equals) = (Rows::default(), false);
    let mut taken = 0;
    loop {
        let rows = next_rows(read.rows.len(), limit, taken, bytes);
        let mut fetched = 0;
        let most = i32::try_from(rows).unwrap_or(i32::MAX);
        transaction.piece(&portal, most, |row| {
            fetched += 1;
            let row = of.row(row)?;
            if read.rows.len() >= limit || taken >= bytes {
                read.more = true;
                let last = read.rows.last().map(|last| &last.entity.modified);
                splits_equals = last.is_some_and(|last| *last == row.entity.modified);
                return Ok(false);
            }
            taken += row.entity.payload.len();
            read.rows.push(row);
            Ok(true)
        })?;
        if read.more || fetched < rows {
            return Ok(Filled {
                rows: read,
                splits_equals,
            });
        }
    }
}

/// How many rows to ask for, with the one that tells of more.
fn next_rows(read: usize, limit: usize, taken: usize, bytes: usize) -> usize {
    let left = limit.saturating_sub(read);
    let fit = match read {
        0 => FIRST_ROWS,
        _ => bytes.saturating_sub(taken) / (taken / read).max(1),
    };
    fit.min(left).saturating_add(1)
}

/// Asks for all rows at one position.
struct Same<'a> {
    statement: Statement,
    of: Types<'a>,
    params: TypeParams,
}

impl<'a> Same<'a> {
    fn prepare(session: &mut Session, columns: Columns, span: &Span<'a>) -> Result<Self, Fault> {
        let sql = span.of.select(columns, "AND e.modified = $3");
        Ok(Self {
            statement: session.prepare(&sql)?,
            of: span.of,
            params: span.of.params(),
        })
    }

    /// In order, and with all that have the position of the last one.
    fn completed(&self, transaction: &mut Transaction<'_>, filled: Filled) -> Result<Rows, Fault> {
        let Rows { mut rows, more } = filled.rows;
        if let (true, Some(last)) = (filled.splits_equals, rows.last()) {
            let last = last.entity.modified.clone();
            let at = last.as_str();
            let same = transaction.query(&self.statement, &self.params.with(&[&at]))?;
            rows.retain(|row| row.entity.modified != last);
            for row in &same {
                rows.push(self.of.row(row)?);
            }
        }
        rows.sort_by(|one, other| one.entity.cmp_place(&other.entity));
        Ok(Rows { rows, more })
    }
}
