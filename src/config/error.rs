//! What can be wrong with a configuration, each as one line.

use std::fmt;

use super::Origin;

/// Something in the configuration is wrong: the program exits 2.
///
/// Its `Display` is exactly one line that names the thing, the cause and what
/// to do, whatever the configuration contains; it never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Problem>);

impl ConfigError {
    /// Whether all that is wrong is a key or a word that other versions know
    /// and this one does not: harmless in a stanza that is not chosen.
    pub fn is_not_built(&self) -> bool {
        matches!(*self.0, Problem::NotBuilt { .. })
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    /// Control characters (a stanza's name may hold a line break) are escaped.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    write!(out, "{}", c.escape_default())?;
                }
                c => write!(out, "{c}")?,
            }
        }
        Ok(())
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        ConfigError(Box::new(problem))
    }
}

/// The wordings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{what} {file}: {cause}; {remedy}")]
    Unreadable {
        what: &'static str,
        file: String,
        cause: String,
        remedy: &'static str,
    },
    #[error("{at}: not valid TOML: {cause}; correct the line (text stands in quotes)")]
    Syntax { at: Origin, cause: String },
    #[error("{at}: {key} stands outside of any stanza: put it below a line like [{stanza}]")]
    OutsideStanza {
        at: Origin,
        key: String,
        stanza: &'static str,
    },
    #[error("{at}: [{stanza}] is written as a list of tables: write [{stanza}] once")]
    ListOfStanzas { at: Origin, stanza: String },
    #[error(
        "{at}: [{stanza}] has no keys: give it some or remove it (the nearest known stanza is [{nearest}])"
    )]
    EmptyStanza {
        at: Origin,
        stanza: String,
        nearest: String,
    },
    #[error("{at}: unknown key {key} in [{stanza}]: the nearest known key is {nearest}")]
    UnknownKey {
        at: Origin,
        stanza: String,
        key: String,
        nearest: String,
    },
    #[error(
        "{at}: {key} does not belong in [{stanza}], which has {prefix} keys: put it into a stanza of its own"
    )]
    MixedStanza {
        at: Origin,
        stanza: String,
        key: String,
        prefix: &'static str,
    },
    #[error("{at}: {key} belongs in the stanza [{home}], not in [{stanza}]: move it there")]
    MisplacedKey {
        at: Origin,
        stanza: String,
        key: String,
        home: &'static str,
    },
    #[error(
        "{at}: {key} in [{stanza}] is a secret, and secrets never stand in this file: remove it and set the environment variable {variable}"
    )]
    SecretInFile {
        at: Origin,
        stanza: String,
        key: String,
        variable: String,
    },
    #[error(
        "{option} {name}: there is no such stanza in {file}: the nearest is {nearest} (to choose from: {known})"
    )]
    UnknownStanza {
        option: &'static str,
        name: String,
        file: String,
        nearest: String,
        known: String,
    },
    #[error("{option} {name}: [{name}] has no {prefix} keys: choose one of {known}")]
    WrongStanza {
        option: &'static str,
        name: String,
        prefix: &'static str,
        known: String,
    },
    #[error("{at}: {key} in [{stanza}] must be {expected}, not {found}")]
    WrongValue {
        at: Origin,
        stanza: String,
        key: String,
        expected: String,
        found: String,
    },
    #[error("{at}: {key} in [{stanza}]: {why}")]
    Refused {
        at: Origin,
        stanza: String,
        key: String,
        why: String,
    },
    #[error(
        "[{stanza}] needs {key} ({about}): add it to the stanza or set the environment variable {variable}"
    )]
    Missing {
        stanza: String,
        key: &'static str,
        about: &'static str,
        variable: String,
    },
    #[error("{at}: {what} in [{stanza}] is known but not built yet: {instead}")]
    NotBuilt {
        at: Origin,
        stanza: String,
        what: String,
        instead: String,
    },
    #[error("environment variable {variable} is not UTF-8: set it to text")]
    NotText { variable: String },
    #[error("environment variable {set} is set and {missing} is not: set both or neither")]
    HalfCredential { set: String, missing: String },
    #[error(
        "[{stanza}]: {protocol} needs a credential: set HOP_USERNAME and HOP_PASSWORD, or hop-local-auth to the path of an auth.toml"
    )]
    NoCredential {
        stanza: String,
        protocol: &'static str,
    },
    #[error(
        "-K {kernel}: its entities are made up, and -H {hop} is a real broker: choose a kernel of your own, or leave -K out"
    )]
    DemoOnRealHop { kernel: String, hop: String },
    #[error("{setting}: {why}")]
    AetherSetting { setting: String, why: String },
    #[error("{setting} is not set ({about}): set it, or choose stanzas with -H, -D and -K")]
    AetherMissing { setting: String, about: String },
    #[error("plugin configuration {file}: {why}")]
    PluginFile { file: String, why: String },
    #[error("{at}: {why}")]
    VetoLine { at: Origin, why: String },
    #[error(
        "auth file {file} can be read by group or others (mode {mode:04o}): type chmod 600 {quoted}"
    )]
    AuthFileOpen {
        file: String,
        mode: u32,
        quoted: String,
    },
    #[error("auth file {file}: {cause}")]
    AuthFile { file: String, cause: String },
}

impl Problem {
    /// Of two variables that belong together only one is set.
    pub fn half(set: &str, missing: &str) -> ConfigError {
        Self::HalfCredential {
            set: set.to_owned(),
            missing: missing.to_owned(),
        }
        .into()
    }
}
