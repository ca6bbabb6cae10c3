//! What producing entities promises: containers that Avro's readers read, a
//! position that is never lost, and every entity once on Kafka.
//!
//! Kafka and PostgreSQL are those that the environment names
//! (`scripts/services` brings them up).

#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "most of it is for those who archive"
)]
mod support;

mod avro;
mod avro_readers;
mod away;
mod controlled;
#[path = "../http/http.rs"]
#[allow(dead_code, reason = "most of it is for the archive API")]
mod http;
mod orders;
mod positions;
mod publishing;
mod reading;
mod running;
mod scene;
mod together;
