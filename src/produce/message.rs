//! A message of a type's topic: a container, and in its headers where the type
//! stands with it.
//!
//! - `position`: everything up to here is in this message or before it
//! - `first`, `last`: the least and the greatest `modified` of its entities
//! - `sent`: eight bytes for each of its entities (see `positions::Mark`)

use std::collections::BTreeMap;

use super::container::ContainerWriter;
use super::positions::{Mark, Sent, Unsendable};
use crate::entities::{Entity, Position};
use crate::kafka::Outgoing;
use crate::record::Record;

const POSITION: &str = "position";
const FIRST: &str = "first";
const LAST: &str = "last";
const SENT: &str = "sent";

/// A message before it has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub container: Vec<u8>,
    pub position: Position,
    pub sent: Sent,
}

impl Message {
    pub fn to(&self, partition: i32) -> Outgoing {
        let text = |position: &Position| position.as_str().as_bytes().to_vec();
        Outgoing {
            partition,
            value: self.container.clone(),
            headers: vec![
                (POSITION, text(&self.position)),
                (FIRST, text(&self.sent.first)),
                (LAST, text(&self.sent.last)),
                (SENT, Mark::join(&self.sent.marks)),
            ],
        }
    }
}

/// What the headers of a message on the topic say; `None` for one that another
/// producer has written.
pub(super) fn read(record: &Record) -> Option<(Position, Sent)> {
    let headers: BTreeMap<&[u8], &[u8]> = record
        .headers
        .iter()
        .filter_map(|header| Some((header.name.as_slice(), header.value.as_deref()?)))
        .collect();
    let bytes = |name: &str| headers.get(name.as_bytes()).copied();
    let text = |name: &str| Some(Position::from(std::str::from_utf8(bytes(name)?).ok()?));
    let position = text(POSITION)?;
    let sent = Sent {
        first: text(FIRST)?,
        last: text(LAST)?,
        marks: Mark::split(bytes(SENT)?).collect(),
        is_in_order: false,
    };
    Some((position, sent))
}

/// Entities as messages, and those that cannot be one.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub messages: Vec<Message>,
    pub unsendable: Vec<Unsendable>,
    /// Members of payloads that the schema does not have.
    pub left_out: u64,
}

/// How entities stand to those that were sent before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order<'a> {
    /// They follow: each message's last entity is where the type then stands.
    Following,
    /// They are late, and the type stands where it stood.
    Late(&'a Position),
}

/// Packs entities, in their order, into as few containers as the limits allow.
pub(super) fn pack(
    entities: &[Entity],
    order: Order<'_>,
    writer: &mut ContainerWriter,
) -> std::io::Result<Packed> {
    let mut packed = Packed::default();
    let mut encoded = Vec::new();
    let mut within: Vec<&Entity> = Vec::new();
    writer.clear();
    for entity in entities {
        encoded.clear();
        match writer.encode(&entity.payload, &mut encoded) {
            Ok(told) => packed.left_out += told.left_out,
            Err(misfit) => {
                packed
                    .unsendable
                    .push(unsendable(entity, misfit.to_string()));
                continue;
            }
        }
        if writer.is_full_for(encoded.len()) {
            packed.messages.extend(message(writer, &within, order)?);
            within.clear();
        }
        writer.push(&encoded);
        within.push(entity);
    }
    packed.messages.extend(message(writer, &within, order)?);
    Ok(packed)
}

pub(super) fn unsendable(entity: &Entity, reason: String) -> Unsendable {
    Unsendable {
        id: entity.id,
        modified: entity.modified.clone(),
        reason,
        bytes: entity.payload.len() as u64,
    }
}

fn message(
    writer: &mut ContainerWriter,
    within: &[&Entity],
    order: Order<'_>,
) -> std::io::Result<Option<Message>> {
    let Some(container) = writer.finish()? else {
        return Ok(None);
    };
    let marked = |entity: &&Entity| {
        let mark = Mark::of(&entity.id, &entity.modified);
        (entity.modified.clone(), mark)
    };
    let Some(mut sent) = Sent::late(within.iter().map(marked).collect()) else {
        return Ok(None);
    };
    let position = match order {
        Order::Following => sent.last.clone(),
        Order::Late(position) => position.clone(),
    };
    sent.is_in_order = matches!(order, Order::Following);
    Ok(Some(Message {
        container,
        position,
        sent,
    }))
}
