//! The walk along `modified`.
//!
//! Queries filter and order by the plain column, which is what an index on it
//! serves; equal positions are put in the order of their ids afterwards.

use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::collation::Order;
use super::registry;
use crate::entities::stamp;
use crate::entities::{Entity, Page, Position, TypeId, sort};
use crate::postgres_server::{Fault, Session, Transaction};

/// What is walked along: positions of a type from `from` on (or after it) and
/// below `below`.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    pub of: &'a TypeId,
    pub from: &'a Position,
    pub includes_from: bool,
    pub below: &'a Position,
    /// Most rows of the span may be other types'. The query then names the
    /// decorator, where the type has but one: the server knows how many rows a
    /// decorator has, and goes through those instead of all where they are few.
    ///
    /// The decorators are read before the rows are. Rows below the bound are to
    /// be seen by then, and so is the decorator of each.
    pub is_sparse: bool,
}

/// What is read of a row; without its payload an entity's is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    Id,
    Entity,
}

/// Rows that are asked for before it is known how large they are.
const FIRST_ROWS: usize = 16;

impl Columns {
    /// A query for these columns of a type ($1, $2); the rest speaks of `e`.
    fn select(self, rest: &str) -> String {
        let payload = match self {
            Columns::Id => "",
            Columns::Entity => ", e.payload::text",
        };
        format!(
            "SELECT e.id, e.modified::text{payload} FROM kernel_entity_vw AS e \
             WHERE e.realm = $1 AND e.schema_id = $2 {rest}"
        )
    }
}

/// The first entities of a span: at most about `limit`, and no more after about
/// `bytes` of payload.
pub fn page(
    session: &mut Session,
    order: Order,
    columns: Columns,
    span: &Span<'_>,
    limit: usize,
    bytes: usize,
) -> Result<Page, Fault> {
    let (limit, bytes) = (limit.max(1), bytes.max(1));
    if span.below.as_str() <= span.from.as_str() {
        return Ok(Page::default());
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
) -> Result<Page, Fault> {
    let decorator = match span.is_sparse {
        true => registry::only_decorator(session, span.of)?,
        false => None,
    };
    let from_on = if span.includes_from { ">=" } else { ">" };
    let of_decorator = match decorator {
        Some(_) => "AND e.schemadecorator_id = $6",
        None => "",
    };
    let statement = session.prepare(&columns.select(&format!(
        "AND e.modified {from_on} $3 AND e.modified < $4 {of_decorator} \
         ORDER BY e.modified LIMIT $5"
    )))?;
    let same = session.prepare(&columns.select("AND e.modified = $3"))?;
    let (from, below, rows) = (span.from.as_str(), span.below.as_str(), one_more(limit));
    let mut params: Vec<&(dyn ToSql + Sync)> =
        vec![&span.of.realm, &span.of.schema_id, &from, &below, &rows];
    if let Some(decorator) = &decorator {
        params.push(decorator);
    }
    session.in_transaction(|transaction| {
        let filled = filled(transaction, &statement, &params, limit, bytes)?;
        completed(transaction, &same, span.of, filled)
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
) -> Result<Page, Fault> {
    let ahead = session.prepare(
        "SELECT e.modified::text FROM kernel_entity_vw AS e
         WHERE e.realm = $1 AND e.schema_id = $2 AND e.modified >= $3
         ORDER BY e.modified OFFSET $4 LIMIT 1",
    )?;
    let statement = session.prepare(&columns.select(
        r#"AND e.modified >= $3 AND ($4::text IS NULL OR e.modified < $4)
           AND (e.modified COLLATE "C" > $5 OR ($6 AND e.modified COLLATE "C" = $5))
           AND e.modified COLLATE "C" < $7
           ORDER BY e.modified COLLATE "C" LIMIT $8"#,
    ))?;
    let same = session.prepare(&columns.select("AND e.modified = $3"))?;
    let (after, below) = (span.from.as_str(), span.below.as_str());
    let mut first = stamp::second(after).unwrap_or_default().to_owned();
    session.in_transaction(|transaction| {
        loop {
            let rows = transaction.query(
                &ahead,
                &[&span.of.realm, &span.of.schema_id, &first, &one_more(limit)],
            )?;
            let last: Option<String> = rows.first().map(|row| row.try_get(0)).transpose()?;
            let end = last.as_deref().and_then(end_of_second);
            let params: [&(dyn ToSql + Sync); 8] = [
                &span.of.realm,
                &span.of.schema_id,
                &first,
                &end,
                &after,
                &span.includes_from,
                &below,
                &one_more(limit),
            ];
            let mut filled = filled(transaction, &statement, &params, limit, bytes)?;
            match end {
                // The seconds so far held nothing of the span: go on behind them.
                Some(end) if filled.page.entities.is_empty() && end.as_str() < below => {
                    first = end;
                }
                end => {
                    filled.page.more |= end.is_some_and(|end| end.as_str() < below);
                    return completed(transaction, &same, span.of, filled);
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
    page: Page,
    /// The row that comes next has the same position as the last one.
    splits_equals: bool,
}

/// Reads rows until there are `limit` or they have `bytes`, in pieces that are
/// as large as the rows so far let expect.
fn filled(
    transaction: &mut Transaction<'_>,
    statement: &Statement,
    params: &[&(dyn ToSql + Sync)],
    limit: usize,
    bytes: usize,
) -> Result<Filled, Fault> {
    let portal = transaction.bind(statement, params)?;
    let (mut page, mut splits_equals) = (Page::default(), false);
    let mut taken = 0;
    loop {
        let rows = next_rows(page.entities.len(), limit, taken, bytes);
        let mut fetched = 0;
        let most = i32::try_from(rows).unwrap_or(i32::MAX);
        transaction.piece(&portal, most, |row| {
            fetched += 1;
            let entity = entity(row)?;
            if page.entities.len() >= limit || taken >= bytes {
                page.more = true;
                let last = page.entities.last();
                splits_equals = last.is_some_and(|last| last.modified == entity.modified);
                return Ok(false);
            }
            taken += entity.payload.len();
            page.entities.push(entity);
            Ok(true)
        })?;
        if page.more || fetched < rows {
            return Ok(Filled {
                page,
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

/// In order, and with all that have the position of the last one.
fn completed(
    transaction: &mut Transaction<'_>,
    same: &Statement,
    of: &TypeId,
    filled: Filled,
) -> Result<Page, Fault> {
    let mut page = filled.page;
    if let (true, Some(last)) = (filled.splits_equals, page.entities.last()) {
        let last = last.modified.clone();
        let rows = transaction.query(same, &[&of.realm, &of.schema_id, &last.as_str()])?;
        page.entities.retain(|entity| entity.modified != last);
        for row in &rows {
            page.entities.push(entity(row)?);
        }
    }
    sort(&mut page.entities);
    Ok(page)
}

fn entity(row: &tokio_postgres::Row) -> Result<Entity, Fault> {
    let payload = match row.len() {
        2 => None,
        _ => row.try_get::<_, Option<&str>>(2)?.or(Some("null")),
    };
    Ok(Entity {
        id: row.try_get(0)?,
        modified: Position::new(row.try_get::<_, &str>(1)?),
        payload: payload.unwrap_or_default().to_owned(),
    })
}

/// The entities of these ids, in any order.
pub fn fetch(session: &mut Session, of: &TypeId, ids: &[Uuid]) -> Result<Vec<Entity>, Fault> {
    let sql = Columns::Entity.select("AND e.id = ANY($3)");
    let rows = session.query(&sql, &[&of.realm, &of.schema_id, &ids])?;
    rows.iter().map(entity).collect()
}
