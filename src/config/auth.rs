//! How the Kafka client shows who it is: the environment's credential and
//! hop-client's auth file.

use std::fmt;
use std::path::{Path, PathBuf};

use super::auth_file::{AuthEntry, AuthFile};
use super::error::{ConfigError, Problem};
use super::from_value::Word;
use super::hop::{
    LOCAL_AUTH, PASSWORD, SASL_MECHANISM, SECURITY_PROTOCOL, SSL_CA_LOCATION, USERNAME,
};
use super::host::Host;
use super::settings::Settings;
use super::value::Hidden;

/// How the client shows who it is. From `hop-local-auth` (hop-client's file,
/// the `[[auth]]` table whose hostname is the first of `hop-hostname`, else the
/// one without a hostname), overridden by `HOP_USERNAME` and `HOP_PASSWORD`.
///
/// An entry for another host is never used: its password is not that host's
/// to see. With both variables set the file may be absent, as it is in a
/// container. `hop-security-protocol`, `hop-sasl-mechanism` and
/// `hop-ssl-ca-location` go before what the file says.
#[derive(Clone, PartialEq, Eq)]
pub struct HopAuth {
    pub username: String,
    pub password: String,
    pub protocol: Protocol,
    pub mechanism: Mechanism,
    /// PEM file of the CA; librdkafka looks for the system's where absent.
    pub ssl_ca_location: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    SaslPlaintext,
    SaslSsl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

/// `hop-security-protocol`: Kafka's `security.protocol`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecurityProtocol {
    Plaintext,
    Sasl(Protocol),
    Ssl,
}

impl HopAuth {
    /// `None` is PLAINTEXT. For a stanza that is not chosen nothing outside
    /// the configuration is read, and the answer is `None`.
    pub(super) fn read(settings: &Settings, host: &Host) -> Result<Option<Self>, ConfigError> {
        let asked = match settings.optional(&SECURITY_PROTOCOL)? {
            Some(SecurityProtocol::Plaintext) => return Ok(None),
            Some(SecurityProtocol::Ssl) => return Err(ssl_refused(settings)),
            Some(SecurityProtocol::Sasl(protocol)) => Some(protocol),
            None => None,
        };
        if !settings.chosen {
            return Ok(None);
        }
        let credential = credential(settings)?;
        let entry = match settings.optional::<PathBuf>(&LOCAL_AUTH)? {
            Some(path) => entry(&path, host, credential.is_some())?,
            None => None,
        };
        let Some((username, password)) =
            credential.or_else(|| entry.as_ref().map(AuthEntry::credential))
        else {
            return asked.map_or(Ok(None), |protocol| Err(no_credential(settings, protocol)));
        };
        let from_entry = entry.as_ref();
        Ok(Some(HopAuth {
            username,
            password,
            protocol: asked
                .or(from_entry.map(|entry| entry.protocol))
                .unwrap_or(Protocol::SaslSsl),
            mechanism: settings
                .optional(&SASL_MECHANISM)?
                .or(from_entry.map(|entry| entry.mechanism))
                .unwrap_or(Mechanism::ScramSha512),
            ssl_ca_location: settings
                .existing_file(&SSL_CA_LOCATION)?
                .or_else(|| from_entry.and_then(|entry| entry.ssl_ca_location.clone())),
        }))
    }
}

/// `HOP_USERNAME` and `HOP_PASSWORD`, both or neither.
fn credential(settings: &Settings) -> Result<Option<(String, String)>, ConfigError> {
    match (settings.optional(&USERNAME)?, settings.optional(&PASSWORD)?) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::half("HOP_USERNAME", "HOP_PASSWORD")),
        (None, Some(_)) => Err(Problem::half("HOP_PASSWORD", "HOP_USERNAME")),
    }
}

/// The file's entry for the host. Where a credential is there already, a file
/// that is missing or has no entry for the host is no error.
fn entry(path: &Path, host: &Host, has_credential: bool) -> Result<Option<AuthEntry>, ConfigError> {
    if has_credential && !path.exists() {
        return Ok(None);
    }
    let file = AuthFile::read(path)?;
    if has_credential && !file.knows(host) {
        return Ok(None);
    }
    file.entry(host).map(Some)
}

fn ssl_refused(settings: &Settings) -> ConfigError {
    let why = "SSL without SASL is not among this program's ways to show who it is: \
               take SASL_SSL, or put security.protocol = \"ssl\" and the ssl.* properties into hop-properties";
    settings.refused(&SECURITY_PROTOCOL, why)
}

fn no_credential(settings: &Settings, protocol: Protocol) -> ConfigError {
    Problem::NoCredential {
        stanza: settings.stanza.clone(),
        protocol: match protocol {
            Protocol::SaslPlaintext => "SASL_PLAINTEXT",
            Protocol::SaslSsl => "SASL_SSL",
        },
    }
    .into()
}

impl fmt::Debug for HopAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HopAuth")
            .field("username", &self.username)
            .field("password", &Hidden)
            .field("protocol", &self.protocol)
            .field("mechanism", &self.mechanism)
            .field("ssl_ca_location", &self.ssl_ca_location)
            .finish()
    }
}

impl Word for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("SASL_SSL", Protocol::SaslSsl),
        ("SASL_PLAINTEXT", Protocol::SaslPlaintext),
    ];
}

impl Word for Mechanism {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("SCRAM-SHA-512", Mechanism::ScramSha512),
        ("SCRAM-SHA-256", Mechanism::ScramSha256),
        ("PLAIN", Mechanism::Plain),
    ];
}

impl Word for SecurityProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("PLAINTEXT", SecurityProtocol::Plaintext),
        (
            "SASL_PLAINTEXT",
            SecurityProtocol::Sasl(Protocol::SaslPlaintext),
        ),
        ("SASL_SSL", SecurityProtocol::Sasl(Protocol::SaslSsl)),
        ("SSL", SecurityProtocol::Ssl),
    ];
}
