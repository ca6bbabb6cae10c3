//! Avro: JSON to its binary encoding and back, by schemas as they are
//! registered, and the containers that others write.
//!
//! Encoding and decoding are each other's inverse, and are written here because
//! payloads are plain JSON, which the Avro library does not take, and because
//! bytes of unknown origin must neither exhaust the stack nor the memory. What
//! data of one schema are to a reader of another is the library's to say.

mod container;
mod decode;
mod encode;
mod evolve;
mod json;
mod misfit;
mod plan;
mod schema;

pub use container::{is_container, read_container};
pub use decode::{Decoder, Undecodable};
pub(crate) use encode::write_long;
pub use encode::{Encoded, Encoder};
pub use evolve::Evolution;
pub use misfit::Misfit;
pub use schema::SchemaError;
