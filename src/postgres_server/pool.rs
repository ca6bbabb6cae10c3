//! Sessions, made when needed and given up when idle.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use r2d2::{ManageConnection, NopErrorHandler, Pool, PooledConnection};

use super::connect::{CONNECT_TIMEOUT, Connector};
use super::error::Fault;
use super::session::Session;
use crate::database::DatabaseError;

/// A server that is there gives a session sooner.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Up to so many sessions.
pub struct Sessions {
    /// `None` only while dropping.
    pool: Option<Pool<Manager>>,
    connector: Arc<Connector>,
    last_error: LastError,
}

impl Drop for Sessions {
    fn drop(&mut self) {
        // Closing a connection blocks, which panics on a thread of an async
        // runtime; whoever holds the catalogue last may be one.
        let pool = self.pool.take();
        if let Ok(closing) = std::thread::Builder::new().spawn(move || drop(pool)) {
            // A panic in there is printed by itself; nothing is left to do.
            let _ = closing.join();
        }
    }
}

impl Sessions {
    /// Connects once, within 10 s, so that whatever is wrong is told here.
    pub fn open(connector: &Arc<Connector>, size: u32) -> Result<Self, DatabaseError> {
        connector
            .session()
            .map_err(|fault| connector.error(fault))?;
        Ok(Self::new(connector.clone(), size))
    }

    /// Connections are made as calls need them.
    pub fn new(connector: Arc<Connector>, size: u32) -> Self {
        let last_error = LastError::default();
        let manager = Manager {
            connector: connector.clone(),
            last_error: last_error.clone(),
        };
        let pool = Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .idle_timeout(Some(Duration::from_secs(300)))
            // A call may wait for the calls before it and for one connection.
            .connection_timeout(2 * CONNECT_TIMEOUT)
            // What fails is told by the call that needed it.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(manager);
        Self {
            pool: Some(pool),
            connector,
            last_error,
        }
    }

    /// Runs a call on a session that answers.
    pub fn run<T>(
        &self,
        call: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, DatabaseError> {
        let pool = self.pool.as_ref().ok_or_else(|| {
            self.connector
                .error(Fault::Unavailable("the pool is closed".into()))
        })?;
        let mut session = self.session(pool)?;
        call(&mut session).map_err(|fault| {
            // Statements that the server forgot (a pooler in between) are
            // prepared anew by the next call.
            session.forget_statements();
            self.connector.error(fault)
        })
    }

    /// A server that is away is not waited for as long as other calls are: the
    /// caller tries again.
    fn session(&self, pool: &Pool<Manager>) -> Result<PooledConnection<Manager>, DatabaseError> {
        match pool.get_timeout(AT_ONCE) {
            Ok(session) => Ok(session),
            Err(_) if self.last_error.get().is_some() => Err(self.no_session(pool)),
            Err(_) => pool.get().map_err(|_| self.no_session(pool)),
        }
    }

    /// The pool keeps of its connections' errors only a text; why the last one
    /// could not be made decides what the caller may do.
    fn no_session(&self, pool: &Pool<Manager>) -> DatabaseError {
        self.last_error.get().unwrap_or_else(|| {
            let state = pool.state();
            self.connector.error(Fault::Unavailable(format!(
                "no connection within {} s: {} of {} {} are busy",
                pool.connection_timeout().as_secs(),
                state.connections - state.idle_connections,
                self.connector.words().pool_size,
                pool.max_size(),
            )))
        })
    }
}

struct Manager {
    connector: Arc<Connector>,
    last_error: LastError,
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = DatabaseError;

    fn connect(&self) -> Result<Session, DatabaseError> {
        let session = self
            .connector
            .session()
            .map_err(|fault| self.connector.error(fault));
        self.last_error.set(session.as_ref().err().cloned());
        session
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), DatabaseError> {
        session
            .ping(CONNECT_TIMEOUT)
            .map_err(|fault| self.connector.error(fault))
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.is_broken()
    }
}

/// Why the pool's last attempt to connect failed, if it did.
#[derive(Clone, Default)]
struct LastError(Arc<Mutex<Option<DatabaseError>>>);

impl LastError {
    // The value is whole whenever the lock is free, also after a panic.

    fn get(&self) -> Option<DatabaseError> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn set(&self, error: Option<DatabaseError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
