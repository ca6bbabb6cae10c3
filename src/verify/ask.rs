//! Questions to catalogue and store, repeated while they fail in passing.

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
        patiently(
            || self.store.head(&at.bucket, &at.key),
            StoreError::is_passing,
        )
        .await
    }

    pub(super) async fn get(&self, at: &Location) -> std::result::Result<Vec<u8>, StoreError> {
        patiently(|| self.store.get(at), StoreError::is_passing).await
    }
}
