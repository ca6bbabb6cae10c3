//! The right to publish a type: a lock on a file beside the demo kernel's,
//! which the operating system gives up with the process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::entities::{TypeId, TypeLock};

/// `None` while somebody else has it.
pub fn lock(kernel: &Path, of: &TypeId) -> io::Result<Option<Box<dyn TypeLock>>> {
    let mut name = kernel.file_name().unwrap_or_default().to_owned();
    let realm = hex::encode(&of.realm);
    name.push(format!("-lock-{realm}-{}", of.schema_id.simple()));
    let file = File::create(kernel.with_file_name(name))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Box::new(DemoLock { _file: file }))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Unlocked when the file is closed.
struct DemoLock {
    _file: File,
}

impl TypeLock for DemoLock {
    fn is_held(&self) -> bool {
        true
    }
}
