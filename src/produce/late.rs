//! Entities that turned up behind the position, and those of the quarantine
//! that are to be tried again.
//!
//! Nothing can turn up there as long as the source's condition holds (see
//! `EntitySource::bound`). Whatever breaks it, a row stamped long before its
//! transaction or one that was put in by hand, is found by comparing ids and
//! positions with what was sent.

use std::time::Instant;

use tracing::{info, warn};
use uuid::Uuid;

use super::error::PublishError;
use super::message::{Order, pack, unsendable};
use super::positions::{Mark, PositionsError};
use super::publish::Published;
use super::time;
use super::work::{Seen, Work, set_aside, too_large};
use crate::entities::{Entity, Position, SourceError};
use crate::shutdown::Shutdown;

/// Ids that are compared at once.
const COMPARED: usize = 10_000;

/// Entities that are fetched and published at once.
const FETCHED: usize = 500;

impl Work {
    /// Whether [`Work::look_after_late_ones`] has something to do.
    pub(super) fn is_to_look_after_late_ones(&self) -> bool {
        let now = Instant::now();
        let looks_back = !self.context.config.look_back.is_zero();
        self.reconcile_due.is_some_and(|due| due <= now) || looks_back && self.look_back_due <= now
    }

    /// Looks back, compares everything, and tries again what somebody wants
    /// tried, each when it is due.
    pub(super) fn look_after_late_ones(&mut self, shutdown: &Shutdown) -> Result<(), PublishError> {
        let now = Instant::now();
        let config = &self.context.config;
        if self.reconcile_due.is_some_and(|due| due <= now) {
            self.reconcile_due = config.reconcile_interval.map(|interval| now + interval);
            let late = self.reconcile(shutdown)?;
            info!(of = %self.id(), late, "all entities are compared with what was published");
        } else if !config.look_back.is_zero() && self.look_back_due <= now {
            self.look_back_due = now + config.look_back_interval;
            self.look_back(shutdown)?;
            self.replay()?;
        } else {
            return Ok(());
        }
        self.rewind();
        Ok(())
    }

    /// Compares the recent past. How many entities were late.
    fn look_back(&mut self, shutdown: &Shutdown) -> Result<u64, PublishError> {
        let position = self.board.status().position.clone();
        match time::earlier(&position, self.context.config.look_back) {
            Some(from) => self.compare(from, shutdown),
            None => Ok(0),
        }
    }

    /// Compares everything that this program has published. How many entities
    /// were late.
    pub(super) fn reconcile(&mut self, shutdown: &Shutdown) -> Result<u64, PublishError> {
        self.compare(Position::start(), shutdown)
    }

    /// Publishes whatever has its position at `from` or after, before the one
    /// that the type has come to, and was never sent.
    fn compare(&mut self, from: Position, shutdown: &Shutdown) -> Result<u64, PublishError> {
        let Some(standing) = self.context.positions.standing(self.id())? else {
            return Ok(0);
        };
        let from = from.max(standing.known_from.clone());
        let (source, of) = (self.context.source.clone(), self.id().clone());
        let mut seen: Seen = Vec::with_capacity(COMPARED);
        let mut late = 0;
        let mut failure = None;
        let read = source.range(&of, &from, &standing.position, &mut |id, position| {
            // What is at the taken-over position was sent before it was.
            if position > standing.known_from {
                seen.push((id, position));
            }
            if seen.len() < COMPARED {
                return Ok(());
            }
            if shutdown.is_due() {
                return Err(SourceError::Interrupted("shutting down".to_owned()));
            }
            match self.publish_unknown(std::mem::take(&mut seen)) {
                Ok(count) => {
                    late += count;
                    Ok(())
                }
                Err(error) => {
                    let told = SourceError::Interrupted(error.to_string());
                    failure = Some(error);
                    Err(told)
                }
            }
        });
        match (read, failure) {
            (_, Some(error)) => return Err(error),
            (Err(SourceError::Interrupted(_)), None) if shutdown.is_due() => return Ok(late),
            (read, None) => read?,
        }
        late += self.publish_unknown(seen)?;
        Ok(late)
    }

    /// Of what was seen, in order, publishes what was never sent.
    fn publish_unknown(&mut self, seen: Seen) -> Result<u64, PublishError> {
        let mut unknown = self.unknown(seen)?;
        if !unknown.is_empty() && self.publisher.is_none() {
            // Whoever has published the type meanwhile may have sent them, and
            // is fenced from now on.
            self.open()?;
            unknown = self.unknown(unknown)?;
        }
        let mut count = 0;
        for some in unknown.chunks(FETCHED) {
            count += self.publish_late(some, false)?;
        }
        Ok(count)
    }

    /// Of what was seen, in order, what was never sent as far as is known now.
    fn unknown(&self, seen: Seen) -> Result<Seen, PublishError> {
        let (Some((_, first)), Some((_, last))) = (seen.first(), seen.last()) else {
            return Ok(seen);
        };
        let known = self.context.positions.known(self.id(), first, last)?;
        let is_unknown =
            |(id, position): &(Uuid, Position)| !known.contains(&Mark::of(id, position));
        Ok(seen.into_iter().filter(is_unknown).collect())
    }

    /// Publishes what the quarantine has that is to be tried again and fits by
    /// now. What has changed or gone meanwhile leaves it too: its newer state
    /// comes by itself.
    pub(super) fn replay(&mut self) -> Result<u64, PublishError> {
        let mut count = 0;
        loop {
            let asked = self.context.positions.to_replay(self.id(), FETCHED)?;
            if asked.is_empty() {
                return Ok(count);
            }
            if self.publisher.is_none() {
                // Who had the type before may have done so, and is fenced now.
                self.open()?;
                continue;
            }
            let asked: Seen = asked
                .into_iter()
                .map(|one| (one.id, one.modified))
                .collect();
            count += self.publish_late(&asked, true)?;
        }
    }

    /// Publishes these entities as they were seen, those that are still so.
    fn publish_late(
        &mut self,
        seen: &[(Uuid, Position)],
        replay: bool,
    ) -> Result<u64, PublishError> {
        let ids: Vec<_> = seen.iter().map(|(id, _)| *id).collect();
        let mut entities = self.context.source.fetch(self.id(), &ids)?;
        entities.retain(|now| {
            seen.iter()
                .any(|(id, position)| *id == now.id && *position == now.modified)
        });
        let gone: Seen = seen
            .iter()
            .filter(|(id, _)| replay && !entities.iter().any(|entity| entity.id == *id))
            .cloned()
            .collect();
        if !gone.is_empty() {
            self.open()?;
            let positions = self.context.positions.clone();
            let (publisher, _) = self.tools()?;
            let stays = publisher.standing.position.clone();
            publisher.publish(&*positions, &[], &stays, gone)?;
        }
        if entities.is_empty() {
            return Ok(0);
        }
        let count = self.deliver_late(&entities, replay)?;
        match replay {
            true => info!(of = %self.id(), count, "entities of the quarantine are published"),
            false => warn!(
                of = %self.id(), count, first = %entities[0].modified,
                "entities turned up late, longer after their stamp than the kernel's window, and are published now"
            ),
        }
        Ok(count)
    }

    /// How many of the entities could be published.
    fn deliver_late(&mut self, entities: &[Entity], replay: bool) -> Result<u64, PublishError> {
        self.open()?;
        let positions = self.context.positions.clone();
        let of = self.id().clone();
        let (publisher, writer) = self.tools()?;
        let stays = publisher.standing.position.clone();
        let packed = pack(entities, Order::Late(&stays), writer)?;
        set_aside(&*positions, &of, &packed)?;
        let is_set_aside =
            |entity: &&Entity| packed.unsendable.iter().any(|one| one.id == entity.id);
        let released: Seen = entities
            .iter()
            .filter(|entity| replay && !is_set_aside(entity))
            .map(|entity| (entity.id, entity.modified.clone()))
            .collect();
        match publisher.publish(&*positions, &packed.messages, &stays, released)? {
            Published::Committed => {
                let failed = packed.unsendable.len() as u64;
                let succeeded = entities.len() as u64 - failed;
                self.board.changed(succeeded, failed, packed.left_out);
                self.board.status().late += succeeded;
                Ok(succeeded)
            }
            Published::TooLarge => match entities {
                [entity] => {
                    let entity = unsendable(entity, too_large(&packed));
                    positions
                        .quarantine(&of, &[entity])
                        .map_err(PositionsError::into)
                        .map(|()| 0)
                }
                _ => {
                    let (first, second) = entities.split_at(entities.len() / 2);
                    Ok(self.deliver_late(first, replay)? + self.deliver_late(second, replay)?)
                }
            },
        }
    }
}
