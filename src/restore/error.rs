//! Why a restore ended before its end.

use crate::catalogue::CatalogueError;
use crate::kafka::{KafkaFailure, TransactionFailure};
use crate::store::StoreError;

/// What was committed before stays, and the same restore goes on after it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    #[error(transparent)]
    Transaction(#[from] TransactionFailure),
    /// Something about the target does not allow it. Nothing was written.
    #[error("{0}")]
    Refused(String),
    #[error("a piece of work ended unexpectedly: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl RestoreError {
    /// Whether the same may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Catalogue(error) => error.is_passing(),
            Self::Kafka(error) | Self::Transaction(TransactionFailure::Unknown(error)) => {
                matches!(error, KafkaFailure::Unavailable { .. })
            }
            Self::Transaction(_) | Self::Refused(_) | Self::Broken(_) => false,
        }
    }
}
