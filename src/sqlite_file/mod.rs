//! A SQLite file as every room uses it: write-ahead log, one connection that
//! writes, as many that read as calls overlap, what an error means.

mod connections;
mod error;

pub use connections::Connections;
pub use error::Fault;
