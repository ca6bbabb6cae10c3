//! A configuration file: its stanzas, each of one kind, with known keys only.

use super::document::{Item, Raw, Source, parse};
use super::error::{ConfigError, Problem};
use super::stanza_kind::{StanzaKind, nearest};

/// `[name]` and what stands below it.
#[derive(Clone, Debug)]
pub(super) struct Stanza {
    pub name: String,
    pub source: Source,
    /// `None` when nothing in it tells.
    pub kind: Option<StanzaKind>,
    pub items: Vec<Item>,
    /// What is wrong with its keys' names.
    pub errors: Vec<ConfigError>,
}

/// All stanzas, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub source: Source,
    pub stanzas: Vec<Stanza>,
    /// What is wrong outside of any stanza.
    pub errors: Vec<ConfigError>,
}

impl ConfigFile {
    /// `Err` when the text is not TOML. Whatever else is wrong is kept with
    /// the stanza: see [`ConfigFile::first_error`].
    pub fn parse(text: &str, source: Source) -> Result<Self, ConfigError> {
        let mut file = ConfigFile {
            stanzas: Vec::new(),
            errors: Vec::new(),
            source,
        };
        for item in parse(text, &file.source)? {
            match item.value {
                Raw::Table(items) => {
                    let stanza = Stanza::read(&item.key, item.line, items, &file.source);
                    file.stanzas.push(stanza);
                }
                _ => {
                    let error = outside(&item, &file.source);
                    file.errors.push(error);
                }
            }
        }
        Ok(file)
    }

    pub fn stanza(&self, name: &str) -> Option<&Stanza> {
        self.stanzas.iter().find(|stanza| stanza.name == name)
    }

    /// Unknown, misplaced and mixed keys, secrets: of all stanzas, chosen or not.
    pub fn first_error(&self) -> Option<&ConfigError> {
        let of_stanzas = self.stanzas.iter().flat_map(|stanza| &stanza.errors);
        self.errors.iter().chain(of_stanzas).next()
    }
}

fn outside(item: &Item, source: &Source) -> ConfigError {
    let at = source.at(item.line);
    match (&item.value, StanzaKind::of_key(&item.key)) {
        (Raw::Array(_), None) => Problem::ListOfStanzas {
            at,
            stanza: item.key.clone(),
        },
        (_, kind) => Problem::OutsideStanza {
            at,
            key: item.key.clone(),
            stanza: kind.map_or("log", |(kind, _)| kind.default_stanza()),
        },
    }
    .into()
}

impl Stanza {
    fn read(name: &str, line: usize, items: Vec<Item>, source: &Source) -> Self {
        let kind = kind_of(name, &items);
        let mut stanza = Stanza {
            name: name.to_owned(),
            source: source.clone(),
            kind,
            items,
            errors: Vec::new(),
        };
        stanza.errors = stanza
            .items
            .iter()
            .filter_map(|i| stanza.check(i))
            .collect();
        if stanza.items.is_empty() && kind.is_none() {
            stanza.errors.push(stanza.empty(line));
        }
        stanza
    }

    fn empty(&self, line: usize) -> ConfigError {
        let known = StanzaKind::ALL.iter().map(|kind| kind.default_stanza());
        Problem::EmptyStanza {
            at: self.source.at(line),
            stanza: self.name.clone(),
            nearest: nearest(&self.name, known).unwrap_or("log").to_owned(),
        }
        .into()
    }

    /// What is wrong with a key's name here.
    fn check(&self, item: &Item) -> Option<ConfigError> {
        let (at, stanza) = (self.source.at(item.line), self.name.clone());
        let name = item.key.clone();
        let Some((kind, key)) = StanzaKind::of_key(&name) else {
            let nearest = nearest_key(&name, self.kind).to_owned();
            let problem = Problem::UnknownKey {
                at,
                stanza,
                key: name,
                nearest,
            };
            return Some(problem.into());
        };
        if key.is_secret() {
            let problem = Problem::SecretInFile {
                at,
                stanza,
                key: name,
                variable: key.variable(),
            };
            return Some(problem.into());
        }
        self.misplaced(kind, item)
    }

    fn misplaced(&self, kind: StanzaKind, item: &Item) -> Option<ConfigError> {
        let (at, stanza) = (self.source.at(item.line), self.name.clone());
        let key = item.key.clone();
        let home = kind.default_stanza();
        let problem = match self.kind {
            Some(own) if own != kind => Problem::MixedStanza {
                at,
                stanza,
                key,
                prefix: own.prefix(),
            },
            _ if kind.option().is_none() && self.name != home => Problem::MisplacedKey {
                at,
                stanza,
                key,
                home,
            },
            _ => return None,
        };
        Some(problem.into())
    }
}

/// The kind that the stanza's name tells where there is one such stanza only,
/// else its first known key, else a name that is built in.
fn kind_of(name: &str, items: &[Item]) -> Option<StanzaKind> {
    let by_name = StanzaKind::of_stanza(name);
    let by_key = items
        .iter()
        .find_map(|item| StanzaKind::of_key(&item.key).map(|(kind, _)| kind));
    match by_name {
        Some(kind) if kind.option().is_none() => by_name,
        _ => by_key.or(by_name),
    }
}

/// Among the keys of the stanza's kind, or all keys when it has none.
fn nearest_key(name: &str, kind: Option<StanzaKind>) -> &'static str {
    let kinds = match &kind {
        Some(kind) => std::slice::from_ref(kind),
        None => StanzaKind::ALL,
    };
    let keys = kinds.iter().flat_map(|kind| kind.keys());
    nearest(name, keys.map(|key| key.name)).unwrap_or("hop-type")
}
