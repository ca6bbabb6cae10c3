//! The file of `--plugin-config`, as the agent's Kafka plugins read it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use super::error::{ConfigError, Problem};
use super::plugin_options::{Becomes, Section};
use super::stanza_kind::nearest;
use super::value::shown_properties;

/// The plugins' names in the file; other plugins have theirs beside it.
const TOP_KEYS: [&str; 4] = ["kafka_events", "kafka_queue", "kafka", "kafka-queue"];

/// Of the second generation: event patterns with topic templates, and topics.
const EVENTS: &str = "events";
const INBOUND: &str = "inbound";
const OUTBOUND: &str = "outbound";

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
    pub topic_map: Option<Vec<(String, String)>>,
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
        let mut reader = Reader {
            file,
            read: Self::default(),
        };
        match (found.next(), found.next()) {
            (None, _) => Err(wrong(
                file,
                "it has no section kafka_events (or kafka_queue): the bridge reads that one",
            )),
            (Some((a, _)), Some((b, _))) => Err(wrong(
                file,
                &format!("it has both {a} and {b}: remove one of them"),
            )),
            (Some((key, value)), None) => {
                reader.plugin(key, value)?;
                Ok(reader.read)
            }
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    read: PluginFile,
}

impl Reader<'_> {
    fn plugin(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in self.table(key, value)? {
            let place = format!("{key} › {name}");
            match name.as_str() {
                "consumer-config" | "consumer_config" => {
                    self.section(Section::Consumer, &place, &value)?;
                }
                "producer-config" | "producer_config" => {
                    self.section(Section::Producer, &place, &value)?;
                }
                EVENTS | INBOUND | OUTBOUND => self.second_generation(&name, &place, &value)?,
                _ => self.option(Section::General, &place, &name, &value)?,
            }
        }
        Ok(())
    }

    fn section(&mut self, section: Section, place: &str, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in self.table(place, value)? {
            self.option(section, &format!("{place} › {name}"), &name, &value)?;
        }
        Ok(())
    }

    /// `events`, `inbound` or `outbound`, each with a client of its own.
    fn second_generation(
        &mut self,
        part: &str,
        place: &str,
        value: &Value,
    ) -> Result<(), ConfigError> {
        for (name, value) in self.table(place, value)? {
            let place = format!("{place} › {name}");
            match (part, name.as_str()) {
                (EVENTS | OUTBOUND, "producer") => {
                    self.client(Section::Producer, &place, &value)?;
                }
                (INBOUND, "consumer") => self.client(Section::Consumer, &place, &value)?,
                (INBOUND, "group_id" | "group-id") => {
                    self.option(Section::Consumer, &place, "group_id", &value)?;
                }
                (EVENTS, "topic_maps" | "topic-maps") => {
                    let map = self.table(&place, &value)?.into_iter();
                    let map = map.map(|(pattern, template)| {
                        let template = self.text(&format!("{place} › {pattern}"), &template)?;
                        Ok((pattern, template))
                    });
                    self.read.topic_map = Some(map.collect::<Result<_, ConfigError>>()?);
                }
                (INBOUND, "topics") => {
                    self.read.inbound_topics = Some(self.texts(&place, &value)?);
                }
                (OUTBOUND, "topic") => self.read.outbound_topic = Some(self.text(&place, &value)?),
                _ => {
                    let known = ["producer", "consumer", "topic_maps", "topics", "topic"];
                    return Err(self.unknown(&place, &name, known.into_iter()));
                }
            }
        }
        Ok(())
    }

    /// Options of the section, and general ones among them, spelled with `_` or
    /// with `-`.
    fn client(&mut self, section: Section, place: &str, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in self.table(place, value)? {
            let place = format!("{place} › {name}");
            let name = name.replace('-', "_");
            let section = match section.option(&name) {
                Some(_) => section,
                None => Section::General,
            };
            self.option(section, &place, &name, &value)?;
        }
        Ok(())
    }

    fn option(
        &mut self,
        section: Section,
        place: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), ConfigError> {
        let Some(option) = section.option(name) else {
            let known = section.options().iter().map(|option| option.name);
            return Err(self.unknown(place, name, known));
        };
        // As in the plugin: what is empty is not given.
        if matches!(value, Value::Null) {
            return Ok(());
        }
        match option.becomes {
            Becomes::Nothing(why) => {
                self.read
                    .warnings
                    .push(format!("{}: {place} has no effect: {why}", self.file));
                Ok(())
            }
            Becomes::Bridge(_) => self.own(place, name, value),
            Becomes::Property(property) => {
                let text = self.property(place, name, value)?;
                let properties = match section {
                    Section::General => &mut self.read.general,
                    Section::Consumer => &mut self.read.consumer,
                    Section::Producer => &mut self.read.producer,
                };
                properties.insert(property.to_owned(), text);
                Ok(())
            }
        }
    }

    fn own(&mut self, place: &str, name: &str, value: &Value) -> Result<(), ConfigError> {
        match name {
            "bootstrap_servers" => {
                self.read.bootstrap_servers = Some(self.texts(place, value)?.join(","));
            }
            "group_id" => self.read.group = Some(self.text(place, value)?),
            _ => {
                let word = self.text(place, value)?;
                self.read.from_beginning = Some(match word.as_str() {
                    "earliest" => true,
                    "latest" => false,
                    _ => return Err(self.wrong(place, "it must be latest or earliest")),
                });
            }
        }
        Ok(())
    }

    /// The value as librdkafka reads it.
    fn property(&self, place: &str, name: &str, value: &Value) -> Result<String, ConfigError> {
        let text = self.text(place, value)?;
        let is_number =
            name.ends_with("_ms") || name.ends_with("_bytes") || name.ends_with("_size");
        if is_number {
            // The template of the plugin has commas after some numbers.
            let digits = text.trim_end_matches(',').trim();
            return match digits.parse::<u64>() {
                Ok(number) => Ok(number.to_string()),
                Err(_) => Err(self.wrong(place, "it must be a whole number")),
            };
        }
        match name {
            "sasl_mechanism"
                if !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&text.as_str()) =>
            {
                Err(self.wrong(place, "it must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"))
            }
            "security_protocol" => {
                let known = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
                match known.contains(&text.as_str()) {
                    true => Ok(text.to_ascii_lowercase()),
                    false => {
                        Err(self.wrong(place, &format!("it must be one of {}", known.join(", "))))
                    }
                }
            }
            "compression_type" => {
                let known = ["gzip", "snappy", "lz4", "zstd", "none"];
                match known.contains(&text.as_str()) {
                    true => Ok(text),
                    false => {
                        Err(self.wrong(place, &format!("it must be one of {}", known.join(", "))))
                    }
                }
            }
            "check_crcs" if !["true", "false"].contains(&text.as_str()) => {
                Err(self.wrong(place, "it must be true or false"))
            }
            _ => Ok(text),
        }
    }

    fn text(&self, place: &str, value: &Value) -> Result<String, ConfigError> {
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
    fn texts(&self, place: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.text(place, item)).collect(),
            one => Ok(vec![self.text(place, one)?]),
        }
    }

    /// Nothing counts as an empty table.
    fn table(&self, place: &str, value: &Value) -> Result<Map<String, Value>, ConfigError> {
        match value {
            Value::Object(table) => Ok(table.clone()),
            Value::Null => Ok(Map::new()),
            _ => Err(self.wrong(place, "it must be a table")),
        }
    }

    fn unknown<'k>(
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

    fn wrong(&self, place: &str, why: &str) -> ConfigError {
        wrong(self.file, &format!("{place}: {why}"))
    }
}

fn wrong(file: &str, why: &str) -> ConfigError {
    Problem::PluginFile {
        file: file.to_owned(),
        why: why.to_owned(),
    }
    .into()
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
