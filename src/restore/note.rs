//! How far a restore has come: what it leaves in Kafka with its records.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalogue::StreamPlace;

/// Of this form.
const VERSION: u32 = 2;

/// Committed in the transaction of the records that it counts, so that whoever
/// reads it knows which of them are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    version: u32,
    /// Which archive: its bucket.
    pub bucket: String,
    /// Which catalogue: serial numbers and places mean nothing in another one.
    pub catalogue: Uuid,
    /// Which topic of the target's name, and where its partitions began when
    /// the first part was begun.
    pub target: TargetLife,
    /// Which records were asked for, and how, in one order of words.
    pub asked: String,
    /// The messages of this part have serial numbers after the first, up to the
    /// second: what is added to the archive meanwhile is for a later part.
    pub added: (i64, i64),
    place: (i32, i64, i64, i64, bool),
    /// The message at that place, which tells this catalogue from another one.
    pub last: Option<Uuid>,
    /// Messages and retries up to that place, those left out included.
    pub messages: u64,
    pub retries: u64,
    /// Of these: what the archive could not give.
    pub left_out: u64,
    /// What earlier parts restored.
    pub earlier: u64,
    /// Whether nothing comes after that place.
    pub done: bool,
}

/// What tells a target from one that lost records, or that was deleted and
/// created again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLife {
    /// As Kafka's tools show it; `None` where the broker gives no ids.
    pub topic_id: Option<String>,
    /// The first offsets of all partitions, added up. None of them ever
    /// decreases, so the sum stays if and only if nothing was removed.
    pub starts: i64,
}

impl Note {
    /// Of a part that begins.
    pub fn new(
        bucket: &str,
        asked: &str,
        catalogue: Uuid,
        target: &TargetLife,
        added: (i64, i64),
        earlier: u64,
    ) -> Self {
        let mut note = Self {
            version: VERSION,
            bucket: bucket.to_owned(),
            asked: asked.to_owned(),
            catalogue,
            target: target.clone(),
            added,
            place: Default::default(),
            last: None,
            messages: 0,
            retries: 0,
            left_out: 0,
            earlier,
            done: false,
        };
        note.set_place(StreamPlace::START);
        note
    }

    /// The place after which it goes on.
    pub fn place(&self) -> StreamPlace {
        let (partition, life, rank, id, is_retry) = self.place;
        StreamPlace {
            partition,
            life,
            rank,
            id,
            is_retry,
        }
    }

    pub fn set_place(&mut self, place: StreamPlace) {
        self.place = (
            place.partition,
            place.life,
            place.rank,
            place.id,
            place.is_retry,
        );
    }

    /// Records that are on the target because of this part.
    pub fn restored(&self) -> u64 {
        (self.messages + self.retries).saturating_sub(self.left_out)
    }

    pub fn to_text(&self) -> String {
        // Nothing in it that JSON could not say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What all parts have restored.
    pub fn total(&self) -> u64 {
        self.earlier + self.restored()
    }

    /// `None`: it is no note, or one of another version.
    pub fn parse(text: &str) -> Option<Self> {
        let note: Self = serde_json::from_str(text).ok()?;
        (note.version == VERSION).then_some(note)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_note_comes_back_as_it_was(
            bucket in "\\PC{0,20}",
            asked in "\\PC{0,60}",
            place: (i32, i64, i64, i64, bool),
            numbers: (u64, u64, u64, u64),
            last: Option<u128>,
            catalogue: u128,
            topic_id: Option<String>,
            starts: i64,
            done: bool,
        ) {
            let target = TargetLife { topic_id, starts };
            let catalogue = Uuid::from_u128(catalogue);
            let added = (1, i64::MAX);
            let mut note = Note::new(&bucket, &asked, catalogue, &target, added, numbers.3);
            note.place = place;
            note.last = last.map(Uuid::from_u128);
            (note.messages, note.retries, note.left_out) = (numbers.0, numbers.1, numbers.2);
            note.done = done;
            prop_assert_eq!(Note::parse(&note.to_text()), Some(note.clone()));
            let mut again = note.clone();
            again.set_place(note.place());
            prop_assert_eq!(again, note);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            Note::parse(&text);
        }
    }

    #[test]
    fn a_note_of_a_later_version_is_not_understood() {
        let target = TargetLife::default();
        let text = Note::new("b", "", Uuid::nil(), &target, (0, 1), 0).to_text();
        let later = text.replace("\"version\":2", "\"version\":3");
        assert_ne!(later, text);
        assert_eq!(Note::parse(&later), None);
    }
}
