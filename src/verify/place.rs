//! How far a verification has come, so that it can be gone on with.

use serde::{Deserialize, Serialize};

use crate::catalogue::Cursor;

/// Everything before it has been looked at, and its defects are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Place {
    /// After the row of that timestamp (ms) and serial number; `None`: before
    /// the first.
    Messages { after: Option<(i64, i64)> },
    /// After the objects of that range; `None`: before the first.
    Objects { range: Option<String> },
    /// Counts and gaps, which are quick.
    Topics,
    /// After the topic of that name.
    Kafka { after: Option<String> },
}

impl Place {
    pub const START: Self = Self::Messages { after: None };

    pub fn after_row(cursor: Cursor) -> Self {
        Self::Messages {
            after: Some((cursor.timestamp, cursor.id)),
        }
    }
}

/// The meaning of what is saved. It changes when parts are divided otherwise or
/// places mean something else; 0 is what was saved before there was a number.
const VERSION: u32 = 1;

/// The place and what is counted beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    #[serde(default)]
    version: u32,
    #[serde(flatten)]
    pub place: Place,
    /// Objects without a row that were too young to be called orphans.
    pub in_flight: u64,
    pub topics: u64,
    /// Records of Kafka that were compared.
    pub records: u64,
    /// Defects that were mended.
    pub mended: u64,
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            version: VERSION,
            place: Place::START,
            in_flight: 0,
            topics: 0,
            records: 0,
            mended: 0,
        }
    }
}

impl Saved {
    /// What was saved; `None` if another version of the program saved it.
    pub fn parse(text: &str) -> Option<Self> {
        let saved: Self = serde_json::from_str(text).ok()?;
        (saved.version == VERSION).then_some(saved)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        prop_oneof![
            any::<Option<(i64, i64)>>().prop_map(|after| Place::Messages { after }),
            any::<Option<String>>().prop_map(|range| Place::Objects { range }),
            Just(Place::Topics),
            any::<Option<String>>().prop_map(|after| Place::Kafka { after }),
        ]
    }

    #[test]
    fn place_of_another_version_is_not_read() {
        let counts = r#""in_flight":0,"topics":0,"records":0,"mended":0"#;
        for version in ["", r#""version":2,"#] {
            let text = format!(r#"{{{version}"phase":"objects","after":"t/1",{counts}}}"#);
            assert_eq!(Saved::parse(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_place_is_read_back_as_it_was(place in places(), in_flight: u64, mended: u64) {
            let saved = Saved { place, in_flight, mended, ..Saved::default() };
            let text = serde_json::to_string(&saved).expect("JSON");
            prop_assert_eq!(Saved::parse(&text), Some(saved));
        }
    }
}
