//! From a checked value to the Rust type that a typed configuration holds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::topics::TopicGlobs;
use super::value::Value;

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
