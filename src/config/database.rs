//! Stanzas with `db-` keys: where the catalogue is.

use std::path::PathBuf;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::postgres::{PostgresConfig, PostgresKeys, SslMode};
use super::settings::Settings;

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

/// `db-type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DatabaseType {
    Sqlite,
    Postgres,
    Aws,
}

const TYPE: Key = Key::choice::<DatabaseType>("db-type", "where the catalogue is");
const PATH: Key = Key::path("db-path", "SQLite's file");

const SERVER: PostgresKeys = PostgresKeys {
    host: Key::text(
        "db-host",
        "PostgreSQL's host, or the directory of its socket",
    ),
    port: Key::number("db-port", 1, 65_535, "PostgreSQL's port").default("5432"),
    name: Key::text("db-name", "name of the database"),
    username: Key::text("db-username", "name of the role"),
    password: Key::secret("db-password", "password of the role"),
    sslmode: Key::choice::<SslMode>(
        "db-sslmode",
        "how the connection is encrypted; without it prefer on this machine, verify-full elsewhere",
    ),
    sslrootcert: Key::path(
        "db-sslrootcert",
        "PEM file of the CA; the system's where absent",
    ),
    pool_size: Key::number("db-pool-size", 1, 1000, "most connections").default("8"),
    request_timeout: Key::number(
        "db-request-timeout-seconds",
        1,
        3600,
        "seconds that one statement may take",
    )
    .default("60"),
};

/// What to do instead of fetching a secret from AWS.
const DB_SECRET: &str =
    "put the secret into DB_PASSWORD and write db-host, db-name and db-username into the stanza";

pub(super) const KEYS: &[&Key] = &[
    &TYPE,
    &PATH,
    &SERVER.host,
    &SERVER.port,
    &SERVER.name,
    &SERVER.username,
    &SERVER.password,
    &SERVER.sslmode,
    &SERVER.sslrootcert,
    &SERVER.pool_size,
    &SERVER.request_timeout,
    &Key::text("db-secret-name", "AWS secret with the password").not_built(DB_SECRET),
    &Key::text("db-aws-region", "AWS region of db-secret-name").not_built(DB_SECRET),
];

impl DatabaseConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        match settings.require(&TYPE)? {
            DatabaseType::Sqlite => Ok(DatabaseConfig::Sqlite(SqliteConfig {
                path: settings.require(&PATH)?,
            })),
            DatabaseType::Postgres => {
                PostgresConfig::read(settings, &SERVER).map(DatabaseConfig::Postgres)
            }
            DatabaseType::Aws => Err(settings.not_built(
                &TYPE,
                "aws",
                "write db-type = \"postgres\" with db-host, db-name and db-username, \
                 and put the secret into DB_PASSWORD",
            )),
        }
    }
}

impl Word for DatabaseType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sqlite", DatabaseType::Sqlite),
        ("postgres", DatabaseType::Postgres),
        ("sql", DatabaseType::Postgres),
        ("aws", DatabaseType::Aws),
        // A database that kept nothing, in existing files.
        ("mock", DatabaseType::Sqlite),
    ];
}
