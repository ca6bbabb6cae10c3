//! Stanzas with `registry-` keys: which schema registry.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, Problem};
use super::key::Key;
use super::settings::Settings;
use super::value::Hidden;

/// Chosen with `-R`. Without it there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// The stanza's name.
    pub stanza: String,
    /// `registry-url`, one or several with commas, tried in their order: what
    /// stands before `/subjects` and `/schemas`, without a slash at its end.
    pub urls: Vec<String>,
    /// `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`.
    pub credential: Option<RegistryCredential>,
    /// `registry-ssl-ca-location`: PEM file of the CA, beside the system's.
    pub ssl_ca_location: Option<PathBuf>,
    /// `registry-request-timeout-seconds`. Default 10 s.
    pub request_timeout: Duration,
}

/// For HTTP's basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredential {
    pub username: String,
    pub password: String,
}

const URL: Key = Key::text(
    "registry-url",
    "the registry's URL, or several with commas, tried in turn",
);
const USERNAME: Key = Key::secret("registry-username", "user of the registry");
const PASSWORD: Key = Key::secret("registry-password", "password for the registry");
const SSL_CA_LOCATION: Key = Key::path(
    "registry-ssl-ca-location",
    "PEM file of the CA, beside the system's",
);
const REQUEST_TIMEOUT: Key = Key::number(
    "registry-request-timeout-seconds",
    1,
    3600,
    "seconds that one request may take",
)
.default("10");

pub(super) const KEYS: &[&Key] = &[
    &URL,
    &USERNAME,
    &PASSWORD,
    &SSL_CA_LOCATION,
    &REQUEST_TIMEOUT,
];

impl RegistryConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let text: String = settings.require(&URL)?;
        let urls = text.split(',').map(|part| url(part.trim()));
        let urls = urls
            .collect::<Result<_, _>>()
            .map_err(|why| settings.refused(&URL, why))?;
        Ok(RegistryConfig {
            stanza: settings.stanza.clone(),
            urls,
            credential: credential(settings)?,
            ssl_ca_location: settings.existing_file(&SSL_CA_LOCATION)?,
            request_timeout: Duration::from_secs(settings.require(&REQUEST_TIMEOUT)?),
        })
    }
}

/// Messages never repeat a URL with an `@`: a password may stand before it.
fn url(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(
            "a URL has no user in it: put user and password into REGISTRY_USERNAME and REGISTRY_PASSWORD"
                .to_owned(),
        );
    }
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '?' | '#');
    match host {
        Some(host) if !host.trim_matches('/').is_empty() && text.chars().all(is_plain) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "{text:?} is not a registry's URL: write it like http://127.0.0.1:8081 or https://registry.example.org/apis/ccompat/v7"
        )),
    }
}

/// Both or neither.
fn credential(settings: &Settings) -> Result<Option<RegistryCredential>, ConfigError> {
    let half = |set, missing| Err(Problem::half(set, missing));
    match (settings.optional(&USERNAME)?, settings.optional(&PASSWORD)?) {
        (Some(username), Some(password)) => Ok(Some(RegistryCredential { username, password })),
        (None, None) => Ok(None),
        (Some(_), None) => half("REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
        (None, Some(_)) => half("REGISTRY_PASSWORD", "REGISTRY_USERNAME"),
    }
}

impl fmt::Debug for RegistryCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RegistryCredential")
            .field("username", &self.username)
            .field("password", &Hidden)
            .finish()
    }
}
