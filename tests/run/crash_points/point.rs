//! A step of the archiver at which its process ends.

use std::fmt;
use std::str::FromStr;

/// What lasts beyond the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// UUIDs are claimed.
    Claim,
    /// An object is stored.
    Put,
    /// A batch's rows are added, and retries remembered.
    Rows,
    /// A row of another archiver gets its origin.
    Origin,
    /// The group's offsets move.
    Commit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
}

/// Before or after an effect that happens for the `nth` time (from 1 on). As
/// text: `after put 33`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub moment: Moment,
    pub effect: Effect,
    pub nth: usize,
}

pub const fn before(effect: Effect, nth: usize) -> Point {
    let moment = Moment::Before;
    Point {
        moment,
        effect,
        nth,
    }
}

pub const fn after(effect: Effect, nth: usize) -> Point {
    let moment = Moment::After;
    Point {
        moment,
        effect,
        nth,
    }
}

const MOMENTS: [(&str, Moment); 2] = [("before", Moment::Before), ("after", Moment::After)];

const EFFECTS: [(&str, Effect); 5] = [
    ("claim", Effect::Claim),
    ("put", Effect::Put),
    ("rows", Effect::Rows),
    ("origin", Effect::Origin),
    ("commit", Effect::Commit),
];

fn word<T: PartialEq>(words: &[(&'static str, T)], of: T) -> &'static str {
    let found = words.iter().find(|(_, value)| *value == of);
    found.expect("every value has a word").0
}

fn value<T: Copy>(words: &[(&str, T)], word: Option<&str>) -> Result<T, String> {
    let found = words.iter().find(|(known, _)| Some(*known) == word);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("{word:?} is no word of a point"))
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (moment, effect) = (word(&MOMENTS, self.moment), word(&EFFECTS, self.effect));
        write!(f, "{moment} {effect} {}", self.nth)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let moment = value(&MOMENTS, words.next())?;
        let effect = value(&EFFECTS, words.next())?;
        let nth = words.next().and_then(|number| number.parse().ok());
        Ok(Self {
            moment,
            effect,
            nth: nth.ok_or_else(|| format!("{text:?} has no number"))?,
        })
    }
}
