//! Why the comparison ended before its end.

use crate::catalogue::CatalogueError;
use crate::kafka::KafkaFailure;
use crate::store::StoreError;

/// Says nothing about the archive: run it again.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    #[error("a question to the catalogue ended unexpectedly: {0}")]
    Broken(#[from] tokio::task::JoinError),
    /// Whoever took the defects has left.
    #[error("nobody takes the findings any more")]
    Unheard,
}
