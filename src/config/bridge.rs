//! Stanzas with `bridge-` keys: the agent whose events are bridged.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::from_value::Word;
use super::hop::HopConfig;
use super::key::Key;
use super::plugin_file::PluginFile;
use super::settings::Settings;
use super::topics::{TopicGlobs, is_topic_name};
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
const PLUGIN_CONFIG: Key = Key::path(
    "bridge-plugin-config",
    "the agent's --plugin-config file, whose kafka_events holds here too",
);
const WEBHOOK_TOPICS: Key = Key::topics(
    "bridge-webhook-topics",
    "webhook topics, names or globs, that are taken",
)
.default("*");
const INBOUND_TOPICS: Key = Key::text(
    "bridge-inbound-topics",
    "regular expression of the topics whose records go to the agent; the plugin file's, or by bridge-messages, where absent",
);
const DEAD_LETTER_TOPIC: Key = Key::text(
    "bridge-dead-letter-topic",
    "where records go that the agent can never take; acapy-dead-letter or failed_outbound_message where absent",
);
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
        let plugin = match path {
            Some(path) if settings.chosen => PluginFile::read(&path)?,
            _ => PluginFile::default(),
        };
        let messages = settings.require(&MESSAGES)?;
        let group: Option<String> = settings.optional(&GROUPNAME)?;
        let group = group.or_else(|| plugin.group.clone());
        let config = BridgeConfig {
            stanza: settings.stanza.clone(),
            agent: agent(settings, messages)?,
            messages,
            webhook_topics: settings.require(&WEBHOOK_TOPICS)?,
            inbound_topics: inbound_topics(settings, messages, &plugin)?,
            dead_letter_topic: dead_letter_topic(settings, messages)?,
            group: group.unwrap_or_else(|| "kafka_events".to_owned()),
            from_end: !plugin.from_beginning.unwrap_or(false),
            event_bytes: settings.require(&EVENT_BYTES)?,
            delivery: Duration::from_secs(settings.require(&DELIVERY_SECONDS)?),
            plugin,
        };
        config.check(settings)?;
        Ok(config)
    }

    /// A dead letter that came in again would go round for ever.
    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        let pattern = regex::Regex::new(&self.inbound_topics).map_err(|error| {
            let cause = error.to_string();
            let cause = cause.lines().last().unwrap_or_default().trim().to_owned();
            settings.refused(
                &INBOUND_TOPICS,
                format!("it is not a regular expression: {cause}"),
            )
        })?;
        if pattern.is_match(&self.dead_letter_topic) {
            let why = format!(
                "{} is one of the topics whose records go to the agent ({}): take another one",
                self.dead_letter_topic, self.inbound_topics
            );
            return Err(settings.refused(&DEAD_LETTER_TOPIC, why));
        }
        Ok(())
    }

    /// The cluster that the plugin's file names, or else `hop`'s; what the file
    /// says of it holds for either.
    pub(super) fn hop(&self, hop: HopConfig) -> HopConfig {
        let mut hop = hop;
        hop.properties.extend(self.plugin.general.clone());
        hop
    }
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

fn inbound_topics(
    settings: &Settings,
    messages: MessageForm,
    plugin: &PluginFile,
) -> Result<String, ConfigError> {
    if let Some(given) = settings.optional::<String>(&INBOUND_TOPICS)? {
        return Ok(match given.starts_with('^') {
            true => given,
            false => format!("^({given})"),
        });
    }
    if let Some(topics) = &plugin.inbound_topics {
        let names: Vec<String> = topics.iter().map(|t| t.replace('.', "\\.")).collect();
        return Ok(format!("^({})$", names.join("|")));
    }
    Ok(match messages {
        MessageForm::Plain => "^acapy-inbound-.*".to_owned(),
        MessageForm::Enveloped => "^acapy-inbound-message$".to_owned(),
    })
}

fn dead_letter_topic(settings: &Settings, messages: MessageForm) -> Result<String, ConfigError> {
    let given: Option<String> = settings.optional(&DEAD_LETTER_TOPIC)?;
    let topic = given.unwrap_or_else(|| {
        match messages {
            MessageForm::Plain => "acapy-dead-letter",
            MessageForm::Enveloped => "failed_outbound_message",
        }
        .to_owned()
    });
    match is_topic_name(&topic) {
        true => Ok(topic),
        false => Err(settings.refused(
            &DEAD_LETTER_TOPIC,
            format!("{topic:?} is not the name of a topic (1 to 249 of letters, digits, . _ -)"),
        )),
    }
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
