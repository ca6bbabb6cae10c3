//! The store's side, listed while rows are looked at.
//!
//! A listing is one request after another, each of which waits for the one
//! before it. Of a page only what had no row at the time is kept, and it is looked
//! up again before it is called a defect: what was archived or mended in between
//! is found then.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::objects::{Rowless, listing};
use super::place::Place;
use super::{Result, SUSPECTS, Verifier};

/// Pages whose rows are looked up at once.
const AT_ONCE: usize = 4;

/// Pages that may wait: of ten million objects, with a key for each page.
const PAGES: usize = 10_000;

/// A page, with its share of what is held of objects without a row.
type Listed = Result<(Rowless, Option<OwnedSemaphorePermit>)>;

/// Pages in the order of the listing; none after the last or an error.
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
        let left = match place {
            Place::Messages { .. } => self.prefixes(None),
            Place::Objects { after } => self.prefixes(after.clone()),
            Place::Topics | Place::Kafka { .. } => vec![],
        };
        (self.list(left, to), Ahead(listed))
    }

    async fn list(&self, prefixes: Vec<(String, Option<String>)>, to: mpsc::Sender<Listed>) {
        let room = Arc::new(Semaphore::new(SUSPECTS));
        for (prefix, after) in prefixes {
            let mut pages = listing(&self.store, &prefix, after)
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

    /// Keys start with their topic. Each prefix with the key to go on after;
    /// those that are done are left out.
    fn prefixes(&self, after: Option<String>) -> Vec<(String, Option<String>)> {
        let mut prefixes: Vec<String> = match &self.filter.topics {
            None => vec![String::new()],
            Some(topics) => topics.iter().map(|topic| format!("{topic}/")).collect(),
        };
        prefixes.sort();
        let is_left = |prefix: &String| match &after {
            Some(after) => prefix >= after || after.starts_with(prefix.as_str()),
            None => true,
        };
        prefixes.retain(is_left);
        let begin = |prefix: String| {
            let after = after.clone().filter(|key| key.starts_with(&prefix));
            (prefix, after)
        };
        prefixes.into_iter().map(begin).collect()
    }
}

async fn with_room(page: Rowless, room: Arc<Semaphore>) -> Listed {
    let held = u32::try_from(page.held().min(SUSPECTS)).unwrap_or(u32::MAX);
    // Never closed; and without a permit the work goes on all the same.
    Ok((page, room.acquire_many_owned(held).await.ok()))
}
