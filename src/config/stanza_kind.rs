//! The kinds of stanzas, told apart by the first word of their keys.

use super::key::Key;
use super::{archive, bridge, database, hop, kernel, listen, log, produce, registry, store};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StanzaKind {
    Log,
    Archive,
    Hop,
    Database,
    Store,
    /// HTTP listeners.
    Listen,
    /// Where entities come from.
    Kernel,
    /// How entities become records.
    Produce,
    /// An agent whose events go to Kafka, and records to it.
    Bridge,
    /// Schemas of events.
    Registry,
}

/// Stanzas that are there whatever the file says.
pub(super) const ALWAYS: &[(&str, StanzaKind)] = &[
    ("mock-hop", StanzaKind::Hop),
    ("file-db", StanzaKind::Database),
    ("file-store", StanzaKind::Store),
    ("demo-kernel", StanzaKind::Kernel),
    ("bridge", StanzaKind::Bridge),
];

/// Other names of those, unless the file has stanzas of these names.
const ALIASES: &[(&str, &str)] = &[("mock-db", "file-db"), ("mock-store", "file-store")];

impl StanzaKind {
    pub const ALL: &[StanzaKind] = &[
        StanzaKind::Log,
        StanzaKind::Archive,
        StanzaKind::Hop,
        StanzaKind::Database,
        StanzaKind::Store,
        StanzaKind::Listen,
        StanzaKind::Kernel,
        StanzaKind::Produce,
        StanzaKind::Bridge,
        StanzaKind::Registry,
    ];

    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            StanzaKind::Log => "log",
            StanzaKind::Archive => "archive",
            StanzaKind::Hop => "hop",
            StanzaKind::Database => "database",
            StanzaKind::Store => "store",
            StanzaKind::Listen => "listen",
            StanzaKind::Kernel => "kernel",
            StanzaKind::Produce => "produce",
            StanzaKind::Bridge => "bridge",
            StanzaKind::Registry => "registry",
        }
    }

    /// Every key that a stanza of this kind can have.
    pub fn keys(self) -> &'static [&'static Key] {
        match self {
            StanzaKind::Log => log::KEYS,
            StanzaKind::Archive => archive::KEYS,
            StanzaKind::Hop => hop::KEYS,
            StanzaKind::Database => database::KEYS,
            StanzaKind::Store => store::KEYS,
            StanzaKind::Listen => listen::KEYS,
            StanzaKind::Kernel => kernel::KEYS,
            StanzaKind::Produce => produce::KEYS,
            StanzaKind::Bridge => bridge::KEYS,
            StanzaKind::Registry => registry::KEYS,
        }
    }

    /// What the command line chooses it with; `None` where there is but one.
    pub fn option(self) -> Option<&'static str> {
        match self {
            StanzaKind::Hop => Some("-H"),
            StanzaKind::Database => Some("-D"),
            StanzaKind::Store => Some("-S"),
            StanzaKind::Kernel => Some("-K"),
            StanzaKind::Bridge => Some("--bridge"),
            StanzaKind::Registry => Some("-R"),
            StanzaKind::Log | StanzaKind::Archive | StanzaKind::Listen | StanzaKind::Produce => {
                None
            }
        }
    }

    /// What its keys start with, as messages say it.
    pub fn prefix(self) -> &'static str {
        match self {
            StanzaKind::Log => "log-",
            StanzaKind::Archive => "archive-",
            StanzaKind::Hop => "hop-",
            StanzaKind::Database => "db-",
            StanzaKind::Store => "store-",
            StanzaKind::Listen => "-listen",
            StanzaKind::Kernel => "kernel-",
            StanzaKind::Produce => "produce-",
            StanzaKind::Bridge => "bridge-",
            StanzaKind::Registry => "registry-",
        }
    }

    /// The stanza when none is chosen, or the only one there can be.
    pub fn default_stanza(self) -> &'static str {
        match self {
            StanzaKind::Log => "log",
            StanzaKind::Archive => "archive",
            StanzaKind::Hop => "mock-hop",
            StanzaKind::Database => "file-db",
            StanzaKind::Store => "file-store",
            StanzaKind::Listen => "listen",
            StanzaKind::Kernel => "demo-kernel",
            StanzaKind::Produce => "produce",
            StanzaKind::Bridge => "bridge",
            StanzaKind::Registry => "local-registry",
        }
    }

    /// The kind that has this key, with the key's declaration.
    pub fn of_key(name: &str) -> Option<(StanzaKind, &'static Key)> {
        StanzaKind::ALL.iter().find_map(|kind| {
            let key = kind.keys().iter().find(|key| key.name == name)?;
            Some((*kind, *key))
        })
    }

    /// The kind that a stanza's name alone tells.
    pub(super) fn of_stanza(name: &str) -> Option<StanzaKind> {
        let name = unalias(name);
        StanzaKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.default_stanza() == name)
    }
}

/// The built-in stanza that a name stands for, or the name itself.
pub(super) fn unalias(name: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    alias.map_or(name, |(_, stanza)| stanza)
}

/// The candidate that looks most like the name; `None` when there is none.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // As a key would be written; no key is so long that more would matter.
    let name: String = name.chars().take(80).collect();
    let name = name.to_ascii_lowercase().replace('_', "-");
    let distance = |candidate: &&str| {
        let whole = strsim::damerau_levenshtein(&name, candidate);
        // Older files leave out the first word: `level` for `log-level`.
        let rest = candidate.split_once('-').map_or(usize::MAX, |(_, rest)| {
            strsim::damerau_levenshtein(&name, rest).saturating_add(1)
        });
        whole.min(rest)
    };
    candidates.into_iter().min_by_key(distance)
}
