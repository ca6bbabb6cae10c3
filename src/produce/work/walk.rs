//! From where a type stands to the bound, page after page.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::{Next, Work};
use crate::entities::{Bound, Entity, Page, Position, SourceError, TypeId};
use crate::produce::context::Context;
use crate::produce::error::PublishError;
use crate::produce::time;
use crate::shutdown::Shutdown;

/// How long one type is worked on before others have their turn.
pub(in crate::produce) const TURN: Duration = Duration::from_secs(1);

/// Entities of a transaction, about: its commit and the position's cost as much
/// as some hundred entities.
pub(super) const TRANSACTION_ENTITIES: usize = 5000;

impl Work {
    /// Publishes what there is, for about `turn`: one page at least.
    pub(in crate::produce) fn walk(
        &mut self,
        turn: Duration,
        shutdown: &Shutdown,
    ) -> Result<Next, PublishError> {
        let bound = self.context.bound()?;
        // Whoever may go on together with others reads no more than tells so.
        let read = if turn.is_zero() { one_page } else { pages };
        let mut page = read(&self.context, self.id(), &self.cursor, &bound)?;
        if page.entities.is_empty() {
            match page.more {
                false => self.has_come_to(&bound.below, false, &bound),
                true => self.board.status().behind = None,
            }
            return Ok(Next::Idle);
        }
        if self.open()? {
            page = read(&self.context, self.id(), &self.cursor, &bound)?;
        }
        let end = Instant::now() + turn;
        while let Some(last) = page.entities.last().map(|entity| entity.modified.clone()) {
            let goes_on = page.more && Instant::now() < end && !shutdown.is_due();
            let (delivered, ahead) =
                self.deliver_beside(&page.entities, goes_on.then_some((&last, &bound)));
            delivered?;
            self.has_come_to(&last, page.more, &bound);
            page = match ahead {
                Some(ahead) if self.board.state().is_running() => ahead?,
                _ if page.more => return Ok(Next::AtOnce),
                _ => return Ok(Next::Soon),
            };
        }
        Ok(Next::Soon)
    }

    /// Nothing is left to read up to this position; `more` may be behind it.
    pub(super) fn has_come_to(&mut self, position: &Position, more: bool, bound: &Bound) {
        self.cursor = std::mem::take(&mut self.cursor).max(position.clone());
        self.board.status().behind = more
            .then(|| time::between(position, &bound.below))
            .flatten();
    }

    /// Publishes entities while the next page is read.
    fn deliver_beside(
        &mut self,
        entities: &[Entity],
        next: Option<(&Position, &Bound)>,
    ) -> (Result<(), PublishError>, Option<Result<Page, SourceError>>) {
        let (context, of) = (self.context.clone(), self.entity_type.id.clone());
        thread::scope(|scope| {
            let ahead = next.map(|(after, bound)| {
                let (context, of) = (&context, &of);
                scope.spawn(move || pages(context, of, after, bound))
            });
            let delivered = self.deliver(entities);
            (delivered, ahead.map(joined))
        })
    }
}

/// What a thread has read.
pub(super) fn joined<T>(
    reader: ScopedJoinHandle<'_, Result<T, SourceError>>,
) -> Result<T, SourceError> {
    reader.join().unwrap_or_else(|_| {
        let cause = "reading the next page panicked";
        Err(SourceError::Interrupted(cause.to_owned()))
    })
}

/// Bytes of their payloads.
pub(super) fn size<'a>(entities: impl IntoIterator<Item = &'a Entity>) -> usize {
    entities.into_iter().map(|one| one.payload.len()).sum()
}

fn one_page(
    context: &Context,
    of: &TypeId,
    after: &Position,
    bound: &Bound,
) -> Result<Page, SourceError> {
    let (limit, bytes) = (context.config.fetch_size, context.config.fetch_bytes);
    context.source.page(of, after, bound, limit, bytes)
}

/// As much as goes into one transaction, however little a query may read.
pub(in crate::produce) fn pages(
    context: &Context,
    of: &TypeId,
    after: &Position,
    bound: &Bound,
) -> Result<Page, SourceError> {
    let (limit, bytes) = (context.config.fetch_size, context.config.fetch_bytes);
    let mut pages = one_page(context, of, after, bound)?;
    let mut read = size(&pages.entities);
    while pages.more && pages.entities.len() < TRANSACTION_ENTITIES && read < bytes {
        let Some(last) = pages.entities.last() else {
            break;
        };
        let next = context
            .source
            .page(of, &last.modified, bound, limit, bytes - read)?;
        read += size(&next.entities);
        pages.entities.extend(next.entities);
        pages.more = next.more;
    }
    Ok(pages)
}
