//! `archive_ingest`: everything on a Kafka cluster, binary-exact, into objects
//! with a catalogue.

pub mod archive;
pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod config;
pub mod envelope;
pub mod kafka;
pub mod record;
pub mod shutdown;
pub mod store;
