//! How to reach a PostgreSQL server: the same for every stanza that names one.

use std::fmt;
use std::path::PathBuf;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::settings::Settings;
use super::value::Hidden;

#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    pub host: String,
    /// Default 5432.
    pub port: u16,
    pub name: String,
    pub username: String,
    /// From the environment only.
    pub password: Option<String>,
    /// Default: [`SslMode::default_for`] the host.
    pub sslmode: SslMode,
    /// PEM file of the CA; the system's where absent.
    pub sslrootcert: Option<PathBuf>,
    /// Connections at most.
    pub pool_size: u32,
    /// For one statement.
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

impl SslMode {
    /// `prefer` for a server on this machine, where nobody stands in between;
    /// `verify-full` for any other one.
    pub fn default_for(host: &str) -> Self {
        if is_this_machine(host) {
            Self::Prefer
        } else {
            Self::VerifyFull
        }
    }
}

/// Whether the host is a socket in the file system or a loopback address.
pub fn is_this_machine(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What a kind of stanza calls these values.
pub(super) struct PostgresKeys {
    pub host: Key,
    pub port: Key,
    pub name: Key,
    pub username: Key,
    pub password: Key,
    pub sslmode: Key,
    pub sslrootcert: Key,
    pub pool_size: Key,
    pub request_timeout: Key,
}

impl PostgresConfig {
    pub(super) fn read(settings: &Settings, keys: &PostgresKeys) -> Result<Self, ConfigError> {
        let sslmode = settings.optional(&keys.sslmode)?;
        let sslrootcert = settings.existing_file(&keys.sslrootcert)?;
        if sslrootcert.is_some() && sslmode == Some(SslMode::Disable) {
            let why = format!(
                "{} is disable, so it would not be used: change one of the two",
                keys.sslmode.name
            );
            return Err(settings.refused(&keys.sslrootcert, why));
        }
        let host = host(settings, keys)?;
        let sslmode = sslmode.unwrap_or_else(|| SslMode::default_for(&host));
        Ok(PostgresConfig {
            host,
            port: settings.require(&keys.port)?,
            name: settings.require(&keys.name)?,
            username: settings.require(&keys.username)?,
            password: settings.optional(&keys.password)?,
            sslmode,
            sslrootcert,
            pool_size: settings.require(&keys.pool_size)?,
            request_timeout_seconds: settings.require(&keys.request_timeout)?,
        })
    }
}

fn host(settings: &Settings, keys: &PostgresKeys) -> Result<String, ConfigError> {
    let host: String = settings.require(&keys.host)?;
    if !is_host_alone(&host) {
        let why = format!(
            "it must be a host name or address alone: put port, database and user into {}, {} and {}",
            keys.port.name, keys.name.name, keys.username.name
        );
        return Err(settings.refused(&keys.host, why));
    }
    Ok(host)
}

/// A URL as host would end in a name lookup that fails, and may carry a
/// password into a log line.
pub(super) fn is_host_alone(host: &str) -> bool {
    !(host.contains("://") || host.contains('@') || host.contains(char::is_whitespace))
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

impl Word for SslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
}
