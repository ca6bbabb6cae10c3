//! Questions from async code.

use std::sync::Arc;

use tokio::task::{JoinError, spawn_blocking};

use super::{Catalogue, CatalogueError};
use crate::retry::patiently;

/// Asks the catalogue, whose calls block, from a thread where they may; again
/// while its failure `is_passing`, as [`patiently`] does. For work that ends when
/// it cannot go on.
pub async fn ask<T, E>(
    catalogue: &Arc<dyn Catalogue>,
    question: impl Fn(&dyn Catalogue) -> Result<T, CatalogueError> + Send + Sync + 'static,
    is_passing: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<CatalogueError> + From<JoinError>,
{
    let question = Arc::new(question);
    let ask = || {
        let (question, catalogue) = (Arc::clone(&question), Arc::clone(catalogue));
        async move { Ok(spawn_blocking(move || question(&*catalogue)).await??) }
    };
    patiently(ask, is_passing).await
}
