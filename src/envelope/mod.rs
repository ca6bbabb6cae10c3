//! Record ↔ stored document: identity, the UUID rule, the key rule,
//! annotations, BSON.
//!
//! A document has three parts, in this order: `message` (the value),
//! `metadata` (everything else that the broker gave) and `annotations` (what
//! this archive adds). Python's `archive-core` reads what is written here, and
//! what it wrote is read here; its documents lack partition, offset, timestamp
//! type and digest.

mod annotations;
mod decode;
mod encode;
mod identity;
mod key;
mod media_type;

pub use annotations::{Annotations, annotate};
pub use decode::{DecodeError, Document, decode};
pub use encode::{encode, encode_document, encoded_bytes};
pub use identity::{
    MAX_UUID_ATTEMPTS, client_uuid, content_digest, delivery, derived_uuid, wanted_uuid,
};
pub use key::{key_beside, object_key};
