//! HTTP: the archive API, the producer's control, the bridge's listener, health
//! and metrics.
//!
//! ```text
//! server (connections, time-outs, gzip, access log) ─► Service ─► api, control, bridge
//!                                                      auth: who asks
//! ```
//! Nothing a client does holds a thread: a slow one costs a task and a little
//! memory, and is given up after a while. What is read of the catalogue and of
//! the store for all clients together is bounded, so that whoever else works
//! with them goes on.

mod access_log;
pub mod api;
mod auth;
mod body;
pub mod bridge;
mod compress;
mod conditional;
pub mod control;
pub mod health;
pub mod metrics;
mod paced;
pub mod probes;
mod problem;
mod query;
mod request;
mod respond;
mod server;
mod site;

pub use body::Body;
pub use problem::Problem;
pub use request::Request;
pub use server::{Listener, Service};
