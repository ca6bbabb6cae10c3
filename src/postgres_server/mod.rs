//! A PostgreSQL server as every room uses it: TLS and time-outs of a
//! connection, a pool of sessions with prepared statements, migrations, what an error means.
//!
//! Calls block and must not be made on a thread of an async runtime.

mod connect;
mod driver;
mod error;
mod migrate;
mod pool;
mod session;
mod tls;
mod words;

pub use connect::Connector;
pub use error::Fault;
pub use migrate::Migrations;
pub use pool::Sessions;
pub use session::{LONG, Params, Question, Session, Transaction};
pub use words::Words;
