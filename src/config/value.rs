//! Values: what a key takes, and how text or TOML becomes that.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::document::{Item, Raw};
use super::topics::TopicGlobs;

/// What a key takes.
#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    /// A path; `~/` is the home directory.
    Path,
    /// Text that comes from the environment only and is never shown.
    Secret,
    Flag,
    /// A whole number, both ends included.
    Number {
        least: u64,
        most: u64,
    },
    /// One of these words, in any case.
    Choice(fn() -> Vec<&'static str>),
    /// Topic names or globs: a list, or text with commas.
    Topics,
    /// librdkafka properties: a table, or text like `a=b,c=d`.
    Properties,
}

impl fmt::Debug for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.expected())
    }
}

/// A value of a key's kind.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Path(PathBuf),
    Secret(String),
    Flag(bool),
    Number(u64),
    Topics(Vec<String>),
    Properties(BTreeMap<String, String>),
}

/// Why a value does not fit its kind.
pub(super) enum Misfit {
    /// It is something else: what was found.
    Found(String),
    /// It is of the kind and not allowed: why.
    Refused(String),
}

impl Kind {
    /// What messages say after "must be".
    pub fn expected(self) -> String {
        match self {
            Kind::Text | Kind::Secret => "text".to_owned(),
            Kind::Path => "the path of a file or directory".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Number {
                least,
                most: u64::MAX,
            } => format!("a whole number of at least {least}"),
            Kind::Number { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Choice(words) => format!("one of {}", words().join(", ")),
            Kind::Topics => "a list of topic names or globs".to_owned(),
            Kind::Properties => "a table of librdkafka properties".to_owned(),
        }
    }

    /// Reads a value of the file. Empty text counts as not given.
    pub(super) fn read(self, raw: &Raw) -> Result<Option<Value>, Misfit> {
        match (self, raw) {
            (Kind::Number { .. }, Raw::Integer(number)) => self.read_text(number),
            (Kind::Flag, Raw::Boolean(flag)) => Ok(Some(Value::Flag(*flag))),
            (Kind::Topics, Raw::Array(items)) => topics(texts(items)?).map(Some),
            (Kind::Properties, Raw::Table(items)) => {
                let mut properties = BTreeMap::new();
                flatten("", items, &mut properties)?;
                Ok(Some(Value::Properties(properties)))
            }
            (Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Topics, Raw::Text(text)) => {
                self.read_text(text)
            }
            _ => Err(Misfit::Found(raw.shown())),
        }
    }

    /// Reads a value of the environment. Empty text counts as not given.
    pub(super) fn read_text(self, text: &str) -> Result<Option<Value>, Misfit> {
        if text.is_empty() {
            return Ok(None);
        }
        let found = || Misfit::Found(format!("{text:?}"));
        let value = match self {
            Kind::Text => Value::Text(printable(text)?),
            Kind::Path => Value::Path(printable(text)?.into()),
            Kind::Secret => Value::Secret(printable(text)?),
            Kind::Flag => Value::Flag(flag(text).ok_or_else(found)?),
            Kind::Number { least, most } => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(Value::Number)
                .ok_or_else(|| match text.parse::<i128>() {
                    Ok(number) => Misfit::Found(number.to_string()),
                    Err(_) => found(),
                })?,
            Kind::Choice(words) => words()
                .into_iter()
                .find(|word| word.eq_ignore_ascii_case(text))
                .map(|word| Value::Text(word.to_owned()))
                .ok_or_else(found)?,
            Kind::Topics => topics(split_outside_braces(text))?,
            Kind::Properties => Value::Properties(pairs(text)?),
        };
        Ok(Some(value))
    }
}

impl fmt::Display for Value {
    /// As one would type it in the environment; secrets and properties that
    /// carry one are hidden.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(out, "{text}"),
            Value::Path(path) => write!(out, "{}", path.display()),
            Value::Secret(_) => write!(out, "[hidden]"),
            Value::Flag(flag) => write!(out, "{flag}"),
            Value::Number(number) => write!(out, "{number}"),
            Value::Topics(topics) => write!(out, "{}", topics.join(",")),
            Value::Properties(properties) => {
                let shown: Vec<String> = shown_properties(properties)
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                write!(out, "{}", shown.join(","))
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// What stands for a secret in `Debug` output.
pub(super) struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[hidden]")
    }
}

/// The properties as they may be shown: a value that is a secret is hidden.
pub fn shown_properties(properties: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let shown = |(name, value)| match is_secret_property(name) {
        true => (name, "[hidden]"),
        false => (name, value),
    };
    let texts = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    texts.map(shown).collect()
}

/// librdkafka's properties with a password, a client secret or a private key
/// in them, by the words in their names (CONFIGURATION.md of librdkafka).
pub(super) fn is_secret_property(name: &str) -> bool {
    [
        "password",
        "secret",
        "key.pem",
        "sasl.oauthbearer.config",
        "sasl.jaas",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// A type whose values are words in the configuration; the first word of each
/// value is the one that this program writes.
pub trait Word: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn of_word(word: &str) -> Option<Self> {
        let found = Self::WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map(|(_, value)| *value)
    }
}

/// All words of a type.
pub(super) fn words<T: Word>() -> Vec<&'static str> {
    T::WORDS.iter().map(|(word, _)| *word).collect()
}

/// A Rust type that a [`Value`] can be read as; `None` when it does not fit.
pub(super) trait FromValue: Sized {
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: Word> FromValue for T {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).and_then(|word| T::of_word(&word))
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) | Value::Secret(text) => Some(text),
            _ => None,
        }
    }
}

impl FromValue for PathBuf {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }
}

impl FromValue for TopicGlobs {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Topics(patterns) => TopicGlobs::parse(patterns).ok(),
            _ => None,
        }
    }
}

impl FromValue for BTreeMap<String, String> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Properties(properties) => Some(properties),
            _ => None,
        }
    }
}

macro_rules! number_from_value {
    ($($number:ty),*) => {$(
        impl FromValue for $number {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Number(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
number_from_value!(u16, u32, u64, usize);

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// No value holds a control character: librdkafka's and the databases' C
/// interfaces end a text at NUL, and a line break in a name is a mistake.
fn printable(text: &str) -> Result<String, Misfit> {
    if text.contains(char::is_control) {
        return Err(Misfit::Refused(
            "it contains a control character: remove it".to_owned(),
        ));
    }
    Ok(text.to_owned())
}

fn topics(patterns: Vec<String>) -> Result<Value, Misfit> {
    match TopicGlobs::parse(&patterns) {
        Ok(_) => Ok(Value::Topics(patterns)),
        Err(error) => Err(Misfit::Refused(error.to_string())),
    }
}

fn texts(items: &[Raw]) -> Result<Vec<String>, Misfit> {
    let text = |item: &Raw| match item {
        Raw::Text(text) => Ok(text.clone()),
        other => Err(Misfit::Found(format!(
            "a list with {} in it",
            other.shown()
        ))),
    };
    items.iter().map(text).collect()
}

/// Splits at the commas that are not inside a glob's `{a,b}`; empty parts and
/// the spaces around parts do not count.
fn split_outside_braces(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let at_comma = |character: char| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    };
    let parts = text.split(at_comma).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Puts the table's values under their dotted names: TOML makes tables of an
/// unquoted `fetch.max.bytes = 1`.
fn flatten(
    prefix: &str,
    items: &[Item],
    properties: &mut BTreeMap<String, String>,
) -> Result<(), Misfit> {
    for item in items {
        let name = format!("{prefix}{}", item.key);
        let value = match &item.value {
            Raw::Text(text) => text.clone(),
            Raw::Integer(number) => number.clone(),
            Raw::Boolean(flag) => flag.to_string(),
            Raw::Table(items) => {
                flatten(&format!("{name}."), items, properties)?;
                continue;
            }
            other => {
                let found = format!("a table with {} as {name}", other.shown());
                return Err(Misfit::Found(found));
            }
        };
        if is_secret_property(&name) {
            return Err(Misfit::Refused(format!(
                "{name} is a secret, and secrets never stand in this file: \
                 put it into the environment variable HOP_PROPERTIES"
            )));
        }
        insert(name, value, properties)?;
    }
    Ok(())
}

/// Reads `a=b,c=d`. Messages name the part by its position or its name: what
/// stands behind a `=` may be a secret.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, Misfit> {
    let mut properties = BTreeMap::new();
    for (index, part) in text.split(',').enumerate() {
        let Some((name, value)) = part.split_once('=') else {
            return Err(Misfit::Refused(format!(
                "part {} has no = in it: write it as name=value,name=value",
                index + 1
            )));
        };
        insert(
            name.trim().to_owned(),
            value.trim().to_owned(),
            &mut properties,
        )?;
    }
    Ok(properties)
}

fn insert(
    name: String,
    value: String,
    properties: &mut BTreeMap<String, String>,
) -> Result<(), Misfit> {
    super::properties::check(&name, &value).map_err(Misfit::Refused)?;
    match properties.insert(name.clone(), value) {
        Some(_) => Err(Misfit::Refused(format!(
            "{name} is given twice: give it once"
        ))),
        None => Ok(()),
    }
}
