//! The right to publish a type: an advisory lock of the kernel's database, on a
//! session of its own that holds those of all types.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::database::DatabaseError;
use crate::entities::{TypeId, TypeLock};
use crate::postgres_server::{Connector, Fault, Session};

/// A session that answered is believed in for so long.
const FRESH: Duration = Duration::from_millis(250);
/// An answer may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

const TAKE: &str = "SELECT pg_try_advisory_lock($1)";
const GIVE_UP: &str = "SELECT pg_advisory_unlock($1)";

pub struct LockSession {
    connector: Arc<Connector>,
    state: Mutex<State>,
}

/// The session, once it was needed, and what it holds.
#[derive(Default)]
struct State {
    session: Option<Session>,
    /// Which session that is: a lock of an earlier one is lost.
    generation: u64,
    held: HashSet<TypeId>,
    answered: Option<Instant>,
}

impl LockSession {
    pub fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            state: Mutex::default(),
        }
    }

    /// `None` while somebody else has the type's lock, here or elsewhere.
    pub fn lock(
        shared: &Arc<Self>,
        of: &TypeId,
    ) -> Result<Option<Box<dyn TypeLock>>, DatabaseError> {
        let mut state = shared.state();
        // The server would give it to one session any number of times.
        if state.held.contains(of) && state.answers() {
            return Ok(None);
        }
        let taken = state.take(&shared.connector, of);
        let taken = taken.map_err(|fault| {
            state.lose();
            shared.connector.error(fault)
        })?;
        if !taken {
            return Ok(None);
        }
        state.held.insert(of.clone());
        Ok(Some(Box::new(KernelLock {
            shared: shared.clone(),
            of: of.clone(),
            generation: state.generation,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole whenever the lock is free, also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, connector: &Connector, of: &TypeId) -> Result<bool, Fault> {
        if !self.answers() {
            self.lose();
        }
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(connector.session()?),
        };
        let rows = session.query(TAKE, &[&key(of)])?;
        self.answered = Some(Instant::now());
        match rows.first() {
            Some(row) => Ok(row.try_get(0)?),
            None => Ok(false),
        }
    }

    /// Whether the session is still there: the server has ended it, or the
    /// connection is gone, long before anybody is told.
    fn answers(&mut self) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if session.is_broken() {
            return false;
        }
        if self.answered.is_some_and(|at| at.elapsed() < FRESH) {
            return true;
        }
        let answers = session.ping(PATIENCE).is_ok();
        self.answered = answers.then(Instant::now);
        answers
    }

    /// All locks went with their session.
    fn lose(&mut self) {
        self.generation += 1;
        self.session = None;
        self.held.clear();
        self.answered = None;
    }
}

struct KernelLock {
    shared: Arc<LockSession>,
    of: TypeId,
    generation: u64,
}

impl TypeLock for KernelLock {
    fn is_held(&self) -> bool {
        let mut state = self.shared.state();
        if state.generation != self.generation {
            return false;
        }
        let answers = state.answers();
        if !answers {
            state.lose();
        }
        answers
    }
}

impl Drop for KernelLock {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.generation != self.generation {
            return;
        }
        let given_up = match &mut state.session {
            Some(session) => session.query(GIVE_UP, &[&key(&self.of)]).is_ok(),
            None => false,
        };
        match given_up {
            true => drop(state.held.remove(&self.of)),
            // With the session the server gives up the lock too.
            false => state.lose(),
        }
    }
}

/// The same in every instance, and of no other program by all likelihood.
fn key(of: &TypeId) -> i64 {
    let mut digest = Sha256::new();
    digest.update("archive_ingest entity type\n");
    digest.update(of.schema_id.as_bytes());
    digest.update(&of.realm);
    let digest: [u8; 32] = digest.finalize().into();
    let mut key = [0; 8];
    key.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(key)
}
