//! Objects in S3, or in what speaks S3's protocol.

mod credentials;
mod endpoint;
mod failure;
mod listing;
mod provider;
mod requests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use s3::Bucket;

use self::credentials::{CredentialSource, CredentialsError};
use self::failure::Failure;
use super::progress::Progress;
use super::{Location, ObjectInfo, Page, Put, Store, StoreError, names};
use crate::config::S3Config;

/// Objects on a page of a listing: the most that S3 gives.
const PAGE: usize = 1_000;

/// The object on which conditional PUT is tried. No topic's name has a `!`, so
/// it is never a message's. It is stored once and then stays; listings leave it
/// out.
const PROBE_KEY: &str = "!probe/conditional-put";
const PROBE_BODY: &[u8] = b"archive_ingest tries here at each start whether this store honours \
    If-None-Match. Please leave this object where it is.\n";

/// The longest that [`Store::check`] takes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);

/// A store in S3. All requests share one pool of connections.
pub struct S3Store {
    name: String,
    bucket: String,
    backup_bucket: Option<String>,
    /// Cloned for each request; clones share the connections.
    template: Bucket,
    credentials: CredentialSource,
    /// Whether the store knows `If-None-Match`, as far as is known.
    conditional_put: AtomicBool,
    progress: Progress,
}

impl S3Store {
    /// Checks the configuration; connects to nothing. Fails with `Refused`
    /// where the endpoint is no URL or a bucket's name is none.
    pub fn open(config: &S3Config) -> Result<Self, StoreError> {
        // The caller decides about retries. Process-wide, which suits: this is
        // the only user of the library.
        s3::set_retries(0);
        let timeout = Duration::from_secs(config.request_timeout_seconds.max(1));
        let credentials = match &config.credentials {
            Some(pair) => CredentialSource::fixed(&pair.access_key_id, &pair.secret_access_key),
            None => CredentialSource::chain(),
        };
        Ok(Self {
            name: endpoint::name(config),
            bucket: config.primary_bucket.clone(),
            backup_bucket: config.backup_bucket.clone(),
            template: endpoint::template(config, timeout)?,
            credentials,
            conditional_put: AtomicBool::new(true),
            progress: Progress::new(config.log_every),
        })
    }

    /// The bucket of that name, with credentials that are good now.
    async fn open_bucket(&self, name: &str) -> Result<Bucket, StoreError> {
        names::check_bucket(name).map_err(|cause| self.refused(format!("{name:?}: {cause}")))?;
        let mut bucket = self.template.clone();
        name.clone_into(&mut bucket.name);
        if name.contains('.') {
            // As a host name it is not covered by AWS's certificate.
            bucket.set_path_style();
        }
        let credentials = self.credentials.current().await;
        bucket.set_credentials(credentials.map_err(|e| self.no_credentials(e))?);
        Ok(bucket)
    }

    /// Looks into a bucket. `anywhere`: whether another region will do, as for
    /// a backup, which is better far away.
    async fn check_bucket(&self, name: &str, anywhere: bool) -> Result<(), StoreError> {
        let bucket = self.open_bucket(name).await?;
        // Not HEAD: its answer has no body, and so no reason.
        match requests::list(&bucket, "", None, None, 1).await {
            Ok(_) => Ok(()),
            Err(failure) if anywhere && failure.is_elsewhere() => Ok(()),
            Err(failure) => Err(self
                .explain(failure, &bucket, "look into bucket", name)
                .await),
        }
    }

    async fn put_in(&self, bucket: &Bucket, key: &str, body: Bytes) -> Result<Put, StoreError> {
        if !self.conditional_put.load(Ordering::Relaxed) {
            return self.put_unconditionally(bucket, key, body).await;
        }
        let Err(failure) = requests::put(bucket, key, body.clone(), true).await else {
            return Ok(Put::Stored);
        };
        match (failure.status(), failure.code()) {
            (412, "PreconditionFailed") => Ok(Put::Exists),
            // Not S3's own: believing it could lose the object.
            (412, _) => Err(self.unavailable(format!("PUT {key}: 412 without S3's code"))),
            // Only S3's own code: a proxy's 501 says nothing about the store.
            (_, "NotImplemented") => {
                self.stop_conditional_put("the store answers NotImplemented");
                self.put_unconditionally(bucket, key, body).await
            }
            _ => Err(self.explain(failure, bucket, "PUT", key).await),
        }
    }

    /// For a store without conditional PUT: look, then put. Two writers can
    /// meet in between, but a key is of one record, so that both write the
    /// same one.
    async fn put_unconditionally(
        &self,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
    ) -> Result<Put, StoreError> {
        match self.head_in(bucket, key).await {
            Ok(_) => return Ok(Put::Exists),
            Err(StoreError::NotFound { .. }) => {}
            Err(e) => return Err(e),
        }
        match requests::put(bucket, key, body, false).await {
            Ok(()) => Ok(Put::Stored),
            Err(failure) => Err(self.explain(failure, bucket, "PUT", key).await),
        }
    }

    fn stop_conditional_put(&self, cause: &str) {
        if self.conditional_put.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                store = self.name,
                cause,
                "store has no conditional PUT (If-None-Match): each object is looked up before \
                 it is stored, and two writers of one key at the same moment are not told apart"
            );
        }
    }

    /// Stores the probe object on condition that it does not exist.
    async fn put_probe(&self, bucket: &Bucket) -> Result<(), Failure> {
        requests::put(bucket, PROBE_KEY, PROBE_BODY.into(), true).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        page: Option<&str>,
    ) -> Result<Page, StoreError> {
        let bucket = self.open_bucket(&self.bucket).await?;
        match requests::list(&bucket, prefix, delimiter, page, PAGE).await {
            Ok(mut page) => {
                page.objects.retain(|object| object.key != PROBE_KEY);
                Ok(page)
            }
            Err(failure) => Err(self.explain(failure, &bucket, "list", prefix).await),
        }
    }

    async fn head_in(&self, bucket: &Bucket, key: &str) -> Result<ObjectInfo, StoreError> {
        match requests::head(bucket, key).await {
            Ok(info) => Ok(info),
            Err(failure) => Err(self.explain(failure, bucket, "HEAD", key).await),
        }
    }

    async fn get_in(&self, bucket: &Bucket, at: &Location) -> Result<Vec<u8>, Failure> {
        match at.range.clone() {
            None => requests::get(bucket, &at.key).await,
            Some(range) if !range.is_empty() => requests::get_range(bucket, &at.key, range).await,
            Some(range) => {
                let size = requests::head(bucket, &at.key).await?.size;
                if range.start != range.end || size < range.end {
                    return Err(Failure::too_short(size, &range));
                }
                Ok(Vec::new())
            }
        }
    }

    /// Turns a failure into the trait's error. Expired credentials are renewed,
    /// so that the caller's retry goes out with new ones.
    async fn explain(
        &self,
        failure: Failure,
        bucket: &Bucket,
        doing: &str,
        key: &str,
    ) -> StoreError {
        if !failure.is_expired_token() {
            return failure.into_store_error(&self.name, doing, key);
        }
        if let Ok(used) = bucket.credentials().await {
            self.credentials.reject(&used);
        }
        match self.credentials.current().await {
            Ok(_) => self.unavailable(format!(
                "{doing} {key}: the credentials had expired and were renewed"
            )),
            Err(e) => self.no_credentials(e),
        }
    }

    fn no_credentials(&self, error: CredentialsError) -> StoreError {
        match error {
            CredentialsError::Refused(cause) => self.refused(cause),
            CredentialsError::Unavailable(cause) => self.unavailable(cause),
        }
    }

    fn refused(&self, cause: String) -> StoreError {
        StoreError::Refused {
            store: self.name.clone(),
            cause,
        }
    }

    fn unavailable(&self, cause: String) -> StoreError {
        StoreError::Unavailable {
            store: self.name.clone(),
            cause,
        }
    }

    /// Checks a key from a catalogue or a listing.
    fn check_known_key(&self, key: &str) -> Result<(), StoreError> {
        names::check_known_key(key).map_err(|cause| StoreError::Unreadable {
            store: self.name.clone(),
            key: key.to_owned(),
            cause: cause.to_owned(),
        })
    }
}

#[async_trait]
impl Store for S3Store {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self) -> Result<(), StoreError> {
        let both = async {
            self.check_bucket(&self.bucket, false).await?;
            match &self.backup_bucket {
                Some(backup) => self.check_bucket(backup, true).await,
                None => Ok(()),
            }
        };
        tokio::time::timeout(CHECK_TIMEOUT, both)
            .await
            .unwrap_or_else(|_| {
                Err(self.unavailable(format!("no answer in {} s", CHECK_TIMEOUT.as_secs())))
            })
    }

    /// The first PUT is refused where the probe object exists; else the second
    /// one must be. A store that takes both ignores the condition.
    async fn probe_conditional_put(&self) -> Result<bool, StoreError> {
        let bucket = self.open_bucket(&self.bucket).await?;
        for _ in 0..2 {
            let Err(failure) = self.put_probe(&bucket).await else {
                continue;
            };
            match (failure.status(), failure.code()) {
                (412, "PreconditionFailed") => return Ok(true),
                (_, "NotImplemented") => {
                    self.stop_conditional_put("the store answers NotImplemented");
                    return Ok(false);
                }
                _ => return Err(self.explain(failure, &bucket, "PUT", PROBE_KEY).await),
            }
        }
        self.stop_conditional_put("the store replaced an object in spite of If-None-Match");
        Ok(false)
    }

    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError> {
        names::check_new_key(key)
            .map_err(|cause| self.refused(format!("cannot store {key:?}: {cause}")))?;
        let bucket = self.open_bucket(&self.bucket).await?;
        let put = self.put_in(&bucket, key, body.into()).await?;
        if put == Put::Stored {
            self.progress.stored(&self.name, key);
        }
        Ok(put)
    }

    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        self.check_known_key(&at.key)?;
        let bucket = self.open_bucket(&at.bucket).await?;
        match self.get_in(&bucket, at).await {
            Ok(bytes) => Ok(bytes),
            Err(failure) => Err(self.explain(failure, &bucket, "GET", &at.key).await),
        }
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        self.check_known_key(key)?;
        let bucket = self.open_bucket(bucket).await?;
        self.head_in(&bucket, key).await
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.list_page(prefix, None, page).await
    }

    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.list_page(folder, Some("/"), page).await
    }

    async fn versions(&self, key: &str) -> Result<Vec<String>, StoreError> {
        self.check_known_key(key)?;
        let bucket = self.open_bucket(&self.bucket).await?;
        match requests::versions(&bucket, key).await {
            Ok(versions) => Ok(versions),
            // A store without versions.
            Err(failure) if failure.code() == "NotImplemented" => Ok(vec![]),
            Err(failure) => Err(self
                .explain(failure, &bucket, "list the versions of", key)
                .await),
        }
    }

    async fn get_version(&self, key: &str, version: &str) -> Result<Vec<u8>, StoreError> {
        self.check_known_key(key)?;
        let mut bucket = self.open_bucket(&self.bucket).await?;
        bucket.add_query("versionId", version);
        match requests::get(&bucket, key).await {
            Ok(bytes) => Ok(bytes),
            Err(failure) => Err(self
                .explain(failure, &bucket, "GET a version of", key)
                .await),
        }
    }
}
