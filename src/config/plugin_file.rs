//! The file of `--plugin-config`, as the agent's Kafka plugins read it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::error::{ConfigError, Problem};
use super::plugin_sections;
use super::plugin_values::wrong;
use super::topic_map::TopicMap;
use super::value::shown_properties;

/// The plugins' names in the file; other plugins have theirs beside it.
const TOP_KEYS: [&str; 4] = ["kafka_events", "kafka_queue", "kafka", "kafka-queue"];

/// What the file says, with librdkafka's names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PluginFile {
    pub bootstrap_servers: Option<String>,
    /// For every client.
    pub general: BTreeMap<String, String>,
    pub consumer: BTreeMap<String, String>,
    pub producer: BTreeMap<String, String>,
    pub group: Option<String>,
    /// `auto_offset_reset`: whether a new group begins at the beginning.
    pub from_beginning: Option<bool>,
    /// `events` › `topic_maps`, in the order of the file.
    pub topic_map: Option<TopicMap>,
    /// `inbound` › `topics`.
    pub inbound_topics: Option<Vec<String>>,
    /// `outbound` › `topic`.
    pub outbound_topic: Option<String>,
    /// A line for each option that has no effect, with the reason.
    pub warnings: Vec<String>,
}

impl PluginFile {
    /// Errors: it cannot be read, is not YAML, has an option that is not known
    /// or a value that is none.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
            what: "plugin configuration",
            file: file.clone(),
            cause: error.to_string(),
            remedy: "correct --plugin-config or bridge-plugin-config",
        })?;
        Self::parse(&text, &file)
    }

    /// Whether the broker shows a certificate.
    pub(super) fn asks_for_ssl(&self) -> bool {
        let protocol = self.general.get("security.protocol");
        protocol.is_some_and(|protocol| protocol.ends_with("ssl"))
    }

    /// `file` is for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let document: Value = match text.trim().is_empty() {
            true => Value::Null,
            false => serde_saphyr::from_str(text)
                .map_err(|error| wrong(file, &format!("not valid YAML: {}", one_line(error))))?,
        };
        let Value::Object(top) = document else {
            return match document {
                Value::Null => Ok(Self::default()),
                _ => Err(wrong(file, "it must be a table of plugins")),
            };
        };
        let mut found = top
            .iter()
            .filter(|(key, _)| TOP_KEYS.contains(&key.as_str()));
        match (found.next(), found.next()) {
            (None, _) => Err(wrong(
                file,
                "it has no section kafka_events (or kafka_queue): the bridge reads that one",
            )),
            (Some((a, _)), Some((b, _))) => Err(wrong(
                file,
                &format!("it has both {a} and {b}: remove one of them"),
            )),
            (Some((key, value)), None) => plugin_sections::read(file, key, value),
        }
    }
}

/// The parser's words without the excerpt of the file, which may hold a secret.
fn one_line(error: impl fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim();
    line.trim_start_matches("error: ").to_owned()
}

impl fmt::Debug for PluginFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PluginFile")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("general", &shown_properties(&self.general))
            .field("consumer", &shown_properties(&self.consumer))
            .field("producer", &shown_properties(&self.producer))
            .field("group", &self.group)
            .field("from_beginning", &self.from_beginning)
            .field("topic_map", &self.topic_map)
            .field("inbound_topics", &self.inbound_topics)
            .field("outbound_topic", &self.outbound_topic)
            .field("warnings", &self.warnings)
            .finish()
    }
}
