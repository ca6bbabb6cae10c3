//! Which rows, and in what order.

use super::StoredRow;

/// Which rows. Times are half open, [since, until), in ms since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// Exact topic names; `None` is every topic.
    pub topics: Option<Vec<String>>,
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Leaves out messages that are not public.
    pub only_public: bool,
    /// Leaves out messages that were retracted.
    pub without_retracted: bool,
}

/// A place in the order of rows, which is (timestamp, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub timestamp: i64,
    pub id: i64,
}

impl Cursor {
    /// Before every row.
    pub const START: Self = Self {
        timestamp: i64::MIN,
        id: i64::MIN,
    };
}

impl StoredRow {
    pub fn cursor(&self) -> Cursor {
        Cursor {
            timestamp: self.row.timestamp,
            id: self.id,
        }
    }
}

/// The four texts of a statement, in the order of [`RowFilter::variant`]. They
/// are apart because a condition on a column that no index has, even one that
/// a parameter switches off, makes the database read every row.
macro_rules! variants {
    ($statement:ident $(, $argument:tt)*) => {
        [
            $statement!($($argument,)* ""),
            $statement!($($argument,)* " AND public"),
            $statement!($($argument,)* " AND NOT retracted"),
            $statement!($($argument,)* " AND public AND NOT retracted"),
        ]
    };
}
pub(super) use variants;

/// So many topics are always read from the index of each.
const FEW_TOPICS: usize = 16;

/// Whether a page of rows is found sooner in the index of each of so many topics
/// than in the index of all rows. The first reads up to a page per topic; the
/// second reads the rows of other topics between those that are wanted.
///
/// `messages` gives how many messages these topics have, and how many all have.
pub(super) fn is_sooner_by_topic<E>(
    topics: usize,
    messages: impl FnOnce() -> Result<(i64, i64), E>,
) -> Result<bool, E> {
    if topics <= FEW_TOPICS {
        return Ok(true);
    }
    let (selected, all) = messages()?;
    Ok(i128::from(selected) * (topics as i128) < i128::from(all))
}

/// A part of the order of rows: the rows strictly between two cursors.
///
/// Serial numbers are greater than 0 and never reach `i64::MAX`, so a cursor
/// with the smallest or the greatest possible id lies before or after every row
/// of its millisecond. That makes one pair of comparisons, which an index over
/// (timestamp, id) answers, out of times and a page's cursor alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub after: Cursor,
    pub before: Cursor,
}

impl RowFilter {
    /// Whether anything but topics narrows it: what `topics` counts is then
    /// too much.
    pub(super) fn needs_rows(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.variant() != 0
    }

    /// Which of the four texts of a statement (see [`variants`]) answers it.
    pub(super) fn variant(&self) -> usize {
        usize::from(self.only_public) + 2 * usize::from(self.without_retracted)
    }

    /// The rows of all pages.
    pub(super) fn bounds(&self) -> Bounds {
        let first_of = |timestamp| Cursor {
            timestamp,
            id: i64::MIN,
        };
        let end = Cursor {
            timestamp: i64::MAX,
            id: i64::MAX,
        };
        Bounds {
            after: first_of(self.since.unwrap_or(i64::MIN)),
            before: self.until.map_or(end, first_of),
        }
    }

    /// The rows that come after the page that ended at `cursor`.
    pub(super) fn page(&self, cursor: Option<Cursor>, reverse: bool) -> Bounds {
        let mut bounds = self.bounds();
        match cursor {
            Some(cursor) if reverse => bounds.before = bounds.before.min(cursor),
            Some(cursor) => bounds.after = bounds.after.max(cursor),
            None => {}
        }
        bounds
    }
}
