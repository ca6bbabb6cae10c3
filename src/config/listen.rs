//! `[listen]`: the HTTP listeners. One stanza, every key optional.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::error::{ConfigError, Problem};
use super::host::Host;
use super::key::Key;
use super::settings::Settings;
use super::value::Hidden;

/// What listens, and for whom; `None` is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    pub api: Option<ApiConfig>,
    pub control: Option<ControlConfig>,
    /// Where a bridge listens, if this process runs one.
    pub bridge: Option<BridgeListenConfig>,
    /// `listen-hosts`: host names that requests may name beside IP addresses and
    /// localhost; `*` is any.
    pub hosts: Vec<String>,
}

/// The bridge's listener.
#[derive(Clone, PartialEq, Eq)]
pub struct BridgeListenConfig {
    pub address: ListenAddress,
    /// `BRIDGE_API_KEY`, which clients show as `x-api-key`. Without it the
    /// address is a loopback one, and the key is that of `key_file`.
    pub key: Option<String>,
    /// `bridge-key-file`: made with a new key where it is missing.
    pub key_file: PathBuf,
}

/// The archive API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    pub address: ListenAddress,
    /// From `API_USERNAME` and `API_PASSWORD`. Without it whoever reaches the
    /// address may read everything, so the address is a loopback one then.
    pub credential: Option<HttpCredential>,
    /// `api-uploads`: whether messages may be uploaded and retracted. Default
    /// false.
    pub uploads: bool,
    /// `api-upload-bytes`: the largest upload. Default 64 MiB.
    pub upload_bytes: usize,
    /// `api-cors-origins`: web pages of these origins may ask; `*` is any.
    pub cors_origins: Vec<String>,
}

/// The producer's control, with health and metrics of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    pub address: ListenAddress,
    /// From `PRODUCER_ADMIN_USER` and `PRODUCER_ADMIN_PW`. Without it the
    /// control endpoints refuse.
    pub credential: Option<HttpCredential>,
    /// Whether `/status` is indented, as Aether Producer's settings file may
    /// ask for.
    pub pretty_status: bool,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name, or an address; an IPv6 one without brackets.
    pub host: String,
    /// 0 is any free one.
    pub port: u16,
    /// Whether the configuration gave it, and not only the default.
    pub is_given: bool,
}

/// Name and password that an HTTP client shows.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCredential {
    pub username: String,
    pub password: String,
}

const API: Key =
    Key::text("api-listen", "HOST:PORT of the archive API, or off").default("127.0.0.1:8000");
const API_USERNAME: Key = Key::secret("api-username", "who may read what is not public");
const API_PASSWORD: Key = Key::secret("api-password", "password of api-username");
const API_UPLOADS: Key = Key::flag(
    "api-uploads",
    "whether messages may be uploaded and retracted",
)
.default("false");
const API_UPLOAD_BYTES: Key = Key::number(
    "api-upload-bytes",
    1,
    1 << 30,
    "largest upload in bytes, held in memory",
)
.default("67108864");
const API_CORS_ORIGINS: Key = Key::text(
    "api-cors-origins",
    "origins of web pages that may ask, with commas; * is any",
);
pub(super) const PRODUCER: Key = Key::text(
    "producer-listen",
    "HOST:PORT of the producer's control, health and metrics, or off",
)
.default("127.0.0.1:5005");
const ADMIN_USER: Key = Key::secret("producer-admin-user", "who may control the producer");
const ADMIN_PW: Key = Key::secret("producer-admin-pw", "password of producer-admin-user");

const BRIDGE: Key =
    Key::text("bridge-listen", "HOST:PORT of the bridge, or off").default("127.0.0.1:5010");
const BRIDGE_KEY_FILE: Key = Key::path(
    "bridge-key-file",
    "file of the bridge's key on a loopback address without BRIDGE_API_KEY; made when missing",
)
.default("archive/bridge-api-key");
const HOSTS: Key = Key::text(
    "listen-hosts",
    "host names that requests may name beside IP addresses and localhost, with commas; * is any",
);
const BRIDGE_KEY: Key = Key::secret("bridge-api-key", "what clients of the bridge must show");

pub(super) const KEYS: &[&Key] = &[
    &API,
    &API_USERNAME,
    &API_PASSWORD,
    &API_UPLOADS,
    &API_UPLOAD_BYTES,
    &API_CORS_ORIGINS,
    &PRODUCER,
    &ADMIN_USER,
    &ADMIN_PW,
    &BRIDGE,
    &BRIDGE_KEY,
    &BRIDGE_KEY_FILE,
    &HOSTS,
];

impl ListenConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(ListenConfig {
            api: ApiConfig::read(settings)?,
            control: ControlConfig::read(settings)?,
            bridge: BridgeListenConfig::read(settings)?,
            hosts: hosts(settings)?,
        })
    }
}

impl ApiConfig {
    fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let credential = credential(settings, &API_USERNAME, &API_PASSWORD)?;
        let cors_origins = cors_origins(settings)?;
        let Some(address) = address(settings, &API)? else {
            return Ok(None);
        };
        // A stanza that is only looked at is looked at without secrets.
        if credential.is_none() && settings.chosen && !address.is_loopback() {
            let why = "without a credential everything in the archive would be readable there: \
                       set API_USERNAME and API_PASSWORD, or listen on 127.0.0.1";
            return Err(settings.refused(&API, why));
        }
        Ok(Some(ApiConfig {
            address,
            credential,
            uploads: settings.require(&API_UPLOADS)?,
            upload_bytes: settings.require(&API_UPLOAD_BYTES)?,
            cors_origins,
        }))
    }
}

impl ControlConfig {
    fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let credential = credential(settings, &ADMIN_USER, &ADMIN_PW)?;
        let address = address(settings, &PRODUCER)?;
        Ok(address.map(|address| ControlConfig {
            address,
            credential,
            pretty_status: false,
        }))
    }
}

impl BridgeListenConfig {
    fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let key = settings.optional(&BRIDGE_KEY)?;
        let Some(address) = address(settings, &BRIDGE)? else {
            return Ok(None);
        };
        if key.is_none() && settings.chosen && !address.is_loopback() {
            let why = "without a key anybody could write to Kafka there: \
                       set BRIDGE_API_KEY, or listen on 127.0.0.1";
            return Err(settings.refused(&BRIDGE, why));
        }
        let key_file = settings.require(&BRIDGE_KEY_FILE)?;
        Ok(Some(BridgeListenConfig {
            address,
            key,
            key_file,
        }))
    }
}

/// Name and password, both or neither.
fn credential(
    settings: &Settings,
    name: &Key,
    password: &Key,
) -> Result<Option<HttpCredential>, ConfigError> {
    let variables = [name.variable(), password.variable()];
    HttpCredential::of(
        settings.optional(name)?,
        settings.optional(password)?,
        variables,
    )
}

pub(super) fn address(
    settings: &Settings,
    key: &Key,
) -> Result<Option<ListenAddress>, ConfigError> {
    let text: String = settings.require(key)?;
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match ListenAddress::parse(&text, settings.is_given(key)) {
        Some(address) => Ok(Some(address)),
        None => {
            let why = format!(
                "{text:?} is no address: write it like 127.0.0.1:8000, [::1]:8000, \
                 0.0.0.0:0 (any free port) or off"
            );
            Err(settings.refused(key, why))
        }
    }
}

fn hosts(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    let text: Option<String> = settings.optional(&HOSTS)?;
    let names = text.unwrap_or_default();
    let names = names
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty());
    let is_name = |name: &str| {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        name == "*" || name.bytes().all(is_part)
    };
    names
        .map(|name| match is_name(name) {
            true => Ok(name.trim_end_matches('.').to_owned()),
            false => {
                let why = format!("{name:?} is no host name: write it without scheme and port");
                Err(settings.refused(&HOSTS, why))
            }
        })
        .collect()
}

/// An origin is a scheme, a host and perhaps a port (RFC 6454), or `*`.
fn cors_origins(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    let text: Option<String> = settings.optional(&API_CORS_ORIGINS)?;
    let origins: Vec<String> = text
        .unwrap_or_default()
        .split(',')
        .map(|origin| origin.trim().to_owned())
        .filter(|origin| !origin.is_empty())
        .collect();
    let is_origin = |origin: &str| {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        })
    };
    match origins.iter().find(|o| *o != "*" && !is_origin(o)) {
        None => Ok(origins),
        Some(wrong) => {
            let why = format!("{wrong:?} is no origin: write it like https://example.org, or *");
            Err(settings.refused(&API_CORS_ORIGINS, why))
        }
    }
}

impl ListenAddress {
    /// `HOST:PORT`; the host is a name or an address, an IPv6 one in brackets.
    pub(super) fn parse(text: &str, is_given: bool) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // What a host may be is said there; 1 stands for any port.
        let host = Host::parse(&format!("{host}:1"), 1).ok()?.name;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        Some(ListenAddress {
            host: bare.unwrap_or(&host).to_owned(),
            port: port.parse().ok()?,
            is_given,
        })
    }

    /// Whether nobody but this machine reaches it.
    fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for BridgeListenConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BridgeListenConfig")
            .field("address", &self.address)
            .field("key", &self.key.as_ref().map(|_| Hidden))
            .field("key_file", &self.key_file)
            .finish()
    }
}

impl HttpCredential {
    /// Both or neither, of these two variables.
    pub(super) fn of(
        username: Option<String>,
        password: Option<String>,
        [name, word]: [String; 2],
    ) -> Result<Option<Self>, ConfigError> {
        match (username, password) {
            (Some(username), Some(password)) => Ok(Some(Self { username, password })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Problem::half(&name, &word)),
            (None, Some(_)) => Err(Problem::half(&word, &name)),
        }
    }
}

impl fmt::Debug for HttpCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpCredential")
            .field("username", &self.username)
            .field("password", &Hidden)
            .finish()
    }
}
