//! Entities to Kafka.

mod container;
mod encode;
mod json;
mod misfit;
mod plan;
pub mod positions;
mod schema;

pub use container::{Codec, ContainerWriter, Limits};
pub use encode::{Encoded, Encoder};
pub use misfit::Misfit;
pub use schema::SchemaError;
