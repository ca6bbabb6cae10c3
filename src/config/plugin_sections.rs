//! The sections of the plugin's file, option after option.

use serde_json::Value;

use super::error::ConfigError;
use super::plugin_file::PluginFile;
use super::plugin_options::{Becomes, Section};
use super::plugin_values::Values;

/// Of the second generation: event patterns with topic templates, and topics.
const EVENTS: &str = "events";
const INBOUND: &str = "inbound";
const OUTBOUND: &str = "outbound";

/// What the plugin's part of the file says, which stands below `key`.
pub(super) fn read(file: &str, key: &str, value: &Value) -> Result<PluginFile, ConfigError> {
    let mut reader = Reader {
        values: Values { file },
        read: PluginFile::default(),
    };
    reader.plugin(key, value)?;
    Ok(reader.read)
}

struct Reader<'a> {
    values: Values<'a>,
    read: PluginFile,
}

impl Reader<'_> {
    fn plugin(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in self.values.table(key, value)? {
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
        for (name, value) in self.values.table(place, value)? {
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
        for (name, value) in self.values.table(place, value)? {
            let place = format!("{place} › {name}");
            // As in the plugin: what is empty is not given.
            if value.is_null() {
                continue;
            }
            match (part, name.as_str()) {
                (EVENTS | OUTBOUND, "producer") => {
                    self.client(Section::Producer, &place, &value)?;
                }
                (INBOUND, "consumer") => self.client(Section::Consumer, &place, &value)?,
                (INBOUND, "group_id" | "group-id") => {
                    self.option(Section::Consumer, &place, "group_id", &value)?;
                }
                (EVENTS, "topic_maps" | "topic-maps") => {
                    // As in the plugin: an empty one is none.
                    let map = self.values.topic_map(&place, &value)?;
                    self.read.topic_map = (!map.is_empty()).then_some(map);
                }
                (INBOUND, "topics") => {
                    self.read.inbound_topics = Some(self.values.topics(&place, &value)?);
                }
                (OUTBOUND, "topic") => {
                    self.read.outbound_topic = Some(self.values.topic(&place, &value)?);
                }
                _ => {
                    let known = ["producer", "consumer", "topic_maps", "topics", "topic"];
                    return Err(self.values.unknown(&place, &name, known.into_iter()));
                }
            }
        }
        Ok(())
    }

    /// Options of the section, and general ones among them, spelled with `_` or
    /// with `-`.
    fn client(&mut self, section: Section, place: &str, value: &Value) -> Result<(), ConfigError> {
        for (name, value) in self.values.table(place, value)? {
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
            return Err(self.values.unknown(place, name, known));
        };
        // As in the plugin: what is empty is not given.
        if value.is_null() {
            return Ok(());
        }
        match option.becomes {
            Becomes::Nothing(why) => {
                let file = self.values.file;
                let warning = format!("{file}: {place} has no effect: {why}");
                self.read.warnings.push(warning);
                Ok(())
            }
            Becomes::Bridge(_) => self.own(place, name, value),
            Becomes::Property(property) => {
                let text = self.values.property(place, name, value)?;
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
                self.read.bootstrap_servers = Some(self.values.texts(place, value)?.join(","));
            }
            "group_id" => self.read.group = Some(self.values.text(place, value)?),
            _ => {
                let word = self.values.text(place, value)?;
                let word = self.values.one_of(place, word, &["latest", "earliest"])?;
                self.read.from_beginning = Some(word == "earliest");
            }
        }
        Ok(())
    }
}
