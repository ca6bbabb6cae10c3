//! `[log]`: what is told on stderr.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `log-level`: `error`, `warn`, `info` (default), `debug` or `trace`, or
    /// the name's upper-case form.
    pub level: tracing::Level,
    /// `log-format`: `text` (default) or `json`.
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}
