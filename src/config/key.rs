//! A key's declaration: the one place that says its name, what it takes, what
//! it is without being given, and what it means.

use super::from_value::{Word, words};
use super::value::Kind;

/// Declared once, as a constant in the file of its stanza kind.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be typed in an environment variable.
    pub default: Option<&'static str>,
    /// One line, with units.
    pub about: &'static str,
    pub built: Built,
}

/// Whether this version does what the key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    Yes,
    /// Existing files have it; this version does not act on it.
    No {
        instead: &'static str,
    },
}

impl Key {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Text, about)
    }

    pub(super) const fn path(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Path, about)
    }

    /// Taken from the environment only.
    pub(super) const fn secret(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Secret, about)
    }

    pub(super) const fn flag(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Flag, about)
    }

    /// A whole number from `least` to `most`, both included.
    pub(super) const fn number(
        name: &'static str,
        least: u64,
        most: u64,
        about: &'static str,
    ) -> Self {
        Key::new(name, Kind::Number { least, most }, about)
    }

    pub(super) const fn choice<T: Word>(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Choice(words::<T>), about)
    }

    pub(super) const fn topics(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Topics, about)
    }

    pub(super) const fn properties(name: &'static str, about: &'static str) -> Self {
        Key::new(name, Kind::Properties, about)
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn not_built(mut self, instead: &'static str) -> Self {
        self.built = Built::No { instead };
        self
    }

    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Key {
            name,
            kind,
            default: None,
            about,
            built: Built::Yes,
        }
    }

    /// The environment variable that overrides the key: `DB_PORT` for `db-port`.
    pub fn variable(&self) -> String {
        self.name.to_ascii_uppercase().replace('-', "_")
    }

    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}
