//! Lists: which messages are asked for, and the page of them.

use hyper::StatusCode;

use super::bookmark::Bookmark;
use super::{Archive, Reach};
use crate::catalogue::{Catalogue, CatalogueError, Cursor, RowFilter, StoredRow};
use crate::http::problem::Problem;
use crate::http::query::Query;

/// Whole messages on a page, and messages without their contents.
const MOST_WHOLE: usize = 64;
const MOST_META: usize = 1_024;
const DEFAULT_LIMIT: usize = 64;

/// Bytes of a page's messages; one message may be larger. A BSON document ends
/// at 2 GiB, and a client holds the page in memory.
const MOST_BYTES: u64 = 256 << 20;

/// What a query asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub filter: RowFilter,
    pub limit: usize,
    pub is_descending: bool,
    pub bookmark: Option<Bookmark>,
    /// Whether the messages are told of and not sent.
    pub meta: bool,
}

/// Messages in the order that was asked for.
pub struct Page {
    pub rows: Vec<StoredRow>,
    pub next: Option<Bookmark>,
    pub prev: Option<Bookmark>,
}

impl Asked {
    /// Understands `start_time`, `end_time`, `page`, `limit`, `asc`,
    /// `include_retracted` and `meta`. Errors: 400.
    pub fn read(query: &Query, topics: Option<Vec<String>>, reach: Reach) -> Result<Self, Problem> {
        let meta = query.flag("meta", false)?;
        let most = if meta { MOST_META } else { MOST_WHOLE };
        Ok(Self {
            filter: filter(query, topics, reach)?,
            limit: limit(query, most)?.unwrap_or(DEFAULT_LIMIT),
            is_descending: !query.flag("asc", true)?,
            bookmark: bookmark(query)?,
            meta,
        })
    }
}

/// Understands `start_time`, `end_time` (ms, half open) and
/// `include_retracted`. Errors: 400.
pub fn filter(
    query: &Query,
    topics: Option<Vec<String>>,
    reach: Reach,
) -> Result<RowFilter, Problem> {
    let (since, until) = (query.number("start_time")?, query.number("end_time")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Problem::bad_request("Invalid time range"));
    }
    Ok(RowFilter {
        topics: topics.map(checked).transpose()?,
        since,
        until,
        only_public: reach == Reach::Public,
        without_retracted: !query.flag("include_retracted", true)?,
    })
}

/// No database takes a NUL, and no topic has one or is empty.
pub fn checked(topics: Vec<String>) -> Result<Vec<String>, Problem> {
    let is_none = |topic: &String| topic.is_empty() || topic.contains('\0');
    match topics.iter().any(is_none) {
        true => Err(Problem::bad_request("Invalid topic")),
        false => Ok(topics),
    }
}

/// A limit beyond the most is the most, as clients know it.
pub fn limit(query: &Query, most: usize) -> Result<Option<usize>, Problem> {
    match query.number::<i64>("limit") {
        Ok(None) => Ok(None),
        Ok(Some(limit @ 1..)) => Ok(Some(usize::try_from(limit).unwrap_or(most).min(most))),
        _ => Err(Problem::bad_request("Invalid message count limit")),
    }
}

pub fn bookmark(query: &Query) -> Result<Option<Bookmark>, Problem> {
    let text = query.text("page").filter(|text| !text.is_empty());
    text.map(|text| {
        let bookmark = Bookmark::parse(text);
        bookmark.ok_or_else(|| Problem::bad_request("Invalid page bookmark"))
    })
    .transpose()
}

impl Archive {
    /// Errors: 503 when the catalogue does not answer.
    pub async fn page(&self, asked: Asked) -> Result<Page, Problem> {
        self.ask(move |catalogue| page(catalogue, &asked)).await
    }
}

fn page(catalogue: &dyn Catalogue, asked: &Asked) -> Result<Page, CatalogueError> {
    let (from, is_backward) = match asked.bookmark {
        None => (None, false),
        Some(Bookmark::After(cursor)) => (Some(cursor), false),
        Some(Bookmark::Before(cursor)) => (Some(cursor), true),
    };
    // One more than the page tells whether the list goes on.
    let (limit, reverse) = (asked.limit + 1, asked.is_descending != is_backward);
    let mut rows = catalogue.rows(&asked.filter, from, limit, reverse)?;
    let goes_on = cut(&mut rows, asked);
    if is_backward {
        rows.reverse();
    }
    let edge = |row: Option<&StoredRow>, is_there: bool, mark: fn(Cursor) -> Bookmark| {
        row.filter(|_| is_there).map(|row| mark(row.cursor()))
    };
    // Where a page was come from, there is something.
    let (has_next, has_prev) = match is_backward {
        true => (true, goes_on),
        false => (goes_on, from.is_some()),
    };
    Ok(Page {
        next: edge(rows.last(), has_next, Bookmark::After),
        prev: edge(rows.first(), has_prev, Bookmark::Before),
        rows,
    })
}

/// Cuts what was read to one page; whether something was cut off.
fn cut(rows: &mut Vec<StoredRow>, asked: &Asked) -> bool {
    let read = rows.len();
    rows.truncate(asked.limit);
    if !asked.meta {
        let mut bytes = 0;
        let fits = rows.iter().take_while(|row| {
            bytes += row.row.size.max(0) as u64;
            bytes <= MOST_BYTES
        });
        let fits = fits.count().max(1);
        rows.truncate(fits);
    }
    rows.len() < read
}

/// What the catalogue's failure means to a client.
pub fn failed(error: &CatalogueError) -> Problem {
    match error.is_passing() {
        true => Problem::unavailable("the catalogue does not answer: try again later"),
        false => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the catalogue refuses: the server's log says why",
        ),
    }
}
