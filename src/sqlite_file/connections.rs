//! Connections to the file: one that writes, and as many that read as calls
//! overlap.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::{Fault, explain};
use crate::database::DatabaseError;
use crate::durable;

/// How long another process's write is waited for.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements that a connection keeps prepared.
const PREPARED: usize = 32;

pub struct Connections {
    name: String,
    path: PathBuf,
    /// Where the path was configured, for messages.
    setting: &'static str,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

impl Connections {
    /// Opens the file, made where it is missing, in a directory made where that
    /// is missing. `setting` is where the path was configured.
    pub fn open(path: &Path, setting: &'static str) -> Result<Self, DatabaseError> {
        let name = format!("sqlite {}", path.display());
        let writer = directory(path, setting)
            .and_then(|()| writer(path))
            .map_err(|fault| explain(&name, setting, fault))?;
        Ok(Self {
            name,
            path: path.to_owned(),
            setting,
            writer: Mutex::new(writer),
            idle_readers: Mutex::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a call in a transaction that nobody else writes beside. It is
    /// durable on `Ok` and undone on an error.
    pub fn write<T>(
        &self,
        call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, DatabaseError> {
        let mut writer = held(&self.writer);
        in_transaction(&mut writer, TransactionBehavior::Immediate, call)
            .map_err(|fault| explain(&self.name, self.setting, fault))
    }

    /// Runs a call in such a transaction, if nobody else writes now; `None`
    /// where another process does.
    pub fn try_write<T>(
        &self,
        call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, DatabaseError> {
        let mut writer = held(&self.writer);
        let run = || {
            writer.busy_timeout(Duration::ZERO)?;
            let result = in_transaction(&mut writer, TransactionBehavior::Immediate, call);
            writer.busy_timeout(BUSY_TIMEOUT)?;
            result
        };
        match run() {
            Ok(value) => Ok(Some(value)),
            Err(fault) if fault.is_busy() => Ok(None),
            Err(fault) => Err(explain(&self.name, self.setting, fault)),
        }
    }

    /// Runs a call that only reads, on one state of the file.
    pub fn read<T>(
        &self,
        call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, DatabaseError> {
        let idle = held(&self.idle_readers).pop();
        let run = || -> Result<T, Fault> {
            let mut reader = match idle {
                Some(reader) => reader,
                None => connect(&self.path)?,
            };
            let result = in_transaction(&mut reader, TransactionBehavior::Deferred, call);
            held(&self.idle_readers).push(reader);
            result
        };
        run().map_err(|fault| explain(&self.name, self.setting, fault))
    }
}

/// A call that panicked has left no transaction open behind it.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(behavior)?;
    let value = call(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// SQLite syncs the names of its files into their directory, and that one's own
/// name nowhere.
fn directory(path: &Path, setting: &str) -> Result<(), Fault> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            durable::make_folder(parent).map_err(|error| {
                Fault::Refused(format!(
                    "the directory {} cannot be made ({error}): correct {setting}",
                    parent.display()
                ))
            })
        }
        _ => Ok(()),
    }
}

/// A new row's UUID lands anywhere in its index: the cache (KiB, hence the sign)
/// keeps that index's pages, and a checkpoint comes only every so many pages of
/// 4 KiB, because it writes each changed page once, however often it changed.
fn writer(path: &Path) -> Result<Connection, Fault> {
    let writer = connect(path)?;
    writer.pragma_update(None, "cache_size", -32 * 1024)?;
    writer.pragma_update(None, "wal_autocheckpoint", 16 * 1024)?;
    Ok(writer)
}

/// WAL, so that reading and writing go on beside each other; FULL, so that a
/// commit is on the disk when it returns.
fn connect(path: &Path) -> Result<Connection, Fault> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Refused(format!(
            "its file system has no shared memory for write-ahead logging (journal mode {mode}): use a local disk"
        )));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}
