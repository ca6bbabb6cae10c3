//! The store's side, listed while rows are looked at.
//!
//! A listing is one request after another, each of which waits for the one
//! before it. Of a page only what had no row at the time is kept, and it is looked
//! up again before it is called a defect: what was archived or mended in between
//! is found then.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::objects::Rowless;
use super::place::Place;
use super::ranges::{Ranges, listing};
use super::{Result, SUSPECTS, Verifier};

/// Pages whose rows are looked up at once.
const AT_ONCE: usize = 4;

/// Pages that may wait: of ten million objects, with a key for each page.
const PAGES: usize = 10_000;

/// A page, with its share of what is held of objects without a row.
type Listed = Result<(Rowless, Option<OwnedSemaphorePermit>)>;

/// Pages in the order of their ranges; none after the last or an error.
pub(super) struct Ahead(mpsc::Receiver<Listed>);

impl Ahead {
    pub async fn next(&mut self) -> Result<Option<Rowless>> {
        let listed = self.0.recv().await.transpose()?;
        Ok(listed.map(|(page, _room)| page))
    }
}

impl Verifier {
    /// Lists all that is left at a place, for as long as the future is polled.
    pub(super) fn list_ahead<'a>(
        &'a self,
        place: &Place,
    ) -> (impl Future<Output = ()> + Send + use<'a>, Ahead) {
        let (to, listed) = mpsc::channel(PAGES);
        let after = match place {
            Place::Objects { range } => Some(range.clone()),
            Place::Messages { .. } => Some(None),
            Place::Topics | Place::Kafka { .. } => None,
        };
        let ranges = after.map(|after| Ranges {
            topics: self.filter.topics.clone(),
            subset: self.subset,
            after,
        });
        (self.list(ranges, to), Ahead(listed))
    }

    async fn list(&self, ranges: Option<Ranges>, to: mpsc::Sender<Listed>) {
        let Some(ranges) = ranges else { return };
        let room = Arc::new(Semaphore::new(SUSPECTS));
        let mut pages = listing(&self.store, ranges)
            .map_ok(|page| self.rowless(page))
            .try_buffered(AT_ONCE)
            .and_then(|page| with_room(page, room.clone()))
            .boxed();
        while let Some(page) = pages.next().await {
            let is_last = page.is_err();
            if to.send(page).await.is_err() || is_last {
                return;
            }
        }
    }
}

async fn with_room(page: Rowless, room: Arc<Semaphore>) -> Listed {
    let held = u32::try_from(page.held().min(SUSPECTS)).unwrap_or(u32::MAX);
    // Never closed; and without a permit the work goes on all the same.
    Ok((page, room.acquire_many_owned(held).await.ok()))
}
