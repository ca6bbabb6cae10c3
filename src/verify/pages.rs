//! Rows on their way, page by page: how far all of them have been looked at.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::catalogue::Cursor;

/// The pages of which some row has not been looked at yet, in their order.
#[derive(Default)]
pub(super) struct Pages {
    open: Mutex<VecDeque<Arc<Page>>>,
}

/// One page: its last row, and how many of its rows are not done.
pub(super) struct Page {
    last: Cursor,
    rows: usize,
    left: AtomicUsize,
}

impl Pages {
    /// A page of so many rows that ends with the row `last`.
    pub fn begin(&self, last: Cursor, rows: usize) -> Arc<Page> {
        let page = Arc::new(Page {
            last,
            rows,
            left: AtomicUsize::new(rows),
        });
        self.open().push_back(page.clone());
        page
    }

    /// The last row of the pages that are done and have no open one before
    /// them, and how many rows they have, since this was asked the last time.
    pub fn done_to(&self) -> Option<(Cursor, u64)> {
        let mut open = self.open();
        let (mut last, mut rows) = (None, 0);
        while open.front().is_some_and(|page| page.is_done()) {
            if let Some(page) = open.pop_front() {
                rows += page.rows as u64;
                last = Some(page.last);
            }
        }
        last.map(|last| (last, rows))
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<Arc<Page>>> {
        // Only whole values are put in or taken out.
        self.open.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

impl Page {
    /// One of its rows has been looked at.
    pub fn row_done(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_done(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_after_a_page_that_is_not_done_counts() {
        let pages = Pages::default();
        let at = |id| Cursor { timestamp: 0, id };
        let (first, second) = (pages.begin(at(1), 2), pages.begin(at(2), 1));
        pages.begin(at(3), 0);
        second.row_done();
        first.row_done();
        assert_eq!(pages.done_to(), None);
        first.row_done();
        assert_eq!(pages.done_to(), Some((at(3), 3)));
        assert_eq!(pages.done_to(), None);
    }
}
