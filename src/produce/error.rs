//! Why a type could not be published, and what that means for it.

use super::positions::PositionsError;
use crate::avro::SchemaError;
use crate::entities::{SourceError, TypeId};
use crate::kafka::{KafkaFailure, TransactionFailure};
use crate::registry::RegistryError;

/// Why entities of a type are not on Kafka. None of them is lost by it: they
/// are published when the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Positions(PositionsError),
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Another instance publishes the type now.
    #[error("{0}")]
    Lost(String),
    #[error(
        "topic {topic} is already that of schema {by}: give one of the two schemas another name, nothing of this one is published"
    )]
    TopicTaken { topic: String, by: TypeId },
    #[error("{0:?} is no topic's name for Kafka: nothing of the type is published")]
    TopicName(String),
    #[error("a container could not be made: {0}")]
    Container(#[from] std::io::Error),
}

impl PublishError {
    /// Whether it was Kafka that failed.
    pub fn is_kafkas(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }

    /// Whether the type is another instance's now.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl From<PositionsError> for PublishError {
    fn from(error: PositionsError) -> Self {
        match error {
            PositionsError::Superseded { .. } => Self::Lost(error.to_string()),
            error => Self::Positions(error),
        }
    }
}

impl From<TransactionFailure> for PublishError {
    fn from(failure: TransactionFailure) -> Self {
        match failure {
            TransactionFailure::Fenced { .. } => Self::Lost(failure.to_string()),
            TransactionFailure::TooLarge { cluster } => Self::Kafka(KafkaFailure::Refused {
                cluster,
                cause: "a message is larger than the topic takes".to_owned(),
            }),
            TransactionFailure::Unknown(failure) => Self::Kafka(failure),
        }
    }
}
