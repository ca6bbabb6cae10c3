//! hop-client's auth file: TOML with `[[auth]]` tables, or the single `[auth]`
//! table of its early versions.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::auth::{Mechanism, Protocol};
use super::document::{Item, Raw, Source, parse};
use super::error::{ConfigError, Problem};
use super::hop::{Host, split_port};
use super::value::{Word, words};

/// What to do when the file cannot be read.
const REMEDY: &str = "write it with `hop auth add`, or set HOP_USERNAME and HOP_PASSWORD";

/// An entry that is checked.
pub(super) struct AuthEntry {
    username: String,
    password: String,
    pub protocol: Protocol,
    pub mechanism: Mechanism,
    pub ssl_ca_location: Option<PathBuf>,
}

impl AuthEntry {
    pub fn credential(&self) -> (String, String) {
        (self.username.clone(), self.password.clone())
    }
}

/// The file's tables, unchecked: what is wrong with another host's entry does
/// not matter.
pub(super) struct AuthFile {
    file: String,
    tables: Vec<Vec<Item>>,
}

impl AuthFile {
    /// Refuses a file that group or others can read, as hop-client does.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| Problem::Unreadable {
            what: "auth file",
            file: file.clone(),
            cause: error.to_string(),
            remedy: REMEDY,
        };
        let mut open = std::fs::File::open(path).map_err(unreadable)?;
        let mode = open.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let quoted = format!("'{}'", file.replace('\'', r"'\''"));
            return Err(Problem::AuthFileOpen { file, mode, quoted }.into());
        }
        let mut text = String::new();
        open.read_to_string(&mut text).map_err(unreadable)?;
        AuthFile::parse(&text, file)
    }

    fn parse(text: &str, file: String) -> Result<Self, ConfigError> {
        let items = parse(text, &Source::File(file.clone()))?;
        let mut auth_file = AuthFile {
            file,
            tables: Vec::new(),
        };
        let auth = items.into_iter().find(|item| item.key == "auth");
        let entries = match auth.map(|item| item.value) {
            Some(Raw::Table(table)) => vec![Raw::Table(table)],
            Some(Raw::Array(entries)) => entries,
            _ => Vec::new(),
        };
        for entry in entries {
            match entry {
                Raw::Table(table) => auth_file.tables.push(table),
                _ => {
                    return Err(auth_file.error(
                        "auth must be a list of tables: write [[auth]] in front of each credential",
                    ));
                }
            }
        }
        if auth_file.tables.is_empty() {
            return Err(auth_file.error("it has no [[auth]] table: add one with `hop auth add`"));
        }
        Ok(auth_file)
    }

    /// Whether [`AuthFile::entry`] finds an entry for the host.
    pub fn knows(&self, host: &Host) -> bool {
        !self.candidates(host).is_empty()
    }

    /// The one entry for the host, else the one without a hostname.
    pub fn entry(&self, host: &Host) -> Result<AuthEntry, ConfigError> {
        match self.candidates(host)[..] {
            [] => {
                let known: Vec<_> = self
                    .tables
                    .iter()
                    .filter_map(|t| text(t, "hostname"))
                    .collect();
                Err(self.error(&format!(
                    "it has no entry for {} (only for {}): add one with `hop auth add`, \
                     or set HOP_USERNAME and HOP_PASSWORD",
                    host.name,
                    known.join(", "),
                )))
            }
            [table] => self.check(table),
            _ => Err(self.error(&format!(
                "it has several entries for {}: keep one, or set HOP_USERNAME and HOP_PASSWORD",
                host.name
            ))),
        }
    }

    fn candidates(&self, host: &Host) -> Vec<&Vec<Item>> {
        let exact: Vec<_> = self
            .tables
            .iter()
            .filter(|table| is_for(table, host))
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        let anywhere = |table: &&Vec<Item>| text(table, "hostname").is_none_or(str::is_empty);
        self.tables.iter().filter(anywhere).collect()
    }

    fn check(&self, table: &[Item]) -> Result<AuthEntry, ConfigError> {
        let mechanism = self.optional(table, "mechanism")?;
        let protocol = self.optional(table, "protocol")?;
        Ok(AuthEntry {
            username: self.required(table, "username")?,
            password: self.required(table, "password")?,
            protocol: match protocol {
                Some(word) => self.word(table, "protocol", &word)?,
                None => Protocol::SaslSsl,
            },
            mechanism: match mechanism {
                // hop-client takes SCRAM_SHA_512 for SCRAM-SHA-512.
                Some(word) => self.word(table, "mechanism", &word.replace('_', "-"))?,
                None => Mechanism::ScramSha512,
            },
            ssl_ca_location: self.optional(table, "ssl_ca_location")?.map(PathBuf::from),
        })
    }

    fn word<T: Word>(&self, table: &[Item], key: &str, word: &str) -> Result<T, ConfigError> {
        T::of_word(word).ok_or_else(|| {
            let known = words::<T>().join(", ");
            self.error_at(table, key, &format!("must be one of {known}, not {word:?}"))
        })
    }

    fn required(&self, table: &[Item], key: &str) -> Result<String, ConfigError> {
        self.optional(table, key)?.ok_or_else(|| {
            self.error(&format!(
                "an [[auth]] table has no {key}: add it with `hop auth add`"
            ))
        })
    }

    /// Never shows the value: it may be the password.
    fn optional(&self, table: &[Item], key: &str) -> Result<Option<String>, ConfigError> {
        let Some(item) = table.iter().find(|item| item.key == key) else {
            return Ok(None);
        };
        match &item.value {
            Raw::Text(text) if text.contains(char::is_control) => {
                Err(self.error_at(table, key, "contains a control character: remove it"))
            }
            Raw::Text(text) if text.is_empty() => Ok(None),
            Raw::Text(text) => Ok(Some(text.clone())),
            _ => Err(self.error_at(table, key, "must be text: put it into quotes")),
        }
    }

    fn error_at(&self, table: &[Item], key: &str, cause: &str) -> ConfigError {
        let line = table
            .iter()
            .find(|item| item.key == key)
            .map_or(0, |item| item.line);
        self.error(&format!("line {line}: {key} {cause}"))
    }

    fn error(&self, cause: &str) -> ConfigError {
        Problem::AuthFile {
            file: self.file.clone(),
            cause: cause.to_owned(),
        }
        .into()
    }
}

/// Whether the entry's hostname is the host's, and its port too where it has
/// one.
fn is_for(table: &[Item], host: &Host) -> bool {
    let Some(hostname) = text(table, "hostname") else {
        return false;
    };
    let (name, port) = split_port(hostname);
    name.eq_ignore_ascii_case(&host.name) && port.is_none_or(|port| port == host.port.to_string())
}

fn text<'a>(table: &'a [Item], key: &str) -> Option<&'a str> {
    let item = table.iter().find(|item| item.key == key)?;
    match &item.value {
        Raw::Text(text) => Some(text),
        _ => None,
    }
}
