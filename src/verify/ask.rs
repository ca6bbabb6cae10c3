//! Questions to catalogue and store, repeated while they fail in passing.

use tracing::debug;

use super::{Result, Verifier, VerifyError};
use crate::catalogue::{self, Catalogue, CatalogueError};
use crate::retry::patiently;
use crate::store::{Location, ObjectInfo, StoreError};

impl VerifyError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Catalogue(error) => error.is_passing(),
            // Kafka's client has tried for long enough by itself.
            Self::Kafka(_) | Self::Broken(_) | Self::Unheard => false,
        }
    }
}

impl Verifier {
    /// As [`catalogue::ask`].
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Catalogue) -> std::result::Result<T, CatalogueError>
        + Send
        + Sync
        + 'static,
    ) -> Result<T> {
        catalogue::ask(&self.catalogue, question, VerifyError::is_passing).await
    }

    pub(super) async fn head(&self, at: &Location) -> std::result::Result<ObjectInfo, StoreError> {
        self.health.head(&*self.store, &at.bucket, &at.key).await
    }

    pub(super) async fn get(&self, at: &Location) -> std::result::Result<Vec<u8>, StoreError> {
        self.health.get(&*self.store, at).await
    }

    /// The noncurrent versions of an object; none where they cannot be listed.
    pub(super) async fn versions(&self, key: &str) -> Result<Vec<String>> {
        let listed = patiently(|| self.store.versions(key), StoreError::is_passing).await;
        match listed {
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => {
                debug!(key, %error, "versions cannot be listed");
                Ok(vec![])
            }
            Ok(versions) => Ok(versions),
        }
    }

    /// The bytes of a version, if it can be read.
    pub(super) async fn version(&self, key: &str, version: &str) -> Result<Option<Vec<u8>>> {
        let get = || self.store.get_version(key, version);
        match patiently(get, StoreError::is_passing).await {
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => {
                debug!(key, version, %error, "a version cannot be read");
                Ok(None)
            }
            Ok(bytes) => Ok(Some(bytes)),
        }
    }
}
