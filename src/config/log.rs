//! `[log]`: what is told on stderr.

use tracing::Level;

use super::error::ConfigError;
use super::from_value::Word;
use super::key::Key;
use super::settings::Settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `log-level`: `error`, `warn`, `info` (default), `debug` or `trace`, or
    /// the name's upper-case form.
    pub level: Level,
    /// `log-format`: `text` (default) or `json`.
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

const LEVEL: Key = Key::choice::<Level>("log-level", "the least that is logged").default("info");
const FORMAT: Key =
    Key::choice::<LogFormat>("log-format", "how a log line is written").default("text");

pub(super) const KEYS: &[&Key] = &[&LEVEL, &FORMAT];

impl LogConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(LogConfig {
            level: settings.require(&LEVEL)?,
            format: settings.require(&FORMAT)?,
        })
    }
}

impl Word for Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Level::ERROR),
        // Python's word for the worst.
        ("critical", Level::ERROR),
        ("warn", Level::WARN),
        // Python's name, which existing files have.
        ("warning", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}
