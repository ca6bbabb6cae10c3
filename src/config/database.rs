//! Stanzas with `db-` keys: where the catalogue is.

use std::path::PathBuf;

/// Chosen with `-D`. `db-type`: `sqlite`, or `postgres` (`sql` means the same).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseConfig {
    Sqlite(SqliteConfig),
    Postgres(PostgresConfig),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteConfig {
    /// `db-path`; its directory is made when missing.
    pub path: PathBuf,
}

#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    pub host: String,
    /// `db-port`. Default 5432.
    pub port: u16,
    pub name: String,
    pub username: String,
    /// From `DB_PASSWORD` only.
    pub password: Option<String>,
    /// `db-sslmode`. Default `prefer`.
    pub sslmode: SslMode,
    /// `db-sslrootcert`: PEM file of the CA; the system's where absent.
    pub sslrootcert: Option<PathBuf>,
    /// `db-pool-size`: connections at most. Default 8.
    pub pool_size: u32,
}

/// libpq's words, with libpq's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}
