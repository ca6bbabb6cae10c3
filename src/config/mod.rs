//! Configuration: `housekeeping.toml`, the environment, secrets, the veto list.
//!
//! Raw text becomes one checked value per stanza kind here, and nowhere else.
//! Whatever is wrong is a [`ConfigError`]: one line, exit code 2.

mod archive;
mod database;
mod hop;
mod log;
mod store;
mod topics;

pub use archive::ArchiveConfig;
pub use database::{DatabaseConfig, PostgresConfig, SqliteConfig, SslMode};
pub use hop::{GroupName, HopAuth, HopConfig, HopKind, Mechanism, Protocol};
pub use log::{LogConfig, LogFormat};
pub use store::{DirectoryConfig, S3Config, S3Credentials, StoreConfig};
pub use topics::{TopicGlobs, TopicSelection};
