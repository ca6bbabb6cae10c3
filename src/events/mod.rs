//! Events under a schema registry, produced and consumed from a shell.
//!
//! Producing: everything is encoded before Kafka is looked for, the schemas are
//! the registry's before the first event is sent. Consuming: an offset is
//! committed after its record is printed, never before.
//!
//! Its calls block and must not be made on a thread of an async runtime.

mod consume;
mod course;
mod produce;
mod shown;

pub use consume::{Asked, ConsumeError, Receiver, Start, consume};
pub use course::{CourseEvent, KEY_SCHEMA, VALUE_SCHEMA};
pub use produce::{Event, EventError, EventWriter, SchemaIds, send};
pub use shown::{EventReader, Format, Shown};
