//! What surrounds the process: its environment variables and its working
//! directory, as a value, so that whoever reads configuration can be handed
//! another one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    directory: PathBuf,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        Environment::from_variables(std::env::vars_os())
    }

    /// These variables and no others, in the process's working directory.
    pub fn from_variables<I, K, V>(variables: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<OsString>,
        V: Into<OsString>,
    {
        Environment {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            directory: PathBuf::new(),
        }
    }

    /// The same variables; `./housekeeping.toml` is looked for in `directory`.
    #[must_use]
    pub fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// The variable's value; `None` when it is not set or empty.
    pub fn get(&self, variable: &str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.variables.get(OsStr::new(variable)) else {
            return Ok(None);
        };
        match value.to_str() {
            Some("") => Ok(None),
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Problem::NotText {
                variable: variable.to_owned(),
            }
            .into()),
        }
    }

    /// `path` from the working directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// `~` and `~/…` with the home directory put in; any other path as it is,
    /// and so is everything where `HOME` is not set.
    pub(super) fn expand_home(&self, path: &str) -> PathBuf {
        let home = self.variables.get(OsStr::new("HOME"));
        match (path.strip_prefix('~'), home) {
            (Some(""), Some(home)) => PathBuf::from(home),
            (Some(rest), Some(home)) if rest.starts_with('/') => {
                Path::new(home).join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(path),
        }
    }
}

impl fmt::Debug for Environment {
    /// Without the variables: secrets are among them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field(
                "variables",
                &format_args!("[{} hidden]", self.variables.len()),
            )
            .field("directory", &self.directory)
            .finish()
    }
}
