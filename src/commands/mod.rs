//! One file a subcommand: the whole story of that command, top to bottom.

pub mod config;
pub mod open;
pub mod run;
mod table;

use crate::config::ConfigError;

/// How a command ended, as its exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done and clean.
    Clean,
    /// 1: done, and it found what must not be.
    Found,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: it could not do its work.
    Failed,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Failed => 3,
        }
    }
}

/// A command line that parses but makes no sense; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code of a command that failed: the only place that decides it.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<ConfigError>() {
            return Exit::Usage;
        }
    }
    Exit::Failed
}
