//! Objects as files: `<store-path>/<bucket>/<key>`.

mod failure;
mod publish;
mod walk;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use self::publish::Publisher;
use self::walk::{Entry, Walk};
use super::progress::Progress;
use super::{Location, ObjectInfo, Page, Put, Store, StoreError, names};
use crate::config::DirectoryConfig;

/// Objects on a page of a listing.
const PAGE: usize = 1_000;

/// File operations at once, each on a thread of its own. A disk gains nothing
/// from more.
const AT_ONCE: usize = 64;

/// Listings that may stand between two pages. Others find their place again,
/// at the cost of reading the folders on the way.
const WALKS: usize = 4;

/// A store in a directory.
pub struct DirectoryStore {
    files: Arc<Files>,
    slots: Arc<Semaphore>,
}

/// The blocking side.
struct Files {
    name: String,
    path: PathBuf,
    bucket: String,
    publisher: Publisher,
    progress: Progress,
    walks: Mutex<Vec<Paused>>,
}

/// A walk between two pages.
struct Paused {
    prefix: String,
    is_flat: bool,
    /// The last key shown, which is the next page's name.
    page: String,
    walk: Walk,
}

impl DirectoryStore {
    /// Makes the folders where missing and removes what crashed processes left
    /// unfinished. Fails with `Refused` where the bucket's name is no folder
    /// name, or as the file system says.
    pub fn open(config: &DirectoryConfig) -> Result<Self, StoreError> {
        let name = format!("directory {}/{}", config.path.display(), config.bucket);
        names::check_bucket(&config.bucket).map_err(|cause| StoreError::Refused {
            store: name.clone(),
            cause: format!("{cause}; set store-primary-bucket"),
        })?;
        let fail = |e: io::Error| failure::failure(&name, "make", "the folder", &e);
        let path = std::path::absolute(&config.path).map_err(fail)?;
        // No bucket's name starts with a dot.
        let publisher =
            Publisher::open(path.join(&config.bucket), path.join(".unfinished")).map_err(fail)?;
        let files = Files {
            path,
            bucket: config.bucket.clone(),
            publisher,
            progress: Progress::new(config.log_every),
            walks: Mutex::new(Vec::new()),
            name,
        };
        Ok(Self {
            files: Arc::new(files),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Does blocking work on another thread. Work that was begun is finished,
    /// and keeps its slot until then, even when the caller stops waiting.
    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T, StoreError> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let files = Arc::clone(&self.files);
        let task = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&files)
        });
        task.await.unwrap_or_else(|e| {
            Err(StoreError::Unavailable {
                store: self.files.name.clone(),
                cause: format!("a file operation ended early: {e}"),
            })
        })
    }
}

#[async_trait]
impl Store for DirectoryStore {
    fn bucket(&self) -> &str {
        &self.files.bucket
    }

    fn name(&self) -> &str {
        &self.files.name
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.blocking(|files| files.check()).await
    }

    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError> {
        let key = key.to_owned();
        self.blocking(move |files| files.put_new(&key, &body)).await
    }

    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        let at = at.clone();
        self.blocking(move |files| files.get(&at)).await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.blocking(move |files| files.head(&bucket, &key)).await
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        let (prefix, page) = (prefix.to_owned(), page.unwrap_or_default().to_owned());
        self.blocking(move |files| files.list(&prefix, &page, false))
            .await
    }

    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError> {
        let (folder, page) = (folder.to_owned(), page.unwrap_or_default().to_owned());
        self.blocking(move |files| files.list(&folder, &page, true))
            .await
    }
}

impl Files {
    fn check(&self) -> Result<(), StoreError> {
        match fs::read_dir(self.path.join(&self.bucket)) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.bucket_failure(&e)),
        }
    }

    fn put_new(&self, key: &str, body: &[u8]) -> Result<Put, StoreError> {
        names::check_new_key(key).map_err(|cause| StoreError::Refused {
            store: self.name.clone(),
            cause: format!("cannot store {key:?}: {cause}"),
        })?;
        let target = self.path.join(&self.bucket).join(key);
        match self.publisher.put_new(&target, body) {
            Ok(put) => {
                if put == Put::Stored {
                    self.progress.stored(&self.name, key);
                }
                Ok(put)
            }
            // Folders were removed under our hands: nothing was stored.
            Err(e) if e.kind() == ErrorKind::NotFound => Err(StoreError::Unavailable {
                store: self.name.clone(),
                cause: format!("cannot store {key}: {e}"),
            }),
            Err(e) => Err(failure::failure(&self.name, "store", key, &e)),
        }
    }

    fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        let (path, metadata) = self.file(&at.bucket, &at.key)?;
        let range = at.range.clone().unwrap_or(0..metadata.len());
        if range.start > range.end || range.end > metadata.len() {
            return Err(self.unreadable(
                &at.key,
                format!("it has {} bytes, asked for {range:?}", metadata.len()),
            ));
        }
        read(&path, range.start, range.end - range.start)
            .map_err(|e| failure::failure(&self.name, "read", &at.key, &e))
    }

    fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        let (_, metadata) = self.file(bucket, key)?;
        walk::object(key.to_owned(), &metadata)
            .map_err(|e| failure::failure(&self.name, "read the time of", key, &e))
    }

    fn list(&self, prefix: &str, page: &str, is_flat: bool) -> Result<Page, StoreError> {
        let mut walk = match self.resume(prefix, page, is_flat) {
            Some(walk) => walk,
            None => Walk::begin(&self.path.join(&self.bucket), prefix, page, is_flat)
                .map_err(|e| self.bucket_failure(&e))?,
        };
        let fail = |e: io::Error| StoreError::Unavailable {
            store: self.name.clone(),
            cause: format!("cannot list {prefix:?}: {e}"),
        };
        let mut shown = Page::default();
        let mut last = None;
        while shown.objects.len() + shown.folders.len() < PAGE
            && let Some(entry) = walk.next().map_err(fail)?
        {
            last = Some(entry.key().to_owned());
            match entry {
                Entry::Object(object) => shown.objects.push(object),
                Entry::Folder(folder) => shown.folders.push(folder),
            }
        }
        if let Some(last) = last
            && walk.has_more().map_err(fail)?
        {
            self.pause(prefix, &last, is_flat, walk);
            shown.next = Some(last);
        }
        Ok(shown)
    }

    fn resume(&self, prefix: &str, page: &str, is_flat: bool) -> Option<Walk> {
        let mut walks = self.walks();
        let found = walks.iter().position(|paused| {
            paused.page == page && paused.prefix == prefix && paused.is_flat == is_flat
        })?;
        Some(walks.remove(found).walk)
    }

    fn pause(&self, prefix: &str, page: &str, is_flat: bool, walk: Walk) {
        let mut walks = self.walks();
        if walks.len() >= WALKS {
            walks.remove(0);
        }
        walks.push(Paused {
            prefix: prefix.to_owned(),
            is_flat,
            page: page.to_owned(),
            walk,
        });
    }

    fn walks(&self) -> std::sync::MutexGuard<'_, Vec<Paused>> {
        // Only whole values are put in or taken out.
        self.walks.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The path of an object, and that it is a file: opening a pipe would wait
    /// for ever.
    fn file(&self, bucket: &str, key: &str) -> Result<(PathBuf, fs::Metadata), StoreError> {
        names::check_bucket(bucket).map_err(|cause| StoreError::Refused {
            store: self.name.clone(),
            cause: format!("{bucket:?}: {cause}"),
        })?;
        names::check_known_key(key).map_err(|cause| self.unreadable(key, cause.to_owned()))?;
        let root = self.path.join(bucket);
        let path = root.join(key);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok((path, metadata)),
            Ok(_) => Err(self.unreadable(key, "it is not a file".to_owned())),
            Err(e) if e.kind() == ErrorKind::NotADirectory => Err(StoreError::NotFound {
                store: self.name.clone(),
                key: key.to_owned(),
            }),
            // Only a bucket that is there can say that it has no such object.
            Err(e) if e.kind() == ErrorKind::NotFound && !root.is_dir() => {
                Err(self.no_bucket(bucket))
            }
            Err(e) => Err(failure::failure(&self.name, "read", key, &e)),
        }
    }

    fn bucket_failure(&self, error: &io::Error) -> StoreError {
        if error.kind() == ErrorKind::NotFound {
            return self.no_bucket(&self.bucket);
        }
        failure::failure(&self.name, "read", "the bucket's folder", error)
    }

    fn no_bucket(&self, bucket: &str) -> StoreError {
        StoreError::Refused {
            store: self.name.clone(),
            cause: format!(
                "there is no folder {}; is the right disk mounted?",
                self.path.join(bucket).display()
            ),
        }
    }

    fn unreadable(&self, key: &str, cause: String) -> StoreError {
        StoreError::Unreadable {
            store: self.name.clone(),
            key: key.to_owned(),
            cause,
        }
    }
}

/// Reads exactly `length` bytes from `start` on.
fn read(path: &std::path::Path, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
