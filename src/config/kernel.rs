//! Stanzas with `kernel-` keys: where entities come from.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::postgres::{PostgresConfig, PostgresKeys, SslMode};
use super::settings::Settings;

/// Chosen with `-K`. Without it `demo-kernel` where the hop is a mock, and none
/// where it is a real broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// The stanza's name.
    pub stanza: String,
    pub kind: KernelKind,
    pub bound: BoundConfig,
}

/// `kernel-type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// `sqlite`: the demo, only ever with a mock hop. `kernel-path`; the file
    /// and its directory are made when missing.
    Demo { path: PathBuf },
    /// `aether` (`postgres` means the same): the two views of an Aether kernel.
    Aether {
        server: PostgresConfig,
        named_by: NamedBy,
    },
}

/// Who named the server: messages call its settings by these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `kernel-host` and so on.
    Stanza,
    /// `POSTGRES_HOST` and so on, of an installation of Aether Producer.
    AetherEnvironment,
}

/// What is known of how `modified` is stamped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundConfig {
    /// `kernel-window-ms`: an entity is stamped at most this long before its
    /// transaction begins. Default 2000 ms.
    pub window: Duration,
    /// `kernel-margin-ms`: how far the clocks of the application and of the
    /// database may be apart. Default 100 ms.
    pub margin: Duration,
    /// `kernel-hold-limit-seconds`: how long one open transaction may hold back
    /// everything. Default 600 s; `None` (0) is for as long as it lasts.
    pub hold_limit: Option<Duration>,
    /// `kernel-time-zone`: the zone that `modified` is in. Default UTC.
    pub time_zone: TimeZone,
}

/// `kernel-type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KernelType {
    Sqlite,
    Aether,
}

const TYPE: Key = Key::choice::<KernelType>("kernel-type", "which kind of kernel");
const PATH: Key = Key::path("kernel-path", "the demo kernel's file");

const SERVER: PostgresKeys = PostgresKeys {
    host: Key::text(
        "kernel-host",
        "PostgreSQL's host, or the directory of its socket",
    ),
    port: Key::number("kernel-port", 1, 65_535, "PostgreSQL's port").default("5432"),
    name: Key::text("kernel-name", "name of the kernel's database"),
    username: Key::text("kernel-username", "name of the role"),
    password: Key::secret("kernel-password", "password of the role"),
    sslmode: Key::choice::<SslMode>(
        "kernel-sslmode",
        "how the connection is encrypted; without it prefer on this machine, verify-full elsewhere",
    ),
    sslrootcert: Key::path(
        "kernel-sslrootcert",
        "PEM file of the CA; the system's where absent",
    ),
    pool_size: Key::number(
        "kernel-connections",
        2,
        1000,
        "most connections, of which one holds the locks",
    )
    .default("3"),
    request_timeout: Key::number(
        "kernel-request-timeout-seconds",
        1,
        86_400,
        "seconds that one statement may take",
    )
    .default("600"),
};

const WINDOW: Key = Key::number(
    "kernel-window-ms",
    0,
    86_400_000,
    "milliseconds at most from an entity's stamp to the beginning of its transaction",
)
.default("2000");
const MARGIN: Key = Key::number(
    "kernel-margin-ms",
    0,
    86_400_000,
    "milliseconds that the application's clock may differ from the database's",
)
.default("100");
const HOLD_LIMIT: Key = Key::number(
    "kernel-hold-limit-seconds",
    0,
    31_536_000,
    "seconds that one open transaction may hold back everything; 0 is for ever",
)
.default("600");
const TIME_ZONE: Key = Key::text("kernel-time-zone", "the zone that modified is in").default("UTC");

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
    &WINDOW,
    &MARGIN,
    &HOLD_LIMIT,
    &TIME_ZONE,
];

impl KernelConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let kind = match settings.require(&TYPE)? {
            KernelType::Sqlite => KernelKind::Demo {
                path: settings.require(&PATH)?,
            },
            KernelType::Aether => KernelKind::Aether {
                server: PostgresConfig::read(settings, &SERVER)?,
                named_by: NamedBy::Stanza,
            },
        };
        Ok(KernelConfig {
            stanza: settings.stanza.clone(),
            kind,
            bound: BoundConfig::read(settings)?,
        })
    }

    pub fn is_demo(&self) -> bool {
        matches!(self.kind, KernelKind::Demo { .. })
    }
}

impl BoundConfig {
    fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let hold_limit: u64 = settings.require(&HOLD_LIMIT)?;
        let zone: String = settings.require(&TIME_ZONE)?;
        Ok(BoundConfig {
            window: Duration::from_millis(settings.require(&WINDOW)?),
            margin: Duration::from_millis(settings.require(&MARGIN)?),
            hold_limit: (hold_limit > 0).then_some(Duration::from_secs(hold_limit)),
            time_zone: time_zone(&zone).map_err(|why| settings.refused(&TIME_ZONE, why))?,
        })
    }
}

impl Default for BoundConfig {
    /// What holds where nothing is configured.
    fn default() -> Self {
        BoundConfig {
            window: Duration::from_millis(2000),
            margin: Duration::from_millis(100),
            hold_limit: Some(Duration::from_secs(600)),
            time_zone: TimeZone::UTC,
        }
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        format!(
            "{name:?} is not a zone that this machine knows: \
             write it like Africa/Lagos, and install tzdata where it is missing"
        )
    })
}

impl Word for KernelType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sqlite", KernelType::Sqlite),
        ("aether", KernelType::Aether),
        ("postgres", KernelType::Aether),
        ("sql", KernelType::Aether),
    ];
}
