//! Stanzas with `db-` keys: where the catalogue is.

use std::fmt;
use std::path::PathBuf;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::settings::Settings;
use super::value::Hidden;

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
    /// `db-request-timeout-seconds`: for one statement. Default 60.
    pub request_timeout_seconds: u64,
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

/// `db-type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DatabaseType {
    Sqlite,
    Postgres,
    Aws,
}

const TYPE: Key = Key::choice::<DatabaseType>("db-type", "where the catalogue is");
const PATH: Key = Key::path("db-path", "SQLite's file");
const HOST: Key = Key::text(
    "db-host",
    "PostgreSQL's host, or the directory of its socket",
);
const PORT: Key = Key::number("db-port", 1, 65_535, "PostgreSQL's port").default("5432");
const NAME: Key = Key::text("db-name", "name of the database");
const USERNAME: Key = Key::text("db-username", "name of the role");
const PASSWORD: Key = Key::secret("db-password", "password of the role");
const SSLMODE: Key =
    Key::choice::<SslMode>("db-sslmode", "how the connection is encrypted").default("prefer");
const SSLROOTCERT: Key = Key::path(
    "db-sslrootcert",
    "PEM file of the CA; the system's where absent",
);
const POOL_SIZE: Key = Key::number("db-pool-size", 1, 1000, "most connections").default("8");
const REQUEST_TIMEOUT: Key = Key::number(
    "db-request-timeout-seconds",
    1,
    3600,
    "seconds that one statement may take",
)
.default("60");

/// What to do instead of fetching a secret from AWS.
const DB_SECRET: &str =
    "put the secret into DB_PASSWORD and write db-host, db-name and db-username into the stanza";

pub(super) const KEYS: &[&Key] = &[
    &TYPE,
    &PATH,
    &HOST,
    &PORT,
    &NAME,
    &USERNAME,
    &PASSWORD,
    &SSLMODE,
    &SSLROOTCERT,
    &POOL_SIZE,
    &REQUEST_TIMEOUT,
    &Key::text("db-secret-name", "AWS secret with the password").not_built(DB_SECRET),
    &Key::text("db-aws-region", "AWS region of db-secret-name").not_built(DB_SECRET),
];

impl DatabaseConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        match settings.require(&TYPE)? {
            DatabaseType::Sqlite => Ok(DatabaseConfig::Sqlite(SqliteConfig {
                path: settings.require(&PATH)?,
            })),
            DatabaseType::Postgres => PostgresConfig::read(settings).map(DatabaseConfig::Postgres),
            DatabaseType::Aws => Err(settings.not_built(
                &TYPE,
                "aws",
                "write db-type = \"postgres\" with db-host, db-name and db-username, \
                 and put the secret into DB_PASSWORD",
            )),
        }
    }
}

impl PostgresConfig {
    fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let sslmode = settings.require(&SSLMODE)?;
        let sslrootcert = settings.existing_file(&SSLROOTCERT)?;
        if sslrootcert.is_some() && sslmode == SslMode::Disable {
            let why = "db-sslmode is disable, so it would not be used: change one of the two";
            return Err(settings.refused(&SSLROOTCERT, why));
        }
        Ok(PostgresConfig {
            host: host(settings)?,
            port: settings.require(&PORT)?,
            name: settings.require(&NAME)?,
            username: settings.require(&USERNAME)?,
            password: settings.optional(&PASSWORD)?,
            sslmode,
            sslrootcert,
            pool_size: settings.require(&POOL_SIZE)?,
            request_timeout_seconds: settings.require(&REQUEST_TIMEOUT)?,
        })
    }
}

/// A URL as host would end in a name lookup that fails, and may carry a
/// password into a log line.
fn host(settings: &Settings) -> Result<String, ConfigError> {
    let host: String = settings.require(&HOST)?;
    if host.contains("://") || host.contains('@') || host.contains(char::is_whitespace) {
        let why = "it must be a host name or address alone: \
                   put port, database and user into db-port, db-name and db-username";
        return Err(settings.refused(&HOST, why));
    }
    Ok(host)
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PostgresConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("name", &self.name)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| Hidden))
            .field("sslmode", &self.sslmode)
            .field("sslrootcert", &self.sslrootcert)
            .field("pool_size", &self.pool_size)
            .field("request_timeout_seconds", &self.request_timeout_seconds)
            .finish()
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

impl Word for SslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
}
