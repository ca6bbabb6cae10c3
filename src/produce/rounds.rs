//! Whose turn it is: every registered type in the order of when it is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{error, info};

use super::context::Context;
use super::status::{Board, Failure};
use super::work::{Next, TOGETHER, Work, turn_together};
use crate::entities::{EntityType, TypeId};
use crate::shutdown::Shutdown;

/// A shutdown is noticed within this.
const GLANCE: Duration = Duration::from_millis(100);

/// A database with many types is not asked more often than so many times a
/// second while nothing happens.
const IDLE_LOOK: Duration = Duration::from_millis(4);

/// The types and their turns.
#[derive(Default)]
pub(super) struct Rounds {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<TypeId, Entry>,
    source_asked: Option<Timestamp>,
    source_error: Option<Failure>,
}

struct Entry {
    /// As it was registered the last time.
    entity_type: EntityType,
    board: Arc<Board>,
    work: Arc<Mutex<Work>>,
    due: Instant,
    is_busy: bool,
    /// There was more when its last turn ended.
    is_behind: bool,
}

/// The types whose turn it is: one, or some that are behind.
pub(super) struct Turn {
    types: Vec<(TypeId, Arc<Mutex<Work>>)>,
}

impl Turn {
    /// What each type does next.
    pub fn take(&self, shutdown: &Shutdown) -> Vec<Next> {
        let mut works: Vec<_> = self.types.iter().map(|(_, work)| held(work)).collect();
        match &mut works[..] {
            [work] => vec![work.turn(shutdown)],
            works => turn_together(works.iter_mut().map(|work| &mut **work).collect(), shutdown),
        }
    }

    /// Gives all up, and says so.
    pub fn broken_off(&self, pause: Duration) -> Vec<Next> {
        for (of, work) in &self.types {
            error!(%of, "a defect of this program: the type is tried again");
            held(work).let_go();
        }
        vec![Next::After(pause); self.types.len()]
    }
}

impl Table {
    /// Types that may have their turn. One that is behind waits while others are
    /// at work that are, and goes on together with them.
    fn candidates(&self) -> impl Iterator<Item = (&TypeId, &Entry)> {
        let is_at_work = |entry: &Entry| entry.is_busy && entry.is_behind;
        let waits = self.entries.values().any(is_at_work);
        self.entries
            .iter()
            .filter(move |(_, entry)| !(entry.is_busy || waits && entry.is_behind))
    }

    /// Up to so many types that are behind and due. Those that are furthest back
    /// first: they come to where the others are.
    fn behind(&self, most: usize, now: Instant) -> Vec<TypeId> {
        let is_due = |entry: &Entry| entry.is_behind && !entry.is_busy && entry.due <= now;
        let mut behind: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| is_due(entry))
            .map(|(of, entry)| (entry.board.status().position.clone(), of))
            .collect();
        behind.sort();
        behind
            .into_iter()
            .take(most)
            .map(|(_, of)| of.clone())
            .collect()
    }

    /// Gives out one type's turn.
    fn give_out(&mut self, of: TypeId) -> Option<(TypeId, Arc<Mutex<Work>>)> {
        let entry = self.entries.get_mut(&of)?;
        entry.is_busy = true;
        Some((of, entry.work.clone()))
    }
}

impl Rounds {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of every type, in order.
    pub fn boards(&self) -> Vec<Arc<Board>> {
        let table = self.table();
        table
            .entries
            .values()
            .map(|entry| entry.board.clone())
            .collect()
    }

    pub fn source_error(&self) -> Option<Failure> {
        self.table().source_error.clone()
    }

    /// When the registered types were last asked for.
    pub fn source_asked(&self) -> Option<Timestamp> {
        self.table().source_asked
    }

    /// The registered types were asked for; `cause`: why they were not read.
    pub fn asked_source(&self, cause: Option<String>) {
        let timestamp = Timestamp::now();
        let mut table = self.table();
        table.source_asked = Some(timestamp);
        table.source_error = cause.map(|cause| Failure {
            cause,
            is_kafkas: false,
            timestamp,
        });
    }

    /// How long a type rests of which nothing was new.
    pub fn idle_pause(&self, configured: Duration) -> Duration {
        let types = u32::try_from(self.table().entries.len()).unwrap_or(u32::MAX);
        configured.max(IDLE_LOOK.saturating_mul(types))
    }

    /// Follows what is registered now: new types come, changed ones change,
    /// others go.
    pub fn follow(&self, types: Vec<EntityType>, context: &Arc<Context>) {
        let registered: BTreeSet<TypeId> = types.iter().map(|one| one.id.clone()).collect();
        context.set_registered(registered.clone());
        let mut gone = Vec::new();
        let mut changed = Vec::new();
        let mut table = self.table();
        table.entries.retain(|of, entry| {
            let stays = registered.contains(of);
            if !stays {
                info!(%of, "the type is registered no more");
                gone.push(entry.work.clone());
            }
            stays
        });
        for entity_type in types {
            match table.entries.get_mut(&entity_type.id) {
                Some(entry) if entry.entity_type != entity_type => {
                    entry.entity_type = entity_type.clone();
                    changed.push((entry.work.clone(), entity_type));
                }
                Some(_) => {}
                None => {
                    let of = entity_type.id.clone();
                    table.entries.insert(of, Entry::new(entity_type, context));
                }
            }
        }
        drop(table);
        // Whoever works on one of them finishes the turn first.
        for work in gone {
            held(&work).let_go();
        }
        for (work, entity_type) in changed {
            held(&work).redefine(entity_type);
        }
        self.changed.notify_all();
    }

    /// The type that has been due the longest, and others that are behind where
    /// it is behind; waits for one. `None` when it is time to end.
    pub fn next(&self, shutdown: &Shutdown) -> Option<Turn> {
        let mut table = self.table();
        loop {
            if shutdown.is_due() {
                return None;
            }
            let now = Instant::now();
            let first = table.candidates().min_by_key(|(_, entry)| entry.due);
            let wait = match first {
                Some((of, entry)) if entry.due <= now => {
                    let (of, is_behind) = (of.clone(), entry.is_behind);
                    let mut types: Vec<_> = table.give_out(of).into_iter().collect();
                    if is_behind {
                        let others = table.behind(TOGETHER - 1, now);
                        types.extend(others.into_iter().filter_map(|of| table.give_out(of)));
                    }
                    return Some(Turn { types });
                }
                Some((_, entry)) => entry.due.duration_since(now).min(GLANCE),
                None => GLANCE,
            };
            let waited = self.changed.wait_timeout(table, wait);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The turn is over; the next one comes when each type's `next` says, and
    /// after `idle` where there was nothing.
    pub fn done(&self, turn: &Turn, next: &[Next], idle: Duration) {
        let mut table = self.table();
        for ((of, _), next) in turn.types.iter().zip(next) {
            if let Some(entry) = table.entries.get_mut(of) {
                entry.is_busy = false;
                entry.is_behind = *next == Next::AtOnce;
                entry.due = Instant::now() + next.pause(idle);
            }
        }
        drop(table);
        self.changed.notify_all();
    }

    /// The type is due now.
    pub fn hurry(&self, of: &TypeId) {
        if let Some(entry) = self.table().entries.get_mut(of) {
            entry.due = Instant::now();
        }
        self.changed.notify_all();
    }

    /// Closes producers that have done nothing for the longest, of types that
    /// nobody works on and whose turn this is not, until no more than `most` are
    /// open with those of the turn.
    pub fn close_idle(&self, context: &Context, turn: &Turn, most: usize) {
        let is_of_turn =
            |work: &Arc<Mutex<Work>>| turn.types.iter().any(|(_, of)| Arc::ptr_eq(of, work));
        let has_one = |(_, work): &&(TypeId, Arc<Mutex<Work>>)| held(work).publisher.is_some();
        let missing = turn.types.len() - turn.types.iter().filter(has_one).count();
        let is_enough = || context.open_publishers() + missing <= most;
        if is_enough() {
            return;
        }
        let works: Vec<_> = {
            let table = self.table();
            table
                .entries
                .values()
                .map(|entry| entry.work.clone())
                .filter(|work| !is_of_turn(work))
                .collect()
        };
        let used = |work: &Arc<Mutex<Work>>| {
            let work = work.try_lock().ok()?;
            work.publisher.is_some().then_some(work.used)
        };
        let mut idle: Vec<_> = works
            .iter()
            .filter_map(|work| Some((used(work)?, work)))
            .collect();
        idle.sort_by_key(|(used, _)| *used);
        for (_, work) in idle {
            if is_enough() {
                return;
            }
            if let Ok(mut work) = work.try_lock() {
                work.publisher = None;
            }
        }
    }

    /// Gives up everything, at the end.
    pub fn let_go(&self) {
        let entries = std::mem::take(&mut self.table().entries);
        for entry in entries.values() {
            held(&entry.work).let_go();
        }
    }
}

impl Entry {
    fn new(entity_type: EntityType, context: &Arc<Context>) -> Self {
        let topic = context
            .config
            .topic
            .name(&entity_type.id.realm, &entity_type.schema_name);
        let board = Arc::new(Board::new(&entity_type, topic));
        let work = Work::new(entity_type.clone(), board.clone(), context.clone());
        Self {
            entity_type,
            board,
            work: Arc::new(Mutex::new(work)),
            due: Instant::now(),
            is_busy: false,
            is_behind: false,
        }
    }
}

/// A turn that panicked leaves its work to the next one, which begins anew.
pub(super) fn held(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}
