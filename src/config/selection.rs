//! What the command line says about the configuration.

use std::path::PathBuf;

use super::hop;
use super::stanza_kind::StanzaKind;
use super::value::Value;

/// `Default` is the command line without any option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--config`. Else `./housekeeping.toml` if it exists, else the built-in one.
    pub config_file: Option<PathBuf>,
    /// `--veto-list`. Else `veto.list` beside the configuration file, if there;
    /// for the built-in configuration the built-in one.
    pub veto_list: Option<PathBuf>,
    /// `-H`. Else `mock-hop`.
    pub hop: Option<String>,
    /// `-D`. Else `file-db`.
    pub database: Option<String>,
    /// `-S`. Else `file-store`.
    pub store: Option<String>,
    /// `-K`. Else `demo-kernel` where the hop is a mock, and none where it is a
    /// real broker.
    pub kernel: Option<String>,
    /// `--bridge`, or the name after `bridge`. Else `bridge`.
    pub bridge: Option<String>,
    /// `--plugin-config`; `None` leaves it to the configuration.
    pub plugin_config: Option<PathBuf>,
    /// `-R`. Else none.
    pub registry: Option<String>,
    /// `--until-eos`; `false` leaves it to the configuration.
    pub until_eos: bool,
    /// `--test-topic`; `None` leaves it to the configuration.
    pub test_topic: Option<String>,
}

impl Selection {
    /// The stanza of a kind: the chosen one, or its default.
    pub fn stanza(&self, kind: StanzaKind) -> &str {
        let chosen = match kind {
            StanzaKind::Hop => &self.hop,
            StanzaKind::Database => &self.database,
            StanzaKind::Store => &self.store,
            StanzaKind::Kernel => &self.kernel,
            StanzaKind::Bridge => &self.bridge,
            StanzaKind::Registry => &self.registry,
            StanzaKind::Log | StanzaKind::Archive | StanzaKind::Listen | StanzaKind::Produce => {
                &None
            }
        };
        chosen.as_deref().unwrap_or(kind.default_stanza())
    }

    /// Whether the command line names any stanza.
    pub(super) fn names_any(&self) -> bool {
        let named = [&self.hop, &self.database, &self.store, &self.kernel];
        named.iter().any(|name| name.is_some())
    }

    /// What goes before the environment, as (key, value, option).
    pub(super) fn overrides(&self) -> Vec<(&'static str, Value, &'static str)> {
        let until_eos =
            self.until_eos
                .then_some((hop::UNTIL_EOS.name, Value::Flag(true), "--until-eos"));
        let test_topic = self
            .test_topic
            .clone()
            .map(|topic| (hop::TEST_TOPIC.name, Value::Text(topic), "--test-topic"));
        until_eos.into_iter().chain(test_topic).collect()
    }
}
