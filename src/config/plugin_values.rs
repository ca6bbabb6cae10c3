//! Values of the plugin's file, each with the place where it stands.

use serde_json::{Map, Value};

use super::error::{ConfigError, Problem};
use super::stanza_kind::nearest;
use super::topic_map::TopicMap;
use super::topics::{is_topic_name, not_a_topic_name};

const PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
const COMPRESSIONS: &[&str] = &["gzip", "snappy", "lz4", "zstd", "none"];

/// Reads values; `file` is for messages.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub file: &'a str,
}

impl Values<'_> {
    /// The value of an option, as librdkafka reads it.
    pub fn property(&self, place: &str, name: &str, value: &Value) -> Result<String, ConfigError> {
        let text = self.text(place, value)?;
        if name.ends_with("_ms") || name.ends_with("_bytes") || name.ends_with("_size") {
            return self.number(place, &text);
        }
        match name {
            "security_protocol" => {
                let protocol = self.one_of(place, text, PROTOCOLS)?;
                Ok(protocol.to_ascii_lowercase())
            }
            "sasl_mechanism" => self.one_of(place, text, MECHANISMS),
            "compression_type" => self.one_of(place, text, COMPRESSIONS),
            "check_crcs" => self.one_of(place, text, &["true", "false"]),
            _ => Ok(text),
        }
    }

    fn number(&self, place: &str, text: &str) -> Result<String, ConfigError> {
        // The template of the plugin has commas after some numbers.
        match text.trim_end_matches(',').trim().parse::<u64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(self.wrong(place, "it must be a whole number")),
        }
    }

    pub fn one_of(&self, place: &str, text: String, known: &[&str]) -> Result<String, ConfigError> {
        match known.contains(&text.as_str()) {
            true => Ok(text),
            false => Err(self.wrong(place, &format!("it must be {}", either(known)))),
        }
    }

    pub fn text(&self, place: &str, value: &Value) -> Result<String, ConfigError> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            _ => return Err(self.wrong(place, "it must be one value")),
        };
        match text.is_empty() || text.contains(char::is_control) {
            true => Err(self.wrong(place, "it is empty or contains a control character")),
            false => Ok(text),
        }
    }

    /// A list, or one text.
    pub fn texts(&self, place: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.text(place, item)).collect(),
            one => Ok(vec![self.text(place, one)?]),
        }
    }

    /// The name of a topic on Kafka.
    pub fn topic(&self, place: &str, value: &Value) -> Result<String, ConfigError> {
        self.checked(place, self.text(place, value)?)
    }

    fn checked(&self, place: &str, topic: String) -> Result<String, ConfigError> {
        match is_topic_name(&topic) {
            true => Ok(topic),
            false => Err(self.wrong(place, &not_a_topic_name(&topic))),
        }
    }

    /// A list of topics, or one, but not none.
    pub fn topics(&self, place: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
        let topics = self.texts(place, value)?;
        if topics.is_empty() {
            return Err(self.wrong(place, "it names no topic: name one, or remove it"));
        }
        let topics = topics.into_iter();
        topics.map(|topic| self.checked(place, topic)).collect()
    }

    /// Patterns of events, each with a template.
    pub fn topic_map(&self, place: &str, value: &Value) -> Result<TopicMap, ConfigError> {
        let mut map = Vec::new();
        for (pattern, template) in self.table(place, value)? {
            let template = self.text(&format!("{place} › {pattern}"), &template)?;
            map.push((pattern, template));
        }
        TopicMap::parse(map).map_err(|error| self.wrong(place, &error.to_string()))
    }

    /// Nothing counts as an empty table.
    pub fn table(&self, place: &str, value: &Value) -> Result<Map<String, Value>, ConfigError> {
        match value {
            Value::Object(table) => Ok(table.clone()),
            Value::Null => Ok(Map::new()),
            _ => Err(self.wrong(place, "it must be a table")),
        }
    }

    pub fn unknown<'k>(
        &self,
        place: &str,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> ConfigError {
        let known: Vec<&str> = known.collect();
        // Options have underscores, where keys of the stanzas have hyphens.
        let hyphened: Vec<String> = known.iter().map(|name| name.replace('_', "-")).collect();
        let nearest = nearest(name, hyphened.iter().map(String::as_str)).unwrap_or_default();
        let nearest = known.iter().find(|name| name.replace('_', "-") == nearest);
        self.wrong(
            place,
            &format!(
                "there is no such option: the nearest is {}",
                nearest.unwrap_or(&"bootstrap_servers")
            ),
        )
    }

    pub fn wrong(&self, place: &str, why: &str) -> ConfigError {
        wrong(self.file, &format!("{place}: {why}"))
    }
}

/// Something is wrong with the file.
pub(super) fn wrong(file: &str, why: &str) -> ConfigError {
    Problem::PluginFile {
        file: file.to_owned(),
        why: why.to_owned(),
    }
    .into()
}

/// `A, B or C`.
fn either(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}
