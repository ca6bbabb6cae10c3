//! What batches are archived with.

use std::sync::Arc;

use super::failure::{ArchiveError, Outages};
use super::limit::PutLimit;
use super::progress::Progress;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::config::TopicSelection;
use crate::signing::SigningKeys;
use crate::store::{Health, Store};

/// Shared by all batches.
pub(super) struct Workshop {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    pub topics: TopicSelection,
    /// `None`: nothing is signed.
    pub signing: Option<SigningKeys>,
    pub puts: PutLimit,
    pub progress: Arc<Progress>,
    pub outages: Outages,
    /// What tells a failure of the store from one of an object.
    pub health: Health,
}

/// Asks the catalogue, whose calls block.
pub(super) async fn ask<T: Send + 'static>(
    workshop: &Arc<Workshop>,
    question: impl FnOnce(&dyn Catalogue) -> Result<T, CatalogueError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let catalogue = workshop.catalogue.clone();
    let answer = tokio::task::spawn_blocking(move || question(&*catalogue))
        .await
        .map_err(|error| ArchiveError::Broken {
            part: "catalogue call",
            cause: error.to_string(),
        })?;
    workshop
        .outages
        .noted("catalogue", answer.map_err(ArchiveError::from))
}
