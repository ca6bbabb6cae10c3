//! A stanza's effective values, each with the layer that gave it.

use std::path::PathBuf;

use super::document::Item;
use super::environment::Environment;
use super::error::{ConfigError, Problem};
use super::file::Stanza;
use super::from_value::FromValue;
use super::key::{Built, Key};
use super::origin::Origin;
use super::stanza_kind::StanzaKind;
use super::value::{Misfit, Value};

/// One key of a stanza. `value` is `None` when nothing gave one.
#[derive(Clone, Debug)]
pub struct Setting {
    pub key: &'static Key,
    pub value: Option<Value>,
    pub origin: Origin,
}

/// All keys of a stanza, in the order in which they are declared.
#[derive(Clone, Debug)]
pub struct Settings {
    pub stanza: String,
    pub kind: StanzaKind,
    pub settings: Vec<Setting>,
    /// Whether it is used, not only looked at: files that it names are read.
    pub(super) chosen: bool,
}

/// Where a stanza's values come from, the later ones winning.
pub(super) struct Layers<'a> {
    pub stanza: &'a str,
    pub kind: StanzaKind,
    pub built_in: Option<&'a Stanza>,
    pub file: Option<&'a Stanza>,
    pub environment: &'a Environment,
    /// Whether the environment's variables count: not for a stanza that is
    /// only looked at.
    pub chosen: bool,
    /// (key's name, value, option).
    pub command_line: Vec<(&'static str, Value, &'static str)>,
}

impl Layers<'_> {
    /// Every key's effective value, and all that is wrong with the values.
    /// Keys that are not built are among the errors when a value asks for them.
    pub fn resolve(&self) -> (Settings, Vec<ConfigError>) {
        let mut errors = Vec::new();
        let mut settings = Vec::new();
        for key in self.kind.keys() {
            match self.setting(key) {
                Ok(setting) => {
                    errors.extend(self.not_built(&setting));
                    settings.push(setting);
                }
                Err(error) => errors.push(error),
            }
        }
        let settings = Settings {
            stanza: self.stanza.to_owned(),
            kind: self.kind,
            settings,
            chosen: self.chosen,
        };
        (settings, errors)
    }

    fn setting(&self, key: &'static Key) -> Result<Setting, ConfigError> {
        let found = match self
            .command_line
            .iter()
            .find(|(name, ..)| *name == key.name)
        {
            Some((_, value, option)) => Some((value.clone(), Origin::CommandLine { option })),
            None => self.below_command_line(key)?,
        };
        let (value, origin) = match found {
            Some((value, origin)) => (Some(self.expanded(value)), origin),
            None => (None, Origin::Default),
        };
        Ok(Setting { key, value, origin })
    }

    fn below_command_line(&self, key: &Key) -> Result<Option<(Value, Origin)>, ConfigError> {
        if self.chosen
            && let Some(found) = self.in_environment(key)?
        {
            return Ok(Some(found));
        }
        for stanza in [self.file, self.built_in].into_iter().flatten() {
            if let Some(found) = self.in_stanza(key, stanza)? {
                return Ok(Some(found));
            }
        }
        let value = match key.default {
            Some(default) => key.kind.read_text(default),
            None => Ok(None),
        };
        let value = value.map_err(|misfit| self.misfit(key, Origin::Default, misfit))?;
        Ok(value.map(|value| (value, Origin::Default)))
    }

    fn in_environment(&self, key: &Key) -> Result<Option<(Value, Origin)>, ConfigError> {
        let variable = key.variable();
        let Some(text) = self.environment.get(&variable)? else {
            return Ok(None);
        };
        let origin = Origin::Environment { variable };
        match key.kind.read_text(&text) {
            Ok(value) => Ok(value.map(|value| (value, origin))),
            Err(misfit) => Err(self.misfit(key, origin, misfit)),
        }
    }

    fn in_stanza(
        &self,
        key: &Key,
        stanza: &Stanza,
    ) -> Result<Option<(Value, Origin)>, ConfigError> {
        let Some(Item { line, value, .. }) = stanza.items.iter().find(|i| i.key == key.name) else {
            return Ok(None);
        };
        let origin = stanza.source.at(*line);
        match key.kind.read(value) {
            Ok(value) => Ok(value.map(|value| (value, origin))),
            Err(misfit) => Err(self.misfit(key, origin, misfit)),
        }
    }

    fn expanded(&self, value: Value) -> Value {
        match value {
            Value::Path(path) => match path.to_str() {
                Some(text) => Value::Path(self.environment.expand_home(text)),
                None => Value::Path(path),
            },
            other => other,
        }
    }

    fn not_built(&self, setting: &Setting) -> Option<ConfigError> {
        setting.value.as_ref()?;
        let instead = match setting.key.built {
            Built::Yes => return None,
            Built::No { instead } => instead,
        };
        let problem = Problem::NotBuilt {
            at: setting.origin.clone(),
            stanza: self.stanza.to_owned(),
            what: setting.key.name.to_owned(),
            instead: instead.to_owned(),
        };
        Some(problem.into())
    }

    fn misfit(&self, key: &Key, at: Origin, misfit: Misfit) -> ConfigError {
        let (stanza, name) = (self.stanza.to_owned(), key.name.to_owned());
        let problem = match misfit {
            Misfit::Refused(why) => Problem::Refused {
                at,
                stanza,
                key: name,
                why,
            },
            Misfit::Found(found) => Problem::WrongValue {
                at,
                stanza,
                key: name,
                expected: key.kind.expected(),
                found,
            },
        };
        problem.into()
    }
}

impl Settings {
    fn get(&self, key: &Key) -> Option<&Setting> {
        self.settings.iter().find(|s| s.key.name == key.name)
    }

    /// Where the key's value comes from.
    pub(super) fn origin(&self, key: &Key) -> Origin {
        self.get(key)
            .map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Whether someone gave the key a value, be it the same as its default.
    pub(super) fn is_given(&self, key: &Key) -> bool {
        self.origin(key) != Origin::Default
    }

    /// The key's value, `None` when it has none.
    pub(super) fn optional<T: FromValue>(&self, key: &Key) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key).and_then(|setting| setting.value.clone()) else {
            return Ok(None);
        };
        let found = value.to_string();
        match T::from_value(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::WrongValue {
                at: self.origin(key),
                stanza: self.stanza.clone(),
                key: key.name.to_owned(),
                expected: key.kind.expected(),
                found,
            }
            .into()),
        }
    }

    /// The key's value; an error when it has none.
    pub(super) fn require<T: FromValue>(&self, key: &Key) -> Result<T, ConfigError> {
        self.optional(key)?.ok_or_else(|| {
            Problem::Missing {
                stanza: self.stanza.clone(),
                key: key.name,
                about: key.about,
                variable: key.variable(),
            }
            .into()
        })
    }

    /// That the key's value may not be what it is.
    pub(super) fn refused(&self, key: &Key, why: impl Into<String>) -> ConfigError {
        Problem::Refused {
            at: self.origin(key),
            stanza: self.stanza.clone(),
            key: key.name.to_owned(),
            why: why.into(),
        }
        .into()
    }

    /// That the key's value is known and this version does not act on it.
    pub(super) fn not_built(&self, key: &Key, value: &str, instead: &str) -> ConfigError {
        Problem::NotBuilt {
            at: self.origin(key),
            stanza: self.stanza.clone(),
            what: format!("{} = {value:?}", key.name),
            instead: instead.to_owned(),
        }
        .into()
    }

    /// Changes a value that is its key's default; leaves one that was given.
    pub(super) fn limit_default(&mut self, key: &Key, limit: impl Fn(Value) -> Value) {
        let setting = self.settings.iter_mut().find(|s| s.key.name == key.name);
        if let Some(setting) = setting
            && setting.origin == Origin::Default
        {
            setting.value = setting.value.take().map(limit);
        }
    }

    /// A file that must be there when the stanza is used.
    pub(super) fn existing_file(&self, key: &Key) -> Result<Option<PathBuf>, ConfigError> {
        let path: Option<PathBuf> = self.optional(key)?;
        if let Some(path) = &path
            && self.chosen
            && let Err(error) = std::fs::File::open(path)
        {
            let why = format!(
                "{}: {error}; correct the path or remove the key",
                path.display()
            );
            return Err(self.refused(key, why));
        }
        Ok(path)
    }
}
