//! Where objects lie: S3 or a directory, behind one trait.
//!
//! An object, once stored, is never changed, replaced or deleted by this
//! program.

mod directory;
mod health;
mod names;
mod progress;
mod s3;

use std::ops::Range;

use async_trait::async_trait;

use crate::config::StoreConfig;

pub use directory::DirectoryStore;
pub use health::{Health, Operation};
pub use s3::S3Store;

/// Where one archived record lies: an object, or a part of one.
///
/// Comes from the catalogue and is followed as it is: a key is never computed
/// anew to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    pub key: String,
    /// Bytes of the object that hold the record; `None` is the whole object.
    pub range: Option<Range<u64>>,
}

/// What a listing or a HEAD tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub modified: i64,
}

/// One page of a listing, in any order: not every store lists by key.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub objects: Vec<ObjectInfo>,
    /// Of [`Store::list_folder`]: what the keys in a folder below start with,
    /// up to and with the `/`.
    pub folders: Vec<String>,
    /// Pass it to the next call of the same listing; `None` after the last page.
    pub next: Option<String>,
}

/// What became of [`Store::put_new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there now, durable, with these bytes.
    Stored,
    /// An object of this key was there before and was left as it is.
    Exists,
}

/// Why a store could not do what it was asked.
///
/// What the caller may do is the variant; the text names the store and the
/// cause.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object. Only ever said after the store answered so.
    #[error("{store}: no object {key}")]
    NotFound { store: String, key: String },
    /// The store asks for fewer requests (503, SlowDown) or did not answer in
    /// time. Retry, later and with fewer at once.
    #[error("{store}: overloaded: {cause}")]
    Busy { store: String, cause: String },
    /// The store cannot be reached or failed. Retry.
    #[error("{store}: {cause}")]
    Unavailable { store: String, cause: String },
    /// The object is there, but not as it was asked for: shorter than the
    /// range, in cold storage, no plain file; or its key cannot be asked for;
    /// or it fails while others can be read (see [`Health`]). A matter of this
    /// object alone, and no retry helps.
    #[error("{store}: cannot read {key}: {cause}")]
    Unreadable {
        store: String,
        key: String,
        cause: String,
    },
    /// Credentials, permissions or the bucket are wrong. No retry helps.
    #[error("{store}: {cause}")]
    Refused { store: String, cause: String },
}

impl StoreError {
    /// Whether the store has answered and only this object is missing or cannot
    /// be read.
    pub fn is_of_one_object(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Unreadable { .. })
    }

    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Unavailable { .. } => true,
            Self::NotFound { .. } | Self::Unreadable { .. } | Self::Refused { .. } => false,
        }
    }
}

/// A bucket of objects. One contract suite (`tests/store_contract.rs`) runs
/// over every implementation.
#[async_trait]
pub trait Store: Send + Sync {
    /// The bucket that new objects go to, as the catalogue records it.
    fn bucket(&self) -> &str;

    /// What messages call it, for example `s3 http://127.0.0.1:9000/archive`.
    fn name(&self) -> &str;

    /// Asks the store whether it answers and whether the buckets exist: the
    /// primary one, and the backup one where configured.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finds out whether [`Store::put_new`] can rely on the store to refuse a
    /// key that exists. Where it cannot, later calls look the key up first, and
    /// a WARN says so. A store that always refuses has nothing to try.
    async fn probe_conditional_put(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Stores `body` under `key` in [`Store::bucket`], unless an object of
    /// that key is there. `Ok` means durable. After an error the object may or
    /// may not be there, whole; never in part.
    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError>;

    /// The bytes at a location: exactly as many as the range has, or the whole
    /// object. `Unreadable` when the object ends before the range does.
    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError>;

    /// Size and time of an object; `NotFound` when the store says there is
    /// none.
    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError>;

    /// A page (up to 1,000) of the objects of [`Store::bucket`] whose key
    /// starts with `prefix`, from `page` on. A listing that fails is an error,
    /// never an empty page.
    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError>;

    /// As [`Store::list`], without what is in a folder below: the objects whose
    /// key has no further `/` after `folder`, and the folders. `folder` is empty
    /// or ends in `/`.
    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError>;

    /// The noncurrent versions of an object of [`Store::bucket`], the newest
    /// first, at most 1,000; also those of one that was deleted. Empty where the
    /// store keeps none.
    async fn versions(&self, _key: &str) -> Result<Vec<String>, StoreError> {
        Ok(vec![])
    }

    /// The bytes of one of [`Store::versions`].
    async fn get_version(&self, key: &str, _version: &str) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::NotFound {
            store: self.name().to_owned(),
            key: key.to_owned(),
        })
    }
}

/// Opens the configured store. Connects to nothing yet: see [`Store::check`].
pub fn open(config: &StoreConfig) -> Result<Box<dyn Store>, StoreError> {
    Ok(match config {
        StoreConfig::Directory(directory) => Box::new(DirectoryStore::open(directory)?),
        StoreConfig::S3(s3) => Box::new(S3Store::open(s3)?),
    })
}
