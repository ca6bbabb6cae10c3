//! `archive_ingest`: everything on a Kafka cluster, binary-exact, into objects
//! with a catalogue.

pub mod catalogue;
pub mod commands;
pub mod config;
pub mod record;
pub mod store;
