//! What an operator may order while the loop runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Context;
use super::positions::{Claimed, Mode, PositionsError};
use super::rounds::Rounds;
use super::status::{Board, Snapshot, State, TypeStatus};
use crate::entities::{Position, SourceError, TypeId};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("Bad realm name: {0}")]
    NoRealm(String),
    #[error("Realm {realm} has no topic {schema_name}")]
    NoType { realm: String, schema_name: String },
    /// Pausing is for a type in state NORMAL, resuming for one that is PAUSED.
    #[error("it is {}", .0.word())]
    State(State),
    #[error(transparent)]
    Positions(#[from] PositionsError),
}

/// Orders and answers, from any thread. Orders are kept in the positions'
/// table: they hold for every instance and after a restart.
#[derive(Clone)]
pub struct Control {
    pub(super) context: Arc<Context>,
    pub(super) rounds: Arc<Rounds>,
}

impl Control {
    /// What every type is doing now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            types: self
                .rounds
                .boards()
                .iter()
                .map(|board| board.status().clone())
                .collect(),
            held_back: self.context.held_back(),
            source_asked: self.rounds.source_asked(),
            source_error: self.rounds.source_error(),
        }
    }

    /// How many entities the source has of each type. Asks the database.
    pub fn counts(&self) -> Result<BTreeMap<TypeId, u64>, SourceError> {
        let boards = self.rounds.boards();
        let ids = boards.iter().map(|board| board.status().id.clone());
        ids.map(|id| Ok((id.clone(), self.context.source.count(&id)?)))
            .collect()
    }

    /// How many entities of a type there are beyond its position, at most
    /// `most`. Asks the database.
    pub fn waiting(&self, of: &TypeStatus, most: u64) -> Result<u64, SourceError> {
        // After every time.
        let end = Position::from("9999-12-31T23:59:59");
        let mut beyond = 0;
        let mut count = |_, position| {
            beyond += u64::from(position > of.position);
            match beyond < most {
                true => Ok(()),
                false => Err(SourceError::Interrupted("counted enough".to_owned())),
            }
        };
        match self
            .context
            .source
            .range(&of.id, &of.position, &end, &mut count)
        {
            Ok(()) | Err(SourceError::Interrupted(_)) => Ok(beyond),
            Err(error) => Err(error),
        }
    }

    /// Whether the source answers. Asks the database.
    pub fn check_source(&self) -> Result<(), SourceError> {
        self.context.source.check().map(drop)
    }

    /// What messages call the source.
    pub fn source(&self) -> String {
        self.context.source.describe()
    }

    /// How many entities of each type are in the quarantine.
    pub fn quarantine_counts(&self) -> Result<BTreeMap<TypeId, u64>, PositionsError> {
        self.context.positions.quarantine_counts()
    }

    /// Publishes nothing of the type any more, until it is resumed. What is
    /// under way ends first; an instance that publishes the type reads the order
    /// within `CONTROL_INTERVAL`.
    pub fn pause(&self, realm: &str, schema_name: &str) -> Result<State, Refused> {
        self.order(realm, schema_name, &[Mode::Running], Mode::Paused)
    }

    /// Undoes [`Control::pause`], and fills the topic after a rebuild.
    pub fn resume(&self, realm: &str, schema_name: &str) -> Result<State, Refused> {
        self.order(realm, schema_name, &[Mode::Paused], Mode::Running)
    }

    /// Removes the topic and forgets the position, in the background; the type
    /// is paused then, or locked when it failed.
    pub fn rebuild(&self, realm: &str, schema_name: &str) -> Result<State, Refused> {
        let from = [Mode::Running, Mode::Paused, Mode::Locked];
        self.order(realm, schema_name, &from, Mode::Rebuilding)
    }

    /// One compare-and-set in the table, whichever instance publishes the type,
    /// so that every instance gives the same answer.
    fn order(
        &self,
        realm: &str,
        schema_name: &str,
        from: &[Mode],
        to: Mode,
    ) -> Result<State, Refused> {
        let board = self.find(realm, schema_name)?;
        let (id, topic) = {
            let status = board.status();
            (status.id.clone(), status.topic.clone())
        };
        let positions = &self.context.positions;
        // A type of which nothing was published yet has no row.
        let before = match positions.claim(&id, &topic)? {
            Claimed::Standing(standing) => standing.mode,
            Claimed::Taken(_) => return Err(Refused::State(State::Error)),
        };
        if !positions.change_mode(&id, None, from, to)? {
            return Err(Refused::State(State::of(before)));
        }
        board.order(State::of(to));
        self.rounds.hurry(&id);
        Ok(State::of(to))
    }

    fn find(&self, realm: &str, schema_name: &str) -> Result<Arc<Board>, Refused> {
        let mut has_realm = false;
        for board in self.rounds.boards() {
            let status = board.status();
            has_realm |= status.id.realm == realm;
            if status.id.realm == realm && status.schema_name == schema_name {
                drop(status);
                return Ok(board);
            }
        }
        Err(match has_realm {
            true => Refused::NoType {
                realm: realm.to_owned(),
                schema_name: schema_name.to_owned(),
            },
            false => Refused::NoRealm(realm.to_owned()),
        })
    }
}
