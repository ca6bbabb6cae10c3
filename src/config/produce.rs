//! `[produce]`: how entities become records. One stanza, every key optional.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::registry::RegistryConfig;
use super::settings::Settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceConfig {
    /// `produce-fetch-size`: entities that one query reads at most. Default
    /// 1000.
    pub fetch_size: usize,
    /// `produce-fetch-bytes`: payload bytes that end a query before that.
    /// Default 4 MiB.
    pub fetch_bytes: usize,
    /// `produce-poll-interval-ms`: pause before looking again where nothing was
    /// new. Default 100 ms.
    pub poll_interval: Duration,
    /// `produce-types-interval-seconds`: between two readings of realms and
    /// types. Default 30 s.
    pub types_interval: Duration,
    /// `produce-start-delay-seconds`: before the first look. Default 0.
    pub start_delay: Duration,
    /// `produce-retry-pause-seconds`: pause after a failure of Kafka or of a
    /// database. Default 10 s.
    pub retry_pause: Duration,
    /// `produce-look-back-seconds`: how much of the past is looked at again for
    /// entities that turned up below the bound. Default 900 s; 0 is none.
    pub look_back: Duration,
    /// `produce-look-back-interval-seconds`: between two such looks. Default
    /// 60 s.
    pub look_back_interval: Duration,
    /// `produce-reconcile-interval-seconds`: between two comparisons of
    /// everything. Default 86400 s (a day); `None` (0) is on command only.
    pub reconcile_interval: Option<Duration>,
    /// `produce-idle-limit-seconds`: a realm of which nothing was published or
    /// looked for without an error for so long is told as not well. Default
    /// 600 s.
    pub idle_limit: Duration,
    /// `produce-format`. Default containers.
    pub format: MessageFormat,
    pub container: ContainerConfig,
    pub topic: TopicConfig,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageFormat {
    /// An Avro object container with several entities.
    Container,
    /// One entity in the format of this schema registry, which is there
    /// wherever the whole configuration has been read.
    Registry(Option<RegistryConfig>),
}

/// `produce-format`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FormatWord {
    Container,
    Registry,
}

/// What one container holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerConfig {
    /// `produce-container-entities`: most entities. Default 250.
    pub entities: usize,
    /// `produce-container-bytes`: bytes that end a container. Default 100,000.
    pub bytes: usize,
    /// `produce-compression`. Default deflate.
    pub compression: ContainerCompression,
}

/// Codecs of Avro's object containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerCompression {
    Deflate,
    Null,
    Zstd,
}

/// What topics are called, and how they are created where missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// `produce-topic-partitions`. Default 1.
    pub partitions: u32,
    /// `produce-topic-replicas`. Default 3.
    pub replicas: u32,
    /// `produce-topic-properties` over `produce-topic-retention-ms` (default
    /// 604800000): the topic's own configuration at the broker.
    pub properties: BTreeMap<String, String>,
    /// `produce-name-modifier`: the schema's name within the topic's, once
    /// `%s`. Default `%s`.
    pub name_modifier: String,
}

const FETCH_SIZE: Key = Key::number(
    "produce-fetch-size",
    1,
    1_000_000,
    "entities that one query reads at most",
)
.default("1000");
const FETCH_BYTES: Key = Key::number(
    "produce-fetch-bytes",
    1024,
    1 << 32,
    "payload bytes that end a query before that",
)
.default("4194304");
const POLL_INTERVAL: Key = Key::number(
    "produce-poll-interval-ms",
    1,
    86_400_000,
    "milliseconds of pause where nothing was new",
)
.default("100");
const TYPES_INTERVAL: Key = Key::number(
    "produce-types-interval-seconds",
    1,
    86_400,
    "seconds between two readings of realms and types",
)
.default("30");
const START_DELAY: Key = Key::number(
    "produce-start-delay-seconds",
    0,
    3600,
    "seconds before the first look",
)
.default("0");
const RETRY_PAUSE: Key = Key::number(
    "produce-retry-pause-seconds",
    1,
    3600,
    "seconds of pause after a failure of Kafka or of a database",
)
.default("10");
const LOOK_BACK: Key = Key::number(
    "produce-look-back-seconds",
    0,
    31_536_000,
    "seconds of the past that are looked at again for what turned up late; 0 none",
)
.default("900");
const LOOK_BACK_INTERVAL: Key = Key::number(
    "produce-look-back-interval-seconds",
    1,
    86_400,
    "seconds between two such looks",
)
.default("60");
const RECONCILE_INTERVAL: Key = Key::number(
    "produce-reconcile-interval-seconds",
    0,
    31_536_000,
    "seconds between two comparisons of everything; 0 on command only",
)
.default("86400");
const IDLE_LIMIT: Key = Key::number(
    "produce-idle-limit-seconds",
    1,
    31_536_000,
    "seconds without success after which a realm is told as not well",
)
.default("600");
const FORMAT: Key = Key::choice::<FormatWord>(
    "produce-format",
    "what a message is: a container, or an entity in the format of -R's registry",
)
.default("container");
const CONTAINER_ENTITIES: Key = Key::number(
    "produce-container-entities",
    1,
    100_000,
    "most entities of a message",
)
.default("250");
const CONTAINER_BYTES: Key = Key::number(
    "produce-container-bytes",
    1000,
    1 << 30,
    "bytes that end a message",
)
.default("100000");
const COMPRESSION: Key =
    Key::choice::<ContainerCompression>("produce-compression", "codec of the Avro containers")
        .default("deflate");
const PARTITIONS: Key = Key::number(
    "produce-topic-partitions",
    1,
    100_000,
    "partitions of a topic that is created",
)
.default("1");
const REPLICAS: Key = Key::number(
    "produce-topic-replicas",
    1,
    1000,
    "replicas of a topic that is created",
)
.default("3");
const RETENTION: Key = Key::number(
    "produce-topic-retention-ms",
    1,
    i64::MAX as u64,
    "milliseconds that a topic that is created keeps records",
)
.default("604800000");
const PROPERTIES: Key = Key::properties(
    "produce-topic-properties",
    "anything else of a topic's configuration",
);
const NAME_MODIFIER: Key = Key::text(
    "produce-name-modifier",
    "the schema's name within the topic's, as %s",
)
.default("%s");

pub(super) const KEYS: &[&Key] = &[
    &FETCH_SIZE,
    &FETCH_BYTES,
    &POLL_INTERVAL,
    &TYPES_INTERVAL,
    &START_DELAY,
    &RETRY_PAUSE,
    &LOOK_BACK,
    &LOOK_BACK_INTERVAL,
    &RECONCILE_INTERVAL,
    &IDLE_LIMIT,
    &FORMAT,
    &CONTAINER_ENTITIES,
    &CONTAINER_BYTES,
    &COMPRESSION,
    &PARTITIONS,
    &REPLICAS,
    &RETENTION,
    &PROPERTIES,
    &NAME_MODIFIER,
];

impl ProduceConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let seconds = |key| settings.require(key).map(Duration::from_secs);
        let reconcile: u64 = settings.require(&RECONCILE_INTERVAL)?;
        Ok(ProduceConfig {
            fetch_size: settings.require(&FETCH_SIZE)?,
            fetch_bytes: settings.require(&FETCH_BYTES)?,
            poll_interval: Duration::from_millis(settings.require(&POLL_INTERVAL)?),
            types_interval: seconds(&TYPES_INTERVAL)?,
            start_delay: seconds(&START_DELAY)?,
            retry_pause: seconds(&RETRY_PAUSE)?,
            look_back: seconds(&LOOK_BACK)?,
            look_back_interval: seconds(&LOOK_BACK_INTERVAL)?,
            reconcile_interval: (reconcile > 0).then_some(Duration::from_secs(reconcile)),
            idle_limit: seconds(&IDLE_LIMIT)?,
            format: match settings.require(&FORMAT)? {
                FormatWord::Container => MessageFormat::Container,
                FormatWord::Registry => MessageFormat::Registry(None),
            },
            container: ContainerConfig {
                entities: settings.require(&CONTAINER_ENTITIES)?,
                bytes: settings.require(&CONTAINER_BYTES)?,
                compression: settings.require(&COMPRESSION)?,
            },
            topic: TopicConfig::read(settings)?,
        })
    }
}

impl Default for ProduceConfig {
    /// What holds where nothing is configured.
    fn default() -> Self {
        ProduceConfig {
            fetch_size: 1000,
            fetch_bytes: 4 << 20,
            poll_interval: Duration::from_millis(100),
            types_interval: Duration::from_secs(30),
            start_delay: Duration::ZERO,
            retry_pause: Duration::from_secs(10),
            look_back: Duration::from_secs(900),
            look_back_interval: Duration::from_secs(60),
            reconcile_interval: Some(Duration::from_secs(86_400)),
            idle_limit: Duration::from_secs(600),
            format: MessageFormat::Container,
            container: ContainerConfig {
                entities: 250,
                bytes: 100_000,
                compression: ContainerCompression::Deflate,
            },
            topic: TopicConfig {
                partitions: 1,
                replicas: 3,
                properties: BTreeMap::from([("retention.ms".to_owned(), "604800000".to_owned())]),
                name_modifier: "%s".to_owned(),
            },
        }
    }
}

impl TopicConfig {
    fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let retention: u64 = settings.require(&RETENTION)?;
        let own: BTreeMap<String, String> = settings.optional(&PROPERTIES)?.unwrap_or_default();
        let mut properties = BTreeMap::from([("retention.ms".to_owned(), retention.to_string())]);
        properties.extend(own);
        let name_modifier: String = settings.require(&NAME_MODIFIER)?;
        check_name_modifier(&name_modifier).map_err(|why| settings.refused(&NAME_MODIFIER, why))?;
        Ok(TopicConfig {
            partitions: settings.require(&PARTITIONS)?,
            replicas: settings.require(&REPLICAS)?,
            properties,
            name_modifier,
        })
    }

    /// The topic of a type: `{realm}.{schema_name}`, the name modified.
    pub fn name(&self, realm: &str, schema_name: &str) -> String {
        format!("{realm}.{}", self.name_modifier.replace("%s", schema_name))
    }
}

/// Without `%s` all types would share one topic.
pub(super) fn check_name_modifier(modifier: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut parts = modifier.split("%s");
    let sound = parts.clone().count() == 2 && parts.all(|part| part.chars().all(legal));
    match sound {
        true => Ok(()),
        false => Err(format!(
            "{modifier:?} must have %s once, and else nothing but letters, digits, . _ - \
             (like %s or kernel-%s): correct it"
        )),
    }
}

impl Word for FormatWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("container", FormatWord::Container),
        ("registry", FormatWord::Registry),
    ];
}

/// That the format needs a registry and none is chosen.
pub(super) fn no_registry(settings: &Settings) -> ConfigError {
    settings.refused(
        &FORMAT,
        "it is registry, and no schema registry is chosen: name its stanza with -R",
    )
}

impl Word for ContainerCompression {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("deflate", ContainerCompression::Deflate),
        ("null", ContainerCompression::Null),
        ("none", ContainerCompression::Null),
        ("zstd", ContainerCompression::Zstd),
        // As Avro's specification calls it.
        ("zstandard", ContainerCompression::Zstd),
    ];
}
