//! Stanzas with `bridge-` keys: the agent whose events are bridged.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::bridge_topics::{BridgeTopics, DEAD_LETTER_TOPIC, INBOUND_TOPICS};
use super::error::ConfigError;
use super::from_value::Word;
use super::hop::HopConfig;
use super::key::Key;
use super::plugin_file::PluginFile;
use super::settings::Settings;
use super::topics::TopicGlobs;
use super::value::Hidden;

/// Chosen with `--bridge`, or by `bridge NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The stanza's name.
    pub stanza: String,
    /// Where records from Kafka go; without one, none are read.
    pub agent: Option<AgentConfig>,
    /// `bridge-messages`. Default `plain`.
    pub messages: MessageForm,
    /// `bridge-webhook-topics`: those of an agent without the plugin, as the
    /// agent calls them. Default all.
    pub webhook_topics: TopicGlobs,
    /// `bridge-inbound-topics`: a regular expression that a topic's name begins
    /// with.
    pub inbound_topics: String,
    /// `bridge-dead-letter-topic`.
    pub dead_letter_topic: String,
    /// `bridge-groupname`.
    pub group: String,
    /// Whether a group that has never committed anything begins at the end.
    pub from_end: bool,
    /// `bridge-event-bytes`: the largest event.
    pub event_bytes: usize,
    /// `bridge-delivery-seconds`: what Kafka may take to acknowledge an event.
    pub delivery: Duration,
    /// What the plugin's file says beside this.
    pub plugin: PluginFile,
}

/// The agent, as its admin server is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// `bridge-agent-url`, without a slash at its end.
    pub url: String,
    /// `BRIDGE_AGENT_KEY`: what its admin server is shown as `x-api-key`.
    pub key: Option<String>,
    /// `bridge-didcomm-url`: enveloped messages go to the agent's inbound
    /// transport there, instead of its event bus.
    pub didcomm_url: Option<String>,
}

/// Which generation of the plugin the records look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageForm {
    Plain,
    Enveloped,
}

const AGENT_URL: Key = Key::text(
    "bridge-agent-url",
    "URL of the agent's admin server, which runs the plugin; without it no record goes to the agent",
);
const AGENT_KEY: Key = Key::secret("bridge-agent-key", "API key of the agent's admin server");
const DIDCOMM_URL: Key = Key::text(
    "bridge-didcomm-url",
    "URL of the agent's inbound transport, where enveloped messages go instead of its event bus",
);
const MESSAGES: Key =
    Key::choice::<MessageForm>("bridge-messages", "what records look like").default("plain");
pub(super) const PLUGIN_CONFIG: Key = Key::path(
    "bridge-plugin-config",
    "the agent's --plugin-config file, whose kafka_events holds here too",
);
const WEBHOOK_TOPICS: Key = Key::topics(
    "bridge-webhook-topics",
    "webhook topics, names or globs, that are taken",
)
.default("*");
const GROUPNAME: Key = Key::text(
    "bridge-groupname",
    "consumer group; the plugin file's, or kafka_events, where absent",
);
const EVENT_BYTES: Key = Key::number(
    "bridge-event-bytes",
    1,
    64 << 20,
    "largest event in bytes; Kafka's own limit is near 1 MB",
)
.default("1000000");
const DELIVERY_SECONDS: Key = Key::number(
    "bridge-delivery-seconds",
    1,
    3_600,
    "seconds that Kafka may take to acknowledge an event",
)
.default("30");

const SSL_CA: &str = "ssl.ca.location";

const ENVELOPED_ONLY: &str =
    "bridge-messages is plain, where each event has a topic of its own name: set it to enveloped";

pub(super) const KEYS: &[&Key] = &[
    &AGENT_URL,
    &AGENT_KEY,
    &DIDCOMM_URL,
    &MESSAGES,
    &PLUGIN_CONFIG,
    &WEBHOOK_TOPICS,
    &INBOUND_TOPICS,
    &DEAD_LETTER_TOPIC,
    &GROUPNAME,
    &EVENT_BYTES,
    &DELIVERY_SECONDS,
];

impl BridgeConfig {
    /// `plugin_config` is the command line's, which goes before the stanza's.
    /// The file is read only when the stanza is chosen.
    pub(super) fn read(
        settings: &Settings,
        plugin_config: Option<&PathBuf>,
    ) -> Result<Self, ConfigError> {
        let path = match plugin_config {
            Some(path) => Some(path.clone()),
            None => settings.optional(&PLUGIN_CONFIG)?,
        };
        let messages = settings.require(&MESSAGES)?;
        let plugin = match path {
            Some(path) if settings.chosen => {
                let mut plugin = PluginFile::read(&path)?;
                let overruled = overruled(settings, messages, &plugin);
                let told =
                    |(option, why)| format!("{}: {option} has no effect: {why}", path.display());
                plugin.warnings.extend(overruled.into_iter().map(told));
                plugin
            }
            _ => PluginFile::default(),
        };
        let topics = BridgeTopics::read(settings, messages, &plugin)?;
        let group: Option<String> = settings.optional(&GROUPNAME)?;
        let group = group.or_else(|| plugin.group.clone());
        Ok(BridgeConfig {
            stanza: settings.stanza.clone(),
            agent: agent(settings, messages)?,
            messages,
            webhook_topics: settings.require(&WEBHOOK_TOPICS)?,
            inbound_topics: topics.inbound,
            dead_letter_topic: topics.dead_letter,
            group: group.unwrap_or_else(|| "kafka_events".to_owned()),
            from_end: !plugin.from_beginning.unwrap_or(false),
            event_bytes: settings.require(&EVENT_BYTES)?,
            delivery: Duration::from_secs(settings.require(&DELIVERY_SECONDS)?),
            plugin,
        })
    }

    /// The cluster that the plugin's file names, or else `hop`'s; what the file
    /// says of it holds for either. `ca`: PEM file of the CA.
    pub(super) fn hop(&self, mut hop: HopConfig, ca: Option<PathBuf>) -> HopConfig {
        if let Some(ca) = ca {
            let ca = ca.to_string_lossy().into_owned();
            hop.properties.entry(SSL_CA.to_owned()).or_insert(ca);
        }
        hop.properties.extend(self.plugin.general.clone());
        hop
    }
}

/// Options of the plugin's file before which something of the stanza goes, each
/// with what that is.
fn overruled(
    settings: &Settings,
    messages: MessageForm,
    plugin: &PluginFile,
) -> Vec<(&'static str, &'static str)> {
    let is_plain = messages == MessageForm::Plain;
    let all = [
        (
            plugin.group.is_some() && settings.is_given(&GROUPNAME),
            "group_id",
            "bridge-groupname goes before it",
        ),
        (
            plugin.inbound_topics.is_some() && settings.is_given(&INBOUND_TOPICS),
            "inbound › topics",
            "bridge-inbound-topics goes before it",
        ),
        (
            plugin.topic_map.is_some() && is_plain,
            "events › topic_maps",
            ENVELOPED_ONLY,
        ),
        (
            plugin.outbound_topic.is_some() && is_plain,
            "outbound › topic",
            ENVELOPED_ONLY,
        ),
    ];
    let overruled = all.into_iter().filter(|(is_overruled, ..)| *is_overruled);
    overruled.map(|(_, option, why)| (option, why)).collect()
}

fn agent(settings: &Settings, messages: MessageForm) -> Result<Option<AgentConfig>, ConfigError> {
    let url: Option<String> = settings.optional(&AGENT_URL)?;
    let key = settings.optional(&AGENT_KEY)?;
    let didcomm_url: Option<String> = settings.optional(&DIDCOMM_URL)?;
    for (key, url) in [(&AGENT_URL, &url), (&DIDCOMM_URL, &didcomm_url)] {
        if let Some(url) = url
            && !is_http(url)
        {
            let why = format!("{url:?} is no URL: write it like http://127.0.0.1:8031");
            return Err(settings.refused(key, why));
        }
    }
    if didcomm_url.is_some() && messages == MessageForm::Plain && settings.chosen {
        let why = "it needs bridge-messages = \"enveloped\": plain records are events of the bus";
        return Err(settings.refused(&DIDCOMM_URL, why));
    }
    // Whoever only has the inbound transport needs no admin server.
    let url = url.or_else(|| didcomm_url.clone());
    Ok(url.map(|url| AgentConfig {
        url: url.trim_end_matches('/').to_owned(),
        key,
        didcomm_url,
    }))
}

fn is_http(url: &str) -> bool {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic()))
}

impl fmt::Debug for AgentConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AgentConfig")
            .field("url", &self.url)
            .field("key", &self.key.as_ref().map(|_| Hidden))
            .field("didcomm_url", &self.didcomm_url)
            .finish()
    }
}

impl Word for MessageForm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("plain", MessageForm::Plain),
        ("enveloped", MessageForm::Enveloped),
    ];
}
