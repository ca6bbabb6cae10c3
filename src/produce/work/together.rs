//! Types that are all behind, worked on together.
//!
//! Along `modified` the entities of all types lie among each other, so that a
//! walk for each type passes those of all the others. One walk reads them once
//! for all. Each type is published by itself, as ever: what a type makes wait or
//! fail is its own, and it takes part no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::walk::{TRANSACTION_ENTITIES, TURN, joined, size};
use super::{CONTROL_INTERVAL, Next, Work};
use crate::entities::{Bound, Entity, Pages, Position, SourceError, TypeId};
use crate::produce::context::Context;
use crate::produce::error::PublishError;
use crate::produce::time;
use crate::shutdown::Shutdown;

/// Types that are read together at most: each has a producer open.
pub(in crate::produce) const TOGETHER: usize = 6;

/// Threads that publish what was read.
const PUBLISHING: usize = 2;

/// What is read at once is so many times what one type reads by itself.
const MORE: usize = 2;

/// A type may be ahead of the others by what so many readings pass; one that is
/// further ahead would wait for too long, and goes on by itself.
const NEAR: u32 = 4;

/// A type that takes longer than this to be published would make all others
/// wait.
const SLOW: Duration = Duration::from_secs(5);

/// A type that takes part, until it is told what it does next.
struct Member<'a> {
    work: &'a mut Work,
    next: Option<Next>,
    /// What its own part of the turn took so far.
    took: Duration,
}

/// One turn of all of these types. What each does next, in their order.
pub(in crate::produce) fn turn(works: Vec<&mut Work>, shutdown: &Shutdown) -> Vec<Next> {
    let Some(context) = works.first().map(|work| work.context.clone()) else {
        return Vec::new();
    };
    let mut members: Vec<Member<'_>> = works.into_iter().map(Member::join).collect();
    if let Err(error) = walk(&context, &mut members, shutdown) {
        let error = PublishError::from(error);
        for member in taking_part(&mut members) {
            member.next = Some(member.work.failed(&error));
            // Others' rows may have been too many.
            member.work.is_apart = true;
        }
    }
    members.into_iter().map(Member::end).collect()
}

fn taking_part<'m, 'w>(
    members: &'m mut [Member<'w>],
) -> impl Iterator<Item = &'m mut Member<'w>> + use<'m, 'w> {
    members.iter_mut().filter(|member| member.next.is_none())
}

fn walk(
    context: &Context,
    members: &mut [Member<'_>],
    shutdown: &Shutdown,
) -> Result<(), SourceError> {
    let bound = context.bound()?;
    let Some(mut from) = taking_part(members)
        .map(|one| one.work.cursor.clone())
        .min()
    else {
        return Ok(());
    };
    let mut pages = read(context, &ids(members), &from, &bound, shutdown)?;
    leave_those_ahead(members, &from, &pages.end);
    let end = Instant::now() + TURN;
    loop {
        let goes_on = pages.more
            && pages.end > from
            && Instant::now() < end
            && !shutdown.is_due()
            && taking_part(members).next().is_some();
        let (after, of) = (pages.end, ids(members));
        let ahead = thread::scope(|scope| {
            let ahead =
                goes_on.then(|| scope.spawn(|| read(context, &of, &after, &bound, shutdown)));
            deliver(members, pages.of);
            ahead.map(joined)
        });
        let more = pages.more;
        for member in taking_part(members) {
            member.work.has_come_to(&after, more, &bound);
            if member.took > SLOW {
                member.leave();
            }
        }
        match ahead {
            Some(ahead) => pages = ahead?,
            None => {
                break taking_part(members).for_each(|member| {
                    member.next = Some(if more { Next::AtOnce } else { Next::Soon });
                });
            }
        }
        from = after;
    }
    Ok(())
}

fn ids(members: &mut [Member<'_>]) -> Vec<TypeId> {
    taking_part(members)
        .map(|one| one.work.id().clone())
        .collect()
}

/// Those for whom there was nothing between the two positions because they are
/// past them, and far.
fn leave_those_ahead(members: &mut [Member<'_>], from: &Position, end: &Position) {
    let near = time::between(from, end).map(|passed| passed * NEAR);
    for member in taking_part(members) {
        let ahead = time::between(end, &member.work.cursor);
        if member.work.cursor > *end && (ahead.is_none() || ahead > near) {
            member.leave();
        }
    }
}

/// As much as goes into a transaction of each, however little a query may read;
/// what there is after a turn's time, where most is of other types.
fn read(
    context: &Context,
    of: &[TypeId],
    after: &Position,
    bound: &Bound,
    shutdown: &Shutdown,
) -> Result<Pages, SourceError> {
    let config = &context.config;
    let end = Instant::now() + TURN;
    let limit = config.fetch_size.saturating_mul(of.len());
    let bytes = config.fetch_bytes.saturating_mul(MORE);
    let mut pages = context.source.pages(of, after, bound, limit, bytes)?;
    loop {
        let entities = || pages.of.values().flatten();
        let read = size(entities());
        let is_enough = entities().count() >= MORE * TRANSACTION_ENTITIES || read >= bytes;
        if !pages.more || is_enough || Instant::now() >= end || shutdown.is_due() {
            return Ok(pages);
        }
        let next = context
            .source
            .pages(of, &pages.end, bound, limit, bytes - read)?;
        if next.end <= pages.end {
            return Ok(pages);
        }
        for (of, entities) in next.of {
            pages.of.entry(of).or_default().extend(entities);
        }
        (pages.end, pages.more) = (next.end, next.more);
    }
}

/// Publishes each type's entities.
fn deliver(members: &mut [Member<'_>], mut entities: BTreeMap<TypeId, Vec<Entity>>) {
    let parts = taking_part(members).filter_map(|member| {
        let of = entities.remove(member.work.id())?;
        Some((member, of))
    });
    let parts = Mutex::new(parts.collect::<Vec<_>>());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let publish = || {
        while let Some((member, entities)) = next() {
            member.deliver(entities);
        }
    };
    thread::scope(|scope| {
        for _ in 1..PUBLISHING {
            scope.spawn(publish);
        }
        publish();
    });
}

impl<'a> Member<'a> {
    /// Sees that the type can be published; otherwise it takes no part.
    fn join(work: &'a mut Work) -> Self {
        let began = Instant::now();
        let next = match work.is_ready() {
            Ok(None) => None,
            Ok(Some(next)) => Some(next),
            Err(error) => Some(work.failed(&error)),
        };
        Self {
            work,
            next,
            took: began.elapsed(),
        }
    }

    /// It goes on by itself for as long as it is behind.
    fn leave(&mut self) {
        self.work.is_apart = true;
        self.next = Some(Next::Alone);
    }

    fn deliver(&mut self, mut entities: Vec<Entity>) {
        if !self.work.board.state().is_running() {
            self.next = Some(Next::Alone);
            return;
        }
        let began = Instant::now();
        entities.retain(|entity| entity.modified > self.work.cursor);
        if let Err(error) = self.work.deliver(&entities) {
            self.next = Some(self.work.failed(&error));
        }
        self.took = self.took.max(began.elapsed());
    }

    /// What may take long is for a turn of its own.
    fn end(self) -> Next {
        match self.next {
            Some(next @ (Next::AtOnce | Next::Soon)) => {
                self.work.board.is_well();
                self.work.is_behind = next == Next::AtOnce;
                match self.work.is_to_look_after_late_ones() {
                    true => Next::Alone,
                    false => next,
                }
            }
            Some(next) => next,
            None => Next::Alone,
        }
    }
}

impl Work {
    /// `None` if it can publish; otherwise what it does next.
    fn is_ready(&mut self) -> Result<Option<Next>, PublishError> {
        let is_own = self.hold()?;
        self.follow_mode()?;
        if !is_own {
            return Ok(Some(Next::After(CONTROL_INTERVAL)));
        }
        if !self.board.state().is_running() {
            return Ok(Some(Next::Alone));
        }
        self.open()?;
        Ok(None)
    }
}
