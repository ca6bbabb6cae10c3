//! Entities of a type onto its topic.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Work;
use crate::entities::{Entity, TypeId};
use crate::produce::error::PublishError;
use crate::produce::message::{Order, Packed, pack, unsendable};
use crate::produce::positions::{Positions, PositionsError};
use crate::produce::publish::Published;

/// A schema is as old as this at most when something does not fit it.
const DEFINITION_AGE: Duration = Duration::from_secs(2);

impl Work {
    /// Publishes entities that follow what was published, in one transaction,
    /// or in several where one of them is too large.
    pub(super) fn deliver(&mut self, entities: &[Entity]) -> Result<(), PublishError> {
        let Some(last) = entities.last().map(|entity| entity.modified.clone()) else {
            return Ok(());
        };
        let positions = self.context.positions.clone();
        let of = self.entity_type.id.clone();
        let (_, writer) = self.tools()?;
        let mut packed = pack(entities, Order::Following, writer)?;
        if self.is_redefined(&packed)? {
            packed = pack(entities, Order::Following, self.writer()?)?;
        }
        if !packed.unsendable.is_empty() {
            self.make_sure_of_the_right()?;
        }
        let (publisher, _) = self.tools()?;
        set_aside(&*positions, &of, &packed)?;
        match publisher.publish(&*positions, &packed.messages, &last, vec![])? {
            Published::Committed => {
                let failed = packed.unsendable.len() as u64;
                let succeeded = entities.len() as u64 - failed;
                self.board.changed(succeeded, failed, packed.left_out);
                self.board.status().position = last;
                Ok(())
            }
            Published::TooLarge => match entities {
                [entity] => self.set_aside_as_too_large(entity, &packed),
                _ => {
                    let (first, second) = entities.split_at(entities.len() / 2);
                    self.deliver(first)?;
                    self.deliver(second)
                }
            },
        }
    }

    fn set_aside_as_too_large(
        &mut self,
        entity: &Entity,
        packed: &Packed,
    ) -> Result<(), PublishError> {
        let positions = self.context.positions.clone();
        let of = self.entity_type.id.clone();
        self.make_sure_of_the_right()?;
        positions.quarantine(&of, &[unsendable(entity, too_large(packed))])?;
        let (publisher, _) = self.tools()?;
        publisher.publish(&*positions, &[], &entity.modified, vec![])?;
        self.board.changed(0, 1, 0);
        self.board.status().position = entity.modified.clone();
        Ok(())
    }

    /// What goes into the quarantine meets no fence of Kafka's.
    pub(super) fn make_sure_of_the_right(&self) -> Result<(), PublishError> {
        match self.lock.as_ref().is_some_and(|lock| lock.is_held()) {
            true => Ok(()),
            false => Err(PublishError::Lost(
                "the right to publish was lost with its connection".to_owned(),
            )),
        }
    }

    /// Looks whether the schema is still the one that is registered, when
    /// something of an entity does not fit it. Whether it is another one now.
    fn is_redefined(&mut self, packed: &Packed) -> Result<bool, PublishError> {
        let fits = packed.left_out == 0 && packed.unsendable.is_empty();
        if fits || self.definition_read.elapsed() < DEFINITION_AGE {
            return Ok(false);
        }
        self.definition_read = Instant::now();
        let types = self.context.source.types()?;
        let Some(now) = types.into_iter().find(|one| one.id == self.entity_type.id) else {
            return Ok(false);
        };
        let is_other = now.definition != self.entity_type.definition;
        if is_other {
            self.redefine(now);
        }
        Ok(is_other)
    }
}

/// What cannot be sent is in the quarantine before anything after it is sent.
pub(in crate::produce) fn set_aside(
    positions: &dyn Positions,
    of: &TypeId,
    packed: &Packed,
) -> Result<(), PositionsError> {
    if let Some(first) = packed.unsendable.first() {
        let (count, reason) = (packed.unsendable.len(), &first.reason);
        warn!(%of, count, id = %first.id, reason, "entities go into the quarantine");
        positions.quarantine(of, &packed.unsendable)?;
    }
    Ok(())
}

pub(in crate::produce) fn too_large(packed: &Packed) -> String {
    let bytes: usize = packed.messages.iter().map(|one| one.container.len()).sum();
    format!("its message of {bytes} bytes is larger than the topic takes")
}
