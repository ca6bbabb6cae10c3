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
mod error;
mod late;
mod message;
mod once;
pub mod positions;
mod producer;
mod publish;
mod rounds;
mod status;
mod time;
mod work;

pub use crate::avro::{Encoded, Encoder, Misfit, SchemaError};
pub use container::{Codec, ContainerWriter, Limits};
pub use control::{Control, Refused};
pub use error::PublishError;
pub use once::{Outcome, Pass};
pub use producer::Producer;
pub use status::{Changeset, Failure, Snapshot, State, TypeStatus};
