//! Aether Producer's settings file: JSON, settings in lower case.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};

use super::aether::as_text;
use super::error::{ConfigError, Problem};

pub(super) struct SettingsFile {
    file: String,
    settings: Map<String, Json>,
}

/// Settings that this program acts on, or that ask for nothing here.
const KNOWN: &[&str] = &[
    "fetch_size",
    "flask_settings",
    "kafka_default_topic_partitions",
    "kafka_default_topic_replicas",
    "kafka_failure_wait_time",
    "kafka_security",
    "kafka_settings",
    "kafka_su_pw",
    "kafka_su_user",
    "kafka_url",
    "kernel_access_type",
    "kernel_db_pool_size",
    "log_level",
    "offset_db_host",
    "offset_db_name",
    "offset_db_password",
    "offset_db_pool_size",
    "offset_db_port",
    "offset_db_user",
    "postgres_dbname",
    "postgres_host",
    "postgres_password",
    "postgres_port",
    "postgres_user",
    "producer_admin_pw",
    "producer_admin_user",
    "server_ip",
    "server_port",
    "sleep_time",
    "start_delay",
    "topic_settings",
    "window_size_sec",
];

/// What of the groups is acted on.
const KNOWN_IN_GROUPS: &[(&str, &[&str])] = &[
    ("flask_settings", &["max_connections", "pretty_json_status"]),
    ("kafka_settings", &["default.topic.config"]),
    ("topic_settings", &["name_modifier"]),
];

const REMEDY: &str = "correct PRODUCER_SETTINGS_FILE, or unset it";

impl SettingsFile {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
            what: "settings file",
            file: file.clone(),
            cause: error.to_string(),
            remedy: REMEDY,
        })?;
        SettingsFile::parse(&file, &text)
    }

    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let unreadable = |cause: String| Problem::Unreadable {
            what: "settings file",
            file: file.to_owned(),
            cause,
            remedy: "correct it",
        };
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Json::Object(settings)) => Ok(Self {
                file: file.to_owned(),
                settings,
            }),
            Ok(_) => Err(unreadable("it is not a JSON object".to_owned()).into()),
            Err(error) => Err(unreadable(format!("it is not JSON: {error}")).into()),
        }
    }

    /// A setting, or one in a group, as it would stand in the environment.
    pub fn text(&self, path: &[&str]) -> Result<Option<String>, ConfigError> {
        let found = match path {
            [setting] => self.settings.get(*setting),
            [group, setting] => self.group(group)?.and_then(|group| group.get(*setting)),
            _ => None,
        };
        let text = found.map(as_text).transpose();
        let text = text.map_err(|why| self.wrong(&path.join("."), why))?;
        Ok(text.flatten())
    }

    /// `kafka_settings."default.topic.config"`.
    pub fn topic_properties(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let name = "kafka_settings.default.topic.config";
        let kafka = self.group("kafka_settings")?;
        let given = match kafka.and_then(|group| group.get("default.topic.config")) {
            None | Some(Json::Null) => return Ok(BTreeMap::new()),
            Some(Json::Object(given)) => given,
            Some(_) => return Err(self.wrong(name, "it must be an object".to_owned())),
        };
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let mut properties = BTreeMap::new();
        for (property, value) in given {
            let value = as_text(value).map_err(|why| self.wrong(name, why))?;
            let value = value.filter(|value| !value.contains(char::is_control));
            match value {
                Some(value) if !property.is_empty() && property.chars().all(legal) => {
                    properties.insert(property.clone(), value);
                }
                _ => {
                    let why = format!(
                        "{property:?} is not a property of a topic with a value: \
                         write it like \"retention.ms\": 604800000"
                    );
                    return Err(self.wrong(name, why));
                }
            }
        }
        Ok(properties)
    }

    /// The names of settings that nothing acts on.
    pub fn unknown(&self) -> Vec<String> {
        let outside = self
            .settings
            .keys()
            .filter(|name| !KNOWN.contains(&name.as_str()));
        let mut unknown: Vec<String> = outside.cloned().collect();
        for (group, known) in KNOWN_IN_GROUPS {
            let Ok(Some(settings)) = self.group(group) else {
                continue;
            };
            let inside = settings
                .keys()
                .filter(|name| !known.contains(&name.as_str()));
            unknown.extend(inside.map(|name| format!("{group}.{name}")));
        }
        unknown
    }

    fn group(&self, group: &str) -> Result<Option<&Map<String, Json>>, ConfigError> {
        match self.settings.get(group) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(settings)) => Ok(Some(settings)),
            Some(_) => Err(self.wrong(group, "it must be an object".to_owned())),
        }
    }

    fn wrong(&self, setting: &str, why: String) -> ConfigError {
        Problem::AetherSetting {
            setting: format!("{setting} in {}", self.file),
            why,
        }
        .into()
    }
}
