//! A record on its way through a round.

use uuid::Uuid;

use super::batch::Item;
use super::decide::Candidate;
use crate::catalogue::{Claim, ReadSpan, Row};

/// A record, and what is known of its message so far.
pub(super) struct Message {
    pub item: Item,
    pub candidate: Candidate,
    /// Its object, once stored.
    pub row: Option<Row>,
    pub next: Next,
}

/// What a message needs in this round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is not known whose its UUID is.
    Decide,
    /// Nobody owns its UUID.
    Claim,
    /// Its claim stands: object and row.
    Store,
    /// The message is archived; this delivery of it is to be remembered.
    Remember,
    /// This delivery is archived; that it was read is to be noted.
    Known,
    /// Nothing more can be done in this round.
    Wait,
    /// Archived; `Done(false)` if it was before this round.
    Done { new: bool },
}

impl Message {
    pub fn new(item: Item) -> Self {
        Self {
            candidate: Candidate::new(&item.record, item.stream.topic_id),
            item,
            row: None,
            next: Next::Decide,
        }
    }

    /// What was read with the record. `row`: of which row it depends.
    pub fn span(&self, row: Option<Uuid>) -> ReadSpan {
        ReadSpan {
            stream: self.item.stream.clone(),
            from: self.item.from,
            to: self.item.record.offset + 1,
            holds_record: true,
            row,
        }
    }

    pub fn claim(&self) -> Claim {
        Claim {
            uuid: self.candidate.uuid(),
            delivery: self.candidate.delivery.clone(),
            topic_id: self.item.stream.topic_id,
        }
    }
}
