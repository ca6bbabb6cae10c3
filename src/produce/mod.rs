//! Entities to Kafka.
//!
//! ```text
//! EntitySource ─► page ─► container ─► transaction ─► position
//!                           │ what does not fit
//!                           └─► quarantine
//! ```
//! The order of effects never changes: what cannot be sent is in the quarantine
//! before the transaction that goes past it, the transaction is committed before
//! the position is written. Every message says in its headers where its type
//! stands with it, so that whoever goes on after a crash finds on the topic what
//! the table misses; and a transactional id for each type keeps whoever worked
//! on it before from committing anything more.
//!
//! Its calls block and must not be made on a thread of an async runtime.

mod container;
mod context;
mod control;
mod encode;
mod error;
mod json;
mod late;
mod message;
mod misfit;
mod once;
mod plan;
pub mod positions;
mod producer;
mod publish;
mod rounds;
mod schema;
mod status;
mod time;
mod work;

pub use container::{Codec, ContainerWriter, Limits};
pub use control::{Control, Refused};
pub use encode::{Encoded, Encoder};
pub use error::PublishError;
pub use misfit::Misfit;
pub use once::{Outcome, Pass};
pub use producer::Producer;
pub use schema::SchemaError;
pub use status::{Changeset, Failure, Snapshot, State, TypeStatus};
