//! The environment of an installation of Aether Producer, honoured as it is.
//!
//! A setting is the environment variable of its upper-case name, else what the
//! JSON file of `PRODUCER_SETTINGS_FILE` has under its lower-case name. Empty
//! counts as not set. What is not set has this program's defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;
use tracing::Level;

use super::aether_file::SettingsFile;
use super::auth::{HopAuth, Mechanism, Protocol};
use super::environment::Environment;
use super::error::{ConfigError, Problem};
use super::from_value::Word;
use super::hop::{GroupName, HopConfig, HopKind};
use super::host::Host;
use super::kernel::{BoundConfig, KernelConfig, KernelKind, NamedBy};
use super::listen::{ControlConfig, HttpCredential, ListenAddress};
use super::postgres::{PostgresConfig, SslMode, is_host_alone};
use super::produce::{ProduceConfig, TopicConfig, check_name_modifier};
use super::topics::{TopicGlobs, TopicSelection};

/// Everything that Aether Producer's settings say, as stanzas would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AetherConfig {
    /// `KAFKA_URL`, `KAFKA_SECURITY`, `KAFKA_SU_USER`, `KAFKA_SU_PW`.
    pub hop: HopConfig,
    /// `POSTGRES_*`, `WINDOW_SIZE_SEC`.
    pub kernel: KernelConfig,
    /// `OFFSET_DB_*`: where positions are.
    pub positions: PostgresConfig,
    pub produce: ProduceConfig,
    /// `SERVER_IP` (default all addresses) and `SERVER_PORT` (default 5005),
    /// `PRODUCER_ADMIN_USER` and `PRODUCER_ADMIN_PW`,
    /// `flask_settings.pretty_json_status`.
    pub control: ControlConfig,
    /// `flask_settings.max_connections`: how many connections the original
    /// keeps open. Understood, and not followed: with it a few idle clients shut
    /// out everybody else.
    pub max_connections: Option<u32>,
    /// `LOG_LEVEL`.
    pub log_level: Option<Level>,
    /// Settings of the file that mean nothing to this program: worth a warning.
    pub unknown: Vec<String>,
}

/// Any of these says that the environment is one of Aether Producer's.
const TELLING: &[&str] = &["KAFKA_URL", "POSTGRES_HOST", "PRODUCER_SETTINGS_FILE"];

impl AetherConfig {
    /// `None` where the environment is not one of Aether Producer's. Errors: the
    /// settings file cannot be read, a setting is missing or wrong.
    pub fn of(environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let file = match environment.get("PRODUCER_SETTINGS_FILE")? {
            Some(path) => Some(SettingsFile::read(&PathBuf::from(path))?),
            None => None,
        };
        AetherConfig::from_settings(environment, file)
    }

    /// The same with the settings file's text, which is named `file`.
    pub fn of_texts(
        environment: &Environment,
        file: &str,
        text: &str,
    ) -> Result<Option<Self>, ConfigError> {
        let file = SettingsFile::parse(file, text)?;
        AetherConfig::from_settings(environment, Some(file))
    }

    fn from_settings(
        environment: &Environment,
        file: Option<SettingsFile>,
    ) -> Result<Option<Self>, ConfigError> {
        let is_told = |variable: &&str| !matches!(environment.get(variable), Ok(None));
        if file.is_none() && !TELLING.iter().any(is_told) {
            return Ok(None);
        }
        Aether { environment, file }.config().map(Some)
    }
}

/// Environment over file.
struct Aether<'a> {
    environment: &'a Environment,
    file: Option<SettingsFile>,
}

impl Aether<'_> {
    fn config(&self) -> Result<AetherConfig, ConfigError> {
        self.refuse_api()?;
        Ok(AetherConfig {
            hop: self.hop()?,
            kernel: self.kernel()?,
            positions: self.positions()?,
            produce: self.produce()?,
            control: self.control()?,
            max_connections: self.of_group("flask_settings", "max_connections", whole)?,
            log_level: self.optional("LOG_LEVEL", log_level)?,
            unknown: self
                .file
                .as_ref()
                .map_or_else(Vec::new, SettingsFile::unknown),
        })
    }

    fn refuse_api(&self) -> Result<(), ConfigError> {
        let access = self.optional("KERNEL_ACCESS_TYPE", text)?;
        match access {
            Some(access) if access.eq_ignore_ascii_case("api") => Err(wrong(
                "KERNEL_ACCESS_TYPE",
                "api is not built: this program reads the kernel's database; set it to database, \
                 and POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD and \
                 POSTGRES_DBNAME to where that is",
            )),
            _ => Ok(()),
        }
    }

    fn hop(&self) -> Result<HopConfig, ConfigError> {
        let servers = self.required("KAFKA_URL", "Kafka's bootstrap servers", servers)?;
        Ok(HopConfig {
            stanza: "KAFKA_URL".to_owned(),
            kind: HopKind::Kafka {
                bootstrap_servers: servers,
                auth: self.auth()?,
            },
            group: GroupName::Named("archive_ingest".to_owned()),
            until_eos: false,
            topics: TopicSelection {
                wanted: TopicGlobs::parse(["*"])
                    .map_err(|error| wrong("KAFKA_URL", &error.to_string()))?,
                vetoed: TopicGlobs::none(),
                only: None,
                public: TopicGlobs::none(),
            },
            test_max_messages: None,
            topic_refresh: Duration::from_secs(60),
            open_transaction_warning: Duration::from_secs(300),
            properties: BTreeMap::new(),
        })
    }

    /// As Aether Producer understands `KAFKA_SECURITY`; other words are none.
    fn auth(&self) -> Result<Option<HopAuth>, ConfigError> {
        let security = self.optional("KAFKA_SECURITY", text)?.unwrap_or_default();
        let (protocol, mechanism) = match security.to_ascii_uppercase().as_str() {
            "SASL_PLAINTEXT" => (Protocol::SaslPlaintext, Mechanism::ScramSha256),
            "SASL_SSL" => (Protocol::SaslSsl, Mechanism::Plain),
            _ => return Ok(None),
        };
        let about = format!("KAFKA_SECURITY is {security}");
        Ok(Some(HopAuth {
            username: self.required("KAFKA_SU_USER", &about, text)?,
            password: self.required("KAFKA_SU_PW", &about, text)?,
            protocol,
            mechanism,
            ssl_ca_location: None,
        }))
    }

    fn kernel(&self) -> Result<KernelConfig, ConfigError> {
        let defaults = BoundConfig::default();
        let window = self.optional("WINDOW_SIZE_SEC", seconds)?;
        Ok(KernelConfig {
            stanza: "POSTGRES_HOST".to_owned(),
            kind: KernelKind::Aether {
                server: self.server("POSTGRES", "POSTGRES_DBNAME", "KERNEL_DB_POOL_SIZE", 3)?,
                named_by: NamedBy::AetherEnvironment,
            },
            bound: BoundConfig {
                window: window.unwrap_or(defaults.window),
                ..defaults
            },
        })
    }

    fn positions(&self) -> Result<PostgresConfig, ConfigError> {
        self.server("OFFSET_DB", "OFFSET_DB_NAME", "OFFSET_DB_POOL_SIZE", 6)
    }

    fn server(
        &self,
        prefix: &str,
        name: &str,
        pool_size: &str,
        default_pool_size: u32,
    ) -> Result<PostgresConfig, ConfigError> {
        let setting = |what: &str| format!("{prefix}_{what}");
        Ok(PostgresConfig {
            host: self.required(&setting("HOST"), "PostgreSQL's host", host)?,
            port: self.optional(&setting("PORT"), port)?.unwrap_or(5432),
            name: self.required(name, "the database's name", text)?,
            username: self.required(&setting("USER"), "the role's name", text)?,
            password: self.optional(&setting("PASSWORD"), text)?,
            // What libpq takes from its own variables.
            sslmode: self
                .optional("PGSSLMODE", sslmode)?
                .unwrap_or(SslMode::Prefer),
            sslrootcert: self.optional("PGSSLROOTCERT", text)?.map(PathBuf::from),
            // One holds locks, another reads.
            pool_size: self
                .optional(pool_size, whole)?
                .map_or(default_pool_size, |size: u32| size.clamp(2, 1000)),
            request_timeout_seconds: 600,
        })
    }

    fn produce(&self) -> Result<ProduceConfig, ConfigError> {
        let mut produce = ProduceConfig::default();
        if let Some(rows) = self.optional("FETCH_SIZE", count)? {
            produce.fetch_size = rows;
        }
        if let Some(pause) = self.optional("SLEEP_TIME", seconds)? {
            produce.poll_interval = pause.max(Duration::from_millis(1));
        }
        if let Some(delay) = self.optional("START_DELAY", seconds)? {
            produce.start_delay = delay;
        }
        if let Some(pause) = self.optional("KAFKA_FAILURE_WAIT_TIME", seconds)? {
            produce.retry_pause = pause;
        }
        produce.topic = self.topic(produce.topic)?;
        Ok(produce)
    }

    fn topic(&self, defaults: TopicConfig) -> Result<TopicConfig, ConfigError> {
        let partitions = self.optional("KAFKA_DEFAULT_TOPIC_PARTITIONS", count)?;
        let replicas = self.optional("KAFKA_DEFAULT_TOPIC_REPLICAS", count)?;
        let mut properties = defaults.properties;
        if let Some(file) = &self.file {
            properties.extend(file.topic_properties()?);
        }
        Ok(TopicConfig {
            partitions: partitions.unwrap_or(defaults.partitions),
            replicas: replicas.unwrap_or(defaults.replicas),
            properties,
            name_modifier: self
                .of_group("topic_settings", "name_modifier", name_modifier)?
                .unwrap_or(defaults.name_modifier),
        })
    }

    fn address(&self) -> Result<ListenAddress, ConfigError> {
        let host = self.optional("SERVER_IP", address)?;
        let host = host.as_deref().unwrap_or("0.0.0.0");
        let port = self.optional("SERVER_PORT", port)?.unwrap_or(5005);
        ListenAddress::parse(&format!("{host}:{port}"), true)
            .ok_or_else(|| wrong("SERVER_IP", "it must be an address or a host name"))
    }

    fn control(&self) -> Result<ControlConfig, ConfigError> {
        let [user, word] = ["PRODUCER_ADMIN_USER", "PRODUCER_ADMIN_PW"];
        let names = [user.to_owned(), word.to_owned()];
        Ok(ControlConfig {
            address: self.address()?,
            credential: HttpCredential::of(
                self.optional(user, text)?,
                self.optional(word, text)?,
                names,
            )?,
            pretty_status: self
                .of_group("flask_settings", "pretty_json_status", flag)?
                .unwrap_or(false),
        })
    }

    fn required<T>(&self, setting: &str, about: &str, read: Read<T>) -> Result<T, ConfigError> {
        self.optional(setting, read)?.ok_or_else(|| {
            Problem::AetherMissing {
                setting: setting.to_owned(),
                about: about.to_owned(),
            }
            .into()
        })
    }

    /// Environment over file. The error never shows the value: it may be a
    /// secret in the wrong place.
    fn optional<T>(&self, setting: &str, read: Read<T>) -> Result<Option<T>, ConfigError> {
        let of_environment = self.environment.get(setting)?;
        let found = match of_environment {
            Some(text) => Some(text),
            None => self.in_file(&[&setting.to_ascii_lowercase()])?,
        };
        found
            .map(|text| read_checked(setting, &text, read))
            .transpose()
    }

    /// A setting that only the file has, in a group.
    fn of_group<T>(
        &self,
        group: &str,
        setting: &str,
        read: Read<T>,
    ) -> Result<Option<T>, ConfigError> {
        let found = self.in_file(&[group, setting])?;
        let name = format!("{group}.{setting}");
        found
            .map(|text| read_checked(&name, &text, read))
            .transpose()
    }

    fn in_file(&self, path: &[&str]) -> Result<Option<String>, ConfigError> {
        match &self.file {
            Some(file) => file.text(path),
            None => Ok(None),
        }
    }
}

/// Text to a value; the error says what it must be.
type Read<T> = fn(&str) -> Result<T, String>;

fn read_checked<T>(setting: &str, found: &str, read: Read<T>) -> Result<T, ConfigError> {
    match found.contains(char::is_control) {
        true => Err(wrong(setting, "it contains a control character: remove it")),
        false => read(found).map_err(|why| wrong(setting, &why)),
    }
}

fn wrong(setting: &str, why: &str) -> ConfigError {
    Problem::AetherSetting {
        setting: setting.to_owned(),
        why: why.to_owned(),
    }
    .into()
}

fn text(found: &str) -> Result<String, String> {
    Ok(found.to_owned())
}

fn whole(found: &str) -> Result<u32, String> {
    found
        .trim()
        .parse()
        .map_err(|_| "it must be a whole number".to_owned())
}

fn count<T: TryFrom<u32>>(found: &str) -> Result<T, String> {
    let number = whole(found).ok().filter(|number| *number > 0);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| "it must be a whole number of at least 1".to_owned())
}

fn port(found: &str) -> Result<u16, String> {
    count(found).map_err(|_| "it must be a port from 1 to 65535".to_owned())
}

/// At most a year, with a fraction or without.
fn seconds(found: &str) -> Result<Duration, String> {
    let number: Option<f64> = found.trim().parse().ok();
    number
        .filter(|seconds| (0.0..=31_536_000.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "it must be a number of seconds".to_owned())
}

fn flag(found: &str) -> Result<bool, String> {
    match found.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

fn host(found: &str) -> Result<String, String> {
    match is_host_alone(found) {
        true => Ok(found.to_owned()),
        false => Err("it must be a host name or address alone".to_owned()),
    }
}

fn address(found: &str) -> Result<String, String> {
    Host::parse(found, 1).map(|host| host.name)
}

/// With or without a protocol in front of each.
fn servers(found: &str) -> Result<String, String> {
    let one = |part: &str| {
        let part = part.trim();
        let server = part.split_once("://").map_or(part, |(_, server)| server);
        Host::parse(server, 9092).map(|host| host.to_string())
    };
    let servers: Vec<String> = found.split(',').map(one).collect::<Result<_, _>>()?;
    Ok(servers.join(","))
}

fn sslmode(found: &str) -> Result<SslMode, String> {
    match found {
        "allow" => Ok(SslMode::Prefer),
        word => SslMode::of_word(word).ok_or_else(|| {
            "it must be one of disable, prefer, require, verify-ca, verify-full".to_owned()
        }),
    }
}

fn name_modifier(found: &str) -> Result<String, String> {
    check_name_modifier(found).map(|()| found.to_owned())
}

fn log_level(found: &str) -> Result<Level, String> {
    match found.to_ascii_lowercase().as_str() {
        "critical" | "fatal" => Ok(Level::ERROR),
        "notset" => Ok(Level::TRACE),
        word => Level::of_word(word)
            .ok_or_else(|| "it must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG".to_owned()),
    }
}

/// A JSON value as it would stand in the environment; `None` for empty ones.
pub(super) fn as_text(value: &Json) -> Result<Option<String>, String> {
    match value {
        Json::Null => Ok(None),
        Json::String(text) if text.is_empty() => Ok(None),
        Json::String(text) => Ok(Some(text.clone())),
        Json::Number(number) => Ok(Some(number.to_string())),
        Json::Bool(flag) => Ok(Some(flag.to_string())),
        Json::Array(_) | Json::Object(_) => {
            Err("it must be text, a number, true or false".to_owned())
        }
    }
}
