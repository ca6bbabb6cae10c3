//! What a type is doing, and what became of its entities.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::positions::Mode;
use super::time;
use crate::entities::{EntityType, HeldBack, Position, TypeId};

/// What a type is doing; the words are those of Aether's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not looked at yet.
    Initializing,
    /// Nothing is published until somebody resumes it.
    Paused,
    /// Its topic could not be removed; nothing is published until a rebuild
    /// succeeds.
    Locked,
    /// Its topic is being removed.
    Rebuilding,
    Normal,
    /// The last attempt failed; it is tried again.
    Error,
}

impl State {
    /// The word for it, for example `NORMAL`.
    pub fn word(self) -> &'static str {
        match self {
            State::Initializing => "INITIALIZING",
            State::Paused => "PAUSED",
            State::Locked => "LOCKED",
            State::Rebuilding => "REBUILDING",
            State::Normal => "NORMAL",
            State::Error => "ERROR",
        }
    }

    /// What a type does whose mode in the table is this one.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Running => State::Normal,
            Mode::Paused => State::Paused,
            Mode::Rebuilding => State::Rebuilding,
            Mode::Locked => State::Locked,
        }
    }

    /// Whether its entities are to be published.
    pub fn is_running(self) -> bool {
        matches!(self, State::Initializing | State::Normal | State::Error)
    }
}

/// The last entities of a type that were worked on together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changeset {
    pub changes: u64,
    /// In the quarantine now.
    pub failed: u64,
    pub succeeded: u64,
    /// UTC.
    pub timestamp: Timestamp,
}

/// Why the last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub cause: String,
    /// Whether it was Kafka that failed.
    pub is_kafkas: bool,
    pub timestamp: Timestamp,
}

/// One type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStatus {
    pub id: TypeId,
    pub schema_name: String,
    pub topic: String,
    pub state: State,
    /// Whether this instance publishes it.
    pub is_own: bool,
    /// Everything up to here is on Kafka or in the quarantine.
    pub position: Position,
    /// Entities since this instance started: on Kafka, and of those late ones.
    pub published: u64,
    pub late: u64,
    /// Members of payloads that the schema does not have, left out since this
    /// instance started.
    pub left_out: u64,
    pub last_changeset: Option<Changeset>,
    /// The last one in which something went into the quarantine.
    pub last_failed: Option<Changeset>,
    pub last_error: Option<Failure>,
    /// Attempts that failed since this instance started.
    pub errors: u64,
    /// When it was last worked on without an error, whether anything was new or
    /// not.
    pub last_success: Instant,
    /// How far the position is behind what may be read, while there is more.
    pub behind: Option<Duration>,
}

impl TypeStatus {
    fn new(entity_type: &EntityType, topic: String) -> Self {
        Self {
            id: entity_type.id.clone(),
            schema_name: entity_type.schema_name.clone(),
            topic,
            state: State::Initializing,
            is_own: false,
            position: Position::start(),
            published: 0,
            late: 0,
            left_out: 0,
            last_changeset: None,
            last_failed: None,
            last_error: None,
            errors: 0,
            last_success: Instant::now(),
            behind: None,
        }
    }
}

impl TypeStatus {
    /// The time that the position begins with, in seconds since 1970-01-01 as if
    /// it were UTC; `None` at the start.
    pub fn position_second(&self) -> Option<i64> {
        time::second(&self.position)
    }
}

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order of their ids.
    pub types: Vec<TypeStatus>,
    /// What keeps entities that are there from being published yet.
    pub held_back: Option<HeldBack>,
    /// When the registered types were last asked for.
    pub source_asked: Option<Timestamp>,
    /// The registered types could not be read the last time.
    pub source_error: Option<Failure>,
}

impl Snapshot {
    /// Realms with a type that is to be published, and was not worked on without
    /// an error for longer than `most`; and for how long.
    pub fn idle_realms(&self, most: Duration) -> BTreeMap<String, Duration> {
        let mut idle: BTreeMap<String, Duration> = BTreeMap::new();
        for one in self.types.iter().filter(|one| one.state.is_running()) {
            let since = one.last_success.elapsed();
            if since > most {
                let longest = idle.entry(one.id.realm.clone()).or_default();
                *longest = since.max(*longest);
            }
        }
        idle
    }
}

/// A status that one thread changes and others read.
#[derive(Debug)]
pub(super) struct Board {
    status: Mutex<TypeStatus>,
    orders: AtomicU64,
}

impl Board {
    pub fn new(entity_type: &EntityType, topic: String) -> Self {
        Self {
            status: Mutex::new(TypeStatus::new(entity_type, topic)),
            orders: AtomicU64::new(0),
        }
    }

    /// Held only to look or to change, never while anything is waited for.
    pub fn status(&self) -> MutexGuard<'_, TypeStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the state was changed by an order.
    pub fn orders(&self) -> u64 {
        self.orders.load(Ordering::Acquire)
    }

    /// Changes the state because somebody wants it so.
    pub fn order(&self, state: State) {
        let mut status = self.status();
        self.orders.fetch_add(1, Ordering::AcqRel);
        status.state = state;
    }

    pub fn state(&self) -> State {
        self.status().state
    }

    /// A turn has ended without trouble.
    pub fn is_well(&self) {
        let mut status = self.status();
        status.last_success = Instant::now();
        if status.is_own && status.state.is_running() {
            status.state = State::Normal;
        }
    }

    pub fn failed(&self, cause: String, is_kafkas: bool) {
        let mut status = self.status();
        status.errors += 1;
        if status.state.is_running() {
            status.state = State::Error;
        }
        status.last_error = Some(Failure {
            cause,
            is_kafkas,
            timestamp: Timestamp::now(),
        });
    }

    /// Entities are on Kafka or in the quarantine.
    pub fn changed(&self, succeeded: u64, failed: u64, left_out: u64) {
        let mut status = self.status();
        status.published += succeeded;
        status.left_out += left_out;
        let changeset = Changeset {
            changes: succeeded + failed,
            failed,
            succeeded,
            timestamp: Timestamp::now(),
        };
        if failed > 0 {
            status.last_failed = Some(changeset.clone());
        }
        status.last_changeset = Some(changeset);
    }
}
