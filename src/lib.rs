//! `archive_ingest`: everything on a Kafka cluster, binary-exact, into objects
//! with a catalogue.
//!
//! # The way of a record
//!
//! ```text
//! Kafka ─► reader ─► batch ─► decide ─► claim ─► PUT object ─► add row ─► commit offset
//!          (thread)           (catalogue)        (store)       (catalogue)  (low watermark)
//! ```
//!
//! The order of effects never changes: a UUID is claimed before an object is
//! written under it, the object is durable before its row, the row before the
//! offset. Every step may be repeated, and may be done by two workers at once,
//! without harm; so after a crash at any point the same records are simply read
//! again.
//!
//! # The way of an entity
//!
//! ```text
//! kernel ─► page below the bound ─► Avro containers ─► transaction ─► position
//!                                     └─► quarantine
//! ```
//!
//! What cannot be sent is set aside first, then the transaction is committed,
//! then the position is written; messages say in their headers where their type
//! stands, so that after a crash the topic itself tells what the table misses.
//!
//! # The rooms
//!
//! From the bottom up; a room uses only rooms below it (a test reads the `use`
//! lines and holds this).
//!
//! - [`record`], [`shutdown`], [`durable`], [`database`], [`memory`],
//!   [`open_files`]: a Kafka record with nothing lost; the signal to end; folders
//!   that survive a power cut; what an error of a database means; what the process
//!   may take of the system. They know nobody.
//! - [`config`]: `housekeeping.toml`, environment and secrets, as checked
//!   values. Nothing else reads them.
//! - [`postgres_server`], [`sqlite_file`]: connections, time-outs and errors, for
//!   every room that keeps something in PostgreSQL or SQLite.
//! - [`avro`]: JSON to Avro and back, by schemas as they are registered.
//! - [`store`]: objects, in S3 or a directory. Never replaces, never deletes.
//! - [`envelope`]: record ↔ BSON; digest, UUID rule, key rule, annotations.
//! - [`catalogue`]: what the archive holds, in PostgreSQL or SQLite; whose a
//!   UUID is. It knows of the store only what a location is, and of an envelope
//!   its annotations.
//! - [`entities`]: what a database holds as entities: registered types, a bound
//!   below which nothing new appears, pages up to it. PostgreSQL or SQLite.
//! - [`kafka`]: the consumer that reads records whole, a producer that writes
//!   them whole, questions about offsets, the broker inside this process.
//! - [`registry`]: schemas of a schema registry, and messages in its format.
//! - [`archive`]: the archiver. One file decides what happens on failure.
//! - [`verify`]: catalogue against store, store against catalogue, Kafka against
//!   catalogue; mending; the catalogue from the store alone.
//! - [`restore`]: archived records back onto Kafka, each once; a note of how far
//!   it is goes with them in one transaction.
//! - [`http`]: the archive API, the producer's control, health and metrics.
//!   It shows and controls what the commands hand it, through small traits.
//! - [`bridge`]: an agent's events to Kafka, and records of Kafka to the agent.
//! - [`produce`]: entities to Kafka: Avro containers, transactions, positions
//!   and the quarantine. Blocks, on threads of its own.
//! - [`events`]: events under a schema registry, produced and consumed from a
//!   shell. Blocks.
//! - [`cli`], [`commands`]: what can be typed, and a file for each command that
//!   reads as its whole story. Exit codes are decided there and nowhere else.
//!
//! # Decisions that are not obvious
//!
//! - Kafka's reader is a thread, not a task: librdkafka's polls block, and its
//!   rebalance callbacks must be able to wait for records in flight.
//! - The catalogue's calls block and run on blocking threads; the store's are
//!   async. Batches overlap: a few are under way at once, each a task.
//! - A batch is worked on in rounds (`archive::process`): whatever failed or
//!   was not its turn is in the next round. There is no other retry loop.
//! - Every new record claims its UUID, also one whose UUID is derived: a client
//!   may choose the UUID that another record is about to derive.
//! - A claim is a row of its own table, and is spent by the transaction that
//!   adds the message's row; the table stays as small as what is in flight.
//! - HTTP is served by hyper, not by a server with a thread for each connection
//!   (tiny_http was looked at): there a client that sends its request slowly, or
//!   does not read its answer, holds a thread for as long as it likes, as the
//!   sockets have no time-outs, and an unwanted body is read to its end. Here it
//!   costs a task, every wait has an end, and a body is refused unread. It is in
//!   the tree anyhow: the S3 client stands on it.
//! - The listeners have threads, connections to the database and requests to
//!   the store of their own (`commands::listeners`): however much is asked of
//!   them, the archiver's work goes on.
//! - A message is sent in pieces that are read of the store while it is sent, and
//!   a list is one document whose length the catalogue knows beforehand: the
//!   memory of an answer does not grow with what it holds.
//! - One TLS stack, OpenSSL built in, for Kafka, PostgreSQL and S3.
//! - An offset is committed with the id of its topic, and only ever compared
//!   with that topic's log (`archive::incarnation`).
//! - Types of entities that are behind share one walk and one turn: a walk for
//!   each would pass the rows of all others. Each is published, fails and is
//!   paused by itself, and leaves where it would hold the others up.
//! - The end of a partition is an offset, which may be past its last record
//!   (control records, compaction): where nothing comes any more, a consumer
//!   that joins no group looks into what is left (`kafka::probe`).

// Bad input gets a message, never a panic. Tests may fail loudly.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod archive;
pub mod avro;
pub mod bridge;
pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod durable;
pub mod entities;
pub mod envelope;
pub mod events;
pub mod http;
pub mod kafka;
pub mod memory;
pub mod open_files;
pub mod postgres_server;
pub mod produce;
pub mod record;
pub mod registry;
pub mod restore;
pub mod retry;
pub mod shutdown;
pub mod signing;
pub mod sqlite_file;
pub mod store;
pub mod verify;
