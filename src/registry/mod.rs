//! A schema registry: schemas by their ids, and messages in its wire format.
//!
//! The protocol is Confluent's, which other registries speak too. The
//! converter's own encoder and decoder are not used: they keep every schema in
//! memory for ever, remember failures, and take neither plain JSON nor bounds.

mod blocking;
mod client;
mod decode;
mod error;
pub mod wire;

pub use blocking::BlockingRegistry;
pub use client::{Language, Registered, Registry};
pub use decode::{Decoded, NotDecoded, Reason, json_value};
pub use error::RegistryError;
