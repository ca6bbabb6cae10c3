//! What `run` promises, on the embedded defaults and on the real Kafka,
//! PostgreSQL and S3 that the environment names (`scripts/services` brings them
//! up). One executable for all of it: each would link the whole program again.

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
mod support;

mod access;
mod bad_input;
mod bounds;
mod chosen_uuids;
mod crash;
mod crash_points;
mod faults;
mod forged_crcs;
#[path = "../http/http.rs"]
#[allow(dead_code, reason = "most of it is for the archive API")]
mod http;
mod kafka_faults;
mod known_data;
mod late_rows;
mod log_shapes;
mod many_headers;
mod memory;
mod newcomer;
mod open_transactions;
mod power_loss;
mod python_readers;
mod readme;
mod real_clients;
mod recreated_topics;
mod retention;
mod stopping;
mod stuck_partitions;
mod topics;
mod truncation;
mod two_workers;
mod unreadable_rows;
