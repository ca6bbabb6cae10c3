//! What events under a schema registry promise: what is produced is what others
//! read, what others write is shown, and no event is lost on the way.
//!
//! Kafka and the registry are those that the environment names
//! (`scripts/services` brings them up).

#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "most of it is for those who archive"
)]
mod support;

mod archived;
mod arguments;
mod avro;
mod away;
mod documented;
mod entities;
mod evolution;
mod formats;
mod groups;
mod others;
mod refusals;
mod scene;
mod secured;
