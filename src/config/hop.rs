//! Stanzas with `hop-` keys: which Kafka, and what of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::auth::{HopAuth, Mechanism, SecurityProtocol};
use super::error::{ConfigError, Problem};
use super::from_value::Word;
use super::host::Host;
use super::key::Key;
use super::settings::Settings;
use super::topics::{TopicGlobs, TopicSelection, Verdict, is_topic_name};
use super::value::shown_properties;

/// Chosen with `-H`.
#[derive(Clone, PartialEq, Eq)]
pub struct HopConfig {
    /// The stanza's name.
    pub stanza: String,
    pub kind: HopKind,
    /// `hop-groupname`. Default `archive_ingest`.
    pub group: GroupName,
    /// `hop-until-eos`: stop at the end of what is there now.
    pub until_eos: bool,
    /// `hop-topics`, `hop-vetoed-topics`, the veto list and `hop-test-topic`
    /// (which narrows it to that one topic).
    pub topics: TopicSelection,
    /// `hop-test-max-messages`: consume no more after that many; the process
    /// stays up.
    pub test_max_messages: Option<u64>,
    /// `hop-topic-refresh-interval-seconds`. Default 60 s.
    pub topic_refresh: Duration,
    /// `hop-open-transaction-warning-seconds`: a transaction that stays open for
    /// longer is reported. Default 300 s.
    pub open_transaction_warning: Duration,
    /// `hop-properties`: handed to librdkafka as they are, after everything
    /// that this program sets itself.
    pub properties: BTreeMap<String, String>,
}

/// `hop-type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopKind {
    /// The broker inside this process, with the known test data.
    Mock,
    Kafka {
        /// `hop-hostname` (several with commas) with `hop-port` (default 9092)
        /// where a name has none: librdkafka's `bootstrap.servers`.
        bootstrap_servers: String,
        /// `None` is PLAINTEXT.
        auth: Option<HopAuth>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupName {
    Named(String),
    /// `random`: a new group at each start.
    Random,
}

/// `hop-type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HopType {
    Mock,
    Kafka,
}

const TYPE: Key = Key::choice::<HopType>("hop-type", "which kind of broker");
const HOSTNAME: Key = Key::text(
    "hop-hostname",
    "Kafka's host, or several with commas; each may have its :port",
);
const PORT: Key =
    Key::number("hop-port", 1, 65_535, "port of the hosts that have none").default("9092");
pub(super) const LOCAL_AUTH: Key = Key::path(
    "hop-local-auth",
    "hop-client's auth.toml; PLAINTEXT where absent",
);
pub(super) const USERNAME: Key = Key::secret("hop-username", "user for SASL");
pub(super) const PASSWORD: Key = Key::secret("hop-password", "password for SASL");
pub(super) const SECURITY_PROTOCOL: Key = Key::choice::<SecurityProtocol>(
    "hop-security-protocol",
    "how to talk to the broker; the auth file's, or SASL_SSL with a credential, where absent",
);
pub(super) const SASL_MECHANISM: Key = Key::choice::<Mechanism>(
    "hop-sasl-mechanism",
    "how to prove who one is; the auth file's, or SCRAM-SHA-512, where absent",
);
pub(super) const SSL_CA_LOCATION: Key = Key::path(
    "hop-ssl-ca-location",
    "PEM file of the CA; the auth file's, or the system's, where absent",
);
const GROUPNAME: Key = Key::text(
    "hop-groupname",
    "consumer group; random = a new one at each start",
)
.default("archive_ingest");
pub(super) const UNTIL_EOS: Key =
    Key::flag("hop-until-eos", "stop at the end of what is there now").default("false");
const TOPICS: Key = Key::topics("hop-topics", "topics or globs to archive").default("*");
const VETOED_TOPICS: Key = Key::topics(
    "hop-vetoed-topics",
    "topics or globs never archived, beside the veto list",
);
const PUBLIC_TOPICS: Key = Key::topics("hop-public-topics", "topics or globs that anyone may read");
const TOPIC_REFRESH: Key = Key::number(
    "hop-topic-refresh-interval-seconds",
    1,
    86_400,
    "seconds between two looks for new topics",
)
.default("60");
const OPEN_TRANSACTION_WARNING: Key = Key::number(
    "hop-open-transaction-warning-seconds",
    1,
    86_400,
    "seconds after which a transaction that stays open is reported",
)
.default("300");
pub(super) const TEST_TOPIC: Key =
    Key::text("hop-test-topic", "archive this one topic and no other");
const TEST_MAX_MESSAGES: Key = Key::number(
    "hop-test-max-messages",
    1,
    u64::MAX,
    "consume no more after that many messages",
);
const PROPERTIES: Key = Key::properties("hop-properties", "anything else of librdkafka's client");

/// What to do instead of fetching a secret from AWS.
const HOP_SECRET: &str = "put the secret into HOP_USERNAME and HOP_PASSWORD and remove the key";

pub(super) const KEYS: &[&Key] = &[
    &TYPE,
    &HOSTNAME,
    &PORT,
    &LOCAL_AUTH,
    &USERNAME,
    &PASSWORD,
    &SECURITY_PROTOCOL,
    &SASL_MECHANISM,
    &SSL_CA_LOCATION,
    &GROUPNAME,
    &UNTIL_EOS,
    &TOPICS,
    &VETOED_TOPICS,
    &PUBLIC_TOPICS,
    &TOPIC_REFRESH,
    &OPEN_TRANSACTION_WARNING,
    &TEST_TOPIC,
    &TEST_MAX_MESSAGES,
    &PROPERTIES,
    &Key::text("hop-aws-secret-name", "AWS secret with the credential").not_built(HOP_SECRET),
    &Key::text("hop-aws-secret-region", "AWS region of hop-aws-secret-name").not_built(HOP_SECRET),
];

impl HopConfig {
    /// `vetoes` are the lines of the veto list. The auth file is read only
    /// when the stanza is chosen.
    pub(super) fn read(settings: &Settings, vetoes: &[String]) -> Result<Self, ConfigError> {
        let kind = match settings.require(&TYPE)? {
            HopType::Mock => HopKind::Mock,
            HopType::Kafka => kafka(settings)?,
        };
        Ok(HopConfig {
            stanza: settings.stanza.clone(),
            kind,
            group: group(settings)?,
            until_eos: settings.require(&UNTIL_EOS)?,
            topics: topics(settings, vetoes)?,
            test_max_messages: settings.optional(&TEST_MAX_MESSAGES)?,
            topic_refresh: Duration::from_secs(settings.require(&TOPIC_REFRESH)?),
            open_transaction_warning: Duration::from_secs(
                settings.require(&OPEN_TRANSACTION_WARNING)?,
            ),
            properties: settings.optional(&PROPERTIES)?.unwrap_or_default(),
        })
    }
}

impl HopConfig {
    /// A cluster that is named by its bootstrap servers alone, of which nothing
    /// is archived. `stanza` is for messages.
    pub(super) fn of_servers(stanza: &str, servers: &str) -> Result<Self, ConfigError> {
        let hosts: Result<Vec<Host>, String> = servers
            .split(',')
            .map(|part| Host::parse(part.trim(), 9092))
            .collect();
        let hosts = hosts.map_err(|why| Problem::PluginFile {
            file: format!("of [{stanza}]"),
            why: format!("bootstrap_servers: {why}"),
        })?;
        let servers: Vec<String> = hosts.iter().map(Host::to_string).collect();
        Ok(HopConfig {
            stanza: stanza.to_owned(),
            kind: HopKind::Kafka {
                bootstrap_servers: servers.join(","),
                auth: None,
            },
            group: GroupName::Named("archive_ingest".to_owned()),
            until_eos: false,
            topics: TopicSelection {
                wanted: TopicGlobs::none(),
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
}

/// Whether the broker is the one inside this process.
pub(super) fn is_mock(settings: &Settings) -> bool {
    matches!(settings.optional(&TYPE), Ok(Some(HopType::Mock)))
}

fn kafka(settings: &Settings) -> Result<HopKind, ConfigError> {
    let text: String = settings.require(&HOSTNAME)?;
    let default_port = settings.require(&PORT)?;
    let hosts: Vec<Host> = text
        .split(',')
        .map(|part| Host::parse(part.trim(), default_port))
        .collect::<Result<_, _>>()
        .map_err(|why| settings.refused(&HOSTNAME, why))?;
    let servers: Vec<String> = hosts.iter().map(Host::to_string).collect();
    // A split has at least one part.
    let auth = hosts.first().map(|first| HopAuth::read(settings, first));
    Ok(HopKind::Kafka {
        bootstrap_servers: servers.join(","),
        auth: auth.transpose()?.flatten(),
    })
}

fn group(settings: &Settings) -> Result<GroupName, ConfigError> {
    let name: String = settings.require(&GROUPNAME)?;
    Ok(match name.as_str() {
        "random" => GroupName::Random,
        _ => GroupName::Named(name),
    })
}

fn topics(settings: &Settings, vetoes: &[String]) -> Result<TopicSelection, ConfigError> {
    let own: Option<TopicGlobs> = settings.optional(&VETOED_TOPICS)?;
    let own = own.as_ref().map_or(&[][..], TopicGlobs::patterns);
    let selection = TopicSelection {
        wanted: settings.require(&TOPICS)?,
        vetoed: TopicGlobs::parse(own.iter().chain(vetoes))
            .map_err(|error| settings.refused(&VETOED_TOPICS, error.to_string()))?,
        only: settings.optional(&TEST_TOPIC)?,
        public: settings
            .optional(&PUBLIC_TOPICS)?
            .unwrap_or_else(TopicGlobs::none),
    };
    if let Some(only) = &selection.only {
        test_topic(only, &selection).map_err(|why| settings.refused(&TEST_TOPIC, why))?;
    }
    Ok(selection)
}

/// A test topic that is left out again would archive nothing and say nothing.
fn test_topic(topic: &str, selection: &TopicSelection) -> Result<(), String> {
    if !is_topic_name(topic) {
        return Err(format!(
            "{topic:?} is not the name of one topic (1 to 249 of letters, digits, . _ -): \
             correct it, or name several in hop-topics"
        ));
    }
    match selection.archives(topic) {
        Verdict::Wanted => Ok(()),
        Verdict::NotWanted => Err(format!(
            "hop-topics leaves {topic} out, so nothing would be archived: add it there"
        )),
        Verdict::Vetoed { by } => Err(format!(
            "{by} of hop-vetoed-topics or the veto list leaves {topic} out, \
             so nothing would be archived: remove the veto or take another topic"
        )),
        Verdict::Internal => Err(format!(
            "{topic} is the broker's own and never archived: take another topic"
        )),
    }
}

impl HopConfig {
    /// The same for whoever does not read to an end.
    pub fn without_end(self) -> Self {
        Self {
            until_eos: false,
            ..self
        }
    }
}

impl fmt::Debug for HopConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HopConfig")
            .field("stanza", &self.stanza)
            .field("kind", &self.kind)
            .field("group", &self.group)
            .field("until_eos", &self.until_eos)
            .field("topics", &self.topics)
            .field("test_max_messages", &self.test_max_messages)
            .field("topic_refresh", &self.topic_refresh)
            .field("open_transaction_warning", &self.open_transaction_warning)
            .field("properties", &shown_properties(&self.properties))
            .finish()
    }
}

impl Word for HopType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mock", HopType::Mock),
        ("kafka", HopType::Kafka),
        ("hop", HopType::Kafka),
    ];
}
