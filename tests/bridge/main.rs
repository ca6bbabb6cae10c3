//! What the bridge promises: to an agent by webhook, to agents with the plugin,
//! and to whoever puts records on Kafka for them.
//!
//! Kafka and the agent are those that the environment names
//! (`scripts/services` brings them up).

#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "most of it is for those who archive"
)]
mod support;

#[path = "../http/http.rs"]
#[allow(dead_code, reason = "more than is asked here")]
mod http;

mod agent;
mod agents;
mod config_check;
mod dead_letters;
mod didcomm;
mod hardships;
mod key;
mod options;
mod plugin;
mod receiver;
mod records;
mod scene;
mod secured;
mod topic;
mod webhooks;
