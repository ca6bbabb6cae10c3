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
    /// After the object of that key.
    Objects { after: Option<String> },
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

/// The place and what is counted beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
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
            place: Place::START,
            in_flight: 0,
            topics: 0,
            records: 0,
            mended: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        prop_oneof![
            any::<Option<(i64, i64)>>().prop_map(|after| Place::Messages { after }),
            any::<Option<String>>().prop_map(|after| Place::Objects { after }),
            Just(Place::Topics),
            any::<Option<String>>().prop_map(|after| Place::Kafka { after }),
        ]
    }

    proptest! {
        #[test]
        fn a_place_is_read_back_as_it_was(place in places(), in_flight: u64, mended: u64) {
            let saved = Saved { place, in_flight, mended, ..Saved::default() };
            let text = serde_json::to_string(&saved).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Saved>(&text).ok(), Some(saved));
        }
    }
}
