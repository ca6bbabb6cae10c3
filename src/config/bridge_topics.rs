//! The topics of a bridge: those whose records go to the agent, and the one where
//! they go that it can never take.

use super::bridge::MessageForm;
use super::error::ConfigError;
use super::key::Key;
use super::plugin_file::PluginFile;
use super::settings::Settings;
use super::topic_map::cause;
use super::topics::{is_topic_name, not_a_topic_name};

pub(super) const INBOUND_TOPICS: Key = Key::text(
    "bridge-inbound-topics",
    "regular expression of the topics whose records go to the agent; the plugin file's, or by bridge-messages, where absent",
);
pub(super) const DEAD_LETTER_TOPIC: Key = Key::text(
    "bridge-dead-letter-topic",
    "where records go that the agent can never take; acapy-dead-letter or failed_outbound_message where absent",
);

/// Checked: a dead letter that came in again would go round for ever.
pub(super) struct BridgeTopics {
    /// A regular expression that a topic's name begins with.
    pub inbound: String,
    pub dead_letter: String,
}

impl BridgeTopics {
    pub fn read(
        settings: &Settings,
        messages: MessageForm,
        plugin: &PluginFile,
    ) -> Result<Self, ConfigError> {
        let topics = Self {
            inbound: inbound_topics(settings, messages, plugin)?,
            dead_letter: dead_letter_topic(settings, messages)?,
        };
        topics.check(settings)?;
        Ok(topics)
    }

    fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        let pattern = regex::Regex::new(&self.inbound).map_err(|error| {
            let why = format!("it is not a regular expression: {}", cause(&error));
            settings.refused(&INBOUND_TOPICS, why)
        })?;
        if pattern.is_match(&self.dead_letter) {
            let why = format!(
                "{} is one of the topics whose records go to the agent ({}): take another one",
                self.dead_letter, self.inbound
            );
            return Err(settings.refused(&DEAD_LETTER_TOPIC, why));
        }
        Ok(())
    }
}

fn inbound_topics(
    settings: &Settings,
    messages: MessageForm,
    plugin: &PluginFile,
) -> Result<String, ConfigError> {
    if let Some(given) = settings.optional::<String>(&INBOUND_TOPICS)? {
        if let Some(word) = not_posix(&given) {
            let why = format!(
                "{word} is not of the POSIX extended regular expressions, which Kafka's client reads: write it without"
            );
            return Err(settings.refused(&INBOUND_TOPICS, why));
        }
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

/// What the client would read as something else, without a word: `(?…)`, and
/// most of what stands behind a backslash.
fn not_posix(pattern: &str) -> Option<String> {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('(', Some('?')) => return Some("(?".to_owned()),
            ('\\', Some(escaped)) if escaped.is_alphanumeric() && !"wWbB".contains(escaped) => {
                return Some(format!("\\{escaped}"));
            }
            ('\\', _) => {
                rest.next();
            }
            _ => {}
        }
    }
    None
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
        false => Err(settings.refused(&DEAD_LETTER_TOPIC, not_a_topic_name(&topic))),
    }
}
