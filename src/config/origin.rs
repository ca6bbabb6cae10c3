//! Where a value comes from.

use std::fmt;

/// The layer that gave a value, the later ones winning: default, built in,
/// file, environment, command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The key's own default.
    Default,
    /// The configuration that is part of this program, and the line in it.
    BuiltIn { line: usize },
    /// A file and the line in it, from 1.
    File { file: String, line: usize },
    /// An environment variable.
    Environment { variable: String },
    /// An option of the command line.
    CommandLine { option: &'static str },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(out, "default"),
            Origin::BuiltIn { .. } => write!(out, "built in"),
            Origin::File { file, line } => write!(out, "{file}:{line}"),
            Origin::Environment { variable } => write!(out, "environment variable {variable}"),
            Origin::CommandLine { option } => write!(out, "command line {option}"),
        }
    }
}
