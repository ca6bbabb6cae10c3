//! TOML text as a tree that knows its lines.

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::origin::Origin;

/// Where a text comes from, to name it in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    BuiltIn,
    File(String),
}

impl Source {
    pub fn at(&self, line: usize) -> Origin {
        match self {
            Source::BuiltIn => Origin::BuiltIn { line },
            Source::File(file) => Origin::File {
                file: file.clone(),
                line,
            },
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Source::BuiltIn => "the built-in configuration",
            Source::File(file) => file,
        }
    }
}

/// A key with its value and the line (from 1) where the key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub key: String,
    pub line: usize,
    pub value: Raw,
}

/// A value as it was written, before anyone asks what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    /// As written, so that no number is too large to be shown.
    Integer(String),
    Boolean(bool),
    Array(Vec<Raw>),
    Table(Vec<Item>),
    /// A TOML value that no key takes: its type.
    Other(&'static str),
}

impl Raw {
    /// How messages show it.
    pub fn shown(&self) -> String {
        match self {
            Raw::Text(text) => format!("{text:?}"),
            Raw::Integer(number) => number.clone(),
            Raw::Boolean(flag) => flag.to_string(),
            Raw::Array(_) => "a list".to_owned(),
            Raw::Table(_) => "a table".to_owned(),
            Raw::Other(name) => format!("a {name}"),
        }
    }
}

/// Parses a whole document; its items come in the order of their lines.
pub(super) fn parse(text: &str, source: &Source) -> Result<Vec<Item>, ConfigError> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| Problem::Syntax {
        at: source.at(lines.number(error.span().map_or(0, |span| span.start))),
        cause: error.message().to_owned(),
    })?;
    Ok(items(table.get_ref(), &lines))
}

fn items(table: &DeTable<'_>, lines: &Lines) -> Vec<Item> {
    let mut items: Vec<Item> = table
        .iter()
        .map(|(key, value)| Item {
            key: key.get_ref().to_string(),
            line: lines.number(key.span().start),
            value: raw(value.get_ref(), lines),
        })
        .collect();
    items.sort_by_key(|item| item.line);
    items
}

fn raw(value: &DeValue<'_>, lines: &Lines) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => Raw::Integer(decimal(number.as_str(), number.radix())),
        DeValue::Boolean(flag) => Raw::Boolean(*flag),
        DeValue::Array(values) => {
            Raw::Array(values.iter().map(|v| raw(v.get_ref(), lines)).collect())
        }
        DeValue::Table(table) => Raw::Table(items(table, lines)),
        DeValue::Float(_) => Raw::Other("number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("date or time"),
    }
}

/// `0x`, `0o` and `0b` numbers in decimal; one that is too large stays as it
/// was written and fails where a range is asked for.
fn decimal(digits: &str, radix: u32) -> String {
    match i128::from_str_radix(digits, radix) {
        Ok(number) => number.to_string(),
        Err(_) => digits.to_owned(),
    }
}

/// Byte offsets at which the lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Lines(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// The line (from 1) of a byte offset.
    fn number(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|&start| start <= offset)
    }
}
