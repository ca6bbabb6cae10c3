//! Where a restore begins: what the note of an earlier one means for it.

use uuid::Uuid;

use super::note::{Note, TargetLife};

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A part that nobody has begun.
    New(Note),
    /// The rest of a part.
    Resume(Note),
    /// Everything that the archive has is there.
    Complete(Note),
    /// It must not be begun, because of this.
    Refused(String),
}

/// What is asked for now.
pub(super) struct Ask<'a> {
    pub target: &'a str,
    pub bucket: &'a str,
    pub asked: &'a str,
    /// The catalogue's id.
    pub catalogue: Uuid,
    /// The target as it is now.
    pub state: &'a TargetState,
    /// The newest message of the topic that the archive has.
    pub newest: i64,
    /// Whether the target may hold anything.
    pub append: bool,
}

/// A target as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TargetState {
    pub life: TargetLife,
    /// Offsets that its partitions hold, transaction markers included.
    pub offsets: u64,
}

impl Ask<'_> {
    /// `text` is the note that was found.
    pub fn begin(&self, text: Option<&str>) -> Begin {
        let Some(text) = text else {
            return self.without_note();
        };
        match Note::parse(text) {
            // The group's offsets may outlive the topic: this note is about one
            // that was deleted.
            Some(note) if self.is_of_another_topic(&note) => self.without_note(),
            Some(note) if note.bucket == self.bucket && note.asked == self.asked => {
                self.go_on(note)
            }
            _ if self.append => self.new_part(0, 0),
            Some(note) => Begin::Refused(format!(
                "topic {} has a restore of another selection (bucket {}, {}), this is bucket {}, {}: what both have would come twice; ask for the same, or --append restores beside it",
                self.target, note.bucket, note.asked, self.bucket, self.asked
            )),
            None => Begin::Refused(format!(
                "topic {} has the note of another version of this program: finish with that one, or --append restores beside what is there",
                self.target
            )),
        }
    }

    fn without_note(&self) -> Begin {
        match self.state.offsets == 0 || self.append {
            true => self.new_part(0, 0),
            false => Begin::Refused(format!(
                "topic {} is not empty and no earlier restore is recorded for it, so restoring could duplicate records; --append restores beside them",
                self.target
            )),
        }
    }

    fn is_of_another_topic(&self, note: &Note) -> bool {
        let (then, now) = (&note.target.topic_id, &self.state.life.topic_id);
        matches!((then, now), (Some(then), Some(now)) if then != now)
    }

    /// Not with `append` either: the same restore would write everything twice.
    fn go_on(&self, note: Note) -> Begin {
        if note.catalogue != self.catalogue {
            return Begin::Refused(format!(
                "the catalogue was replaced or rebuilt since topic {} was restored, so what is there already cannot be told: restore into an empty topic, or what is missing with --uuid-file and --append",
                self.target
            ));
        }
        if note.target.starts != self.state.life.starts || self.state.offsets < note.total() {
            return Begin::Refused(format!(
                "records of topic {} were removed since they were restored (by retention, DeleteRecords or deletion of the topic), so what is missing cannot be told: restore into an empty topic",
                self.target
            ));
        }
        if !note.done {
            return Begin::Resume(note);
        }
        match note.added.1 < self.newest {
            true => self.new_part(note.added.1, note.total()),
            false => Begin::Complete(note),
        }
    }

    fn new_part(&self, after: i64, earlier: u64) -> Begin {
        let added = (after, self.newest);
        Begin::New(Note::new(
            self.bucket,
            self.asked,
            self.catalogue,
            &self.state.life,
            added,
            earlier,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: Uuid = Uuid::from_u128(7);

    fn state(topic_id: &str, starts: i64, offsets: u64) -> TargetState {
        TargetState {
            life: TargetLife {
                topic_id: Some(topic_id.to_owned()),
                starts,
            },
            offsets,
        }
    }

    fn begin(asked: &str, append: bool, state: &TargetState, note: Option<&Note>) -> Begin {
        let ask = Ask {
            target: "t",
            bucket: "archive",
            asked,
            catalogue: CATALOGUE,
            state,
            newest: 10,
            append,
        };
        ask.begin(note.map(Note::to_text).as_deref())
    }

    fn new(asked: &str, state: &TargetState, added: (i64, i64), earlier: u64) -> Note {
        Note::new("archive", asked, CATALOGUE, &state.life, added, earlier)
    }

    /// Of four messages, as left on a topic that has them and a marker.
    fn noted(done: bool) -> (TargetState, Note) {
        let state = state("A", 3, 5);
        let mut note = new("all", &state, (0, 10), 0);
        (note.messages, note.done) = (4, done);
        (state, note)
    }

    #[test]
    fn the_same_restore_continues_after_its_note_and_is_complete_after_its_end() {
        let (state, half) = noted(false);
        let begun = begin("all", false, &state, Some(&half));
        assert_eq!(begun, Begin::Resume(half));
        let (state, done) = noted(true);
        let begun = begin("all", false, &state, Some(&done));
        assert_eq!(begun, Begin::Complete(done));
    }

    #[test]
    fn what_was_archived_since_is_a_part_of_its_own() {
        let (state, mut note) = noted(true);
        note.added.1 = 8;
        let begun = begin("all", false, &state, Some(&note));
        assert_eq!(begun, Begin::New(new("all", &state, (8, 10), 4)));
    }

    #[test]
    fn another_selection_is_refused_unless_append_is_given() {
        let (state, note) = noted(false);
        let begun = begin("since 5", false, &state, Some(&note));
        assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        let begun = begin("since 5", true, &state, Some(&note));
        assert_eq!(begun, Begin::New(new("since 5", &state, (0, 10), 0)));
    }

    #[test]
    fn records_without_a_note_are_refused_unless_append_is_given() {
        let filled = state("A", 0, 5);
        let begun = begin("all", false, &filled, None);
        assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        for (state, append) in [(state("A", 9, 0), false), (filled, true)] {
            let begun = begin("all", append, &state, None);
            assert_eq!(begun, Begin::New(new("all", &state, (0, 10), 0)));
        }
    }

    #[test]
    fn a_note_of_another_catalogue_is_refused_even_with_append() {
        for (done, append) in [(true, false), (true, true), (false, false)] {
            let (state, mut note) = noted(done);
            note.catalogue = Uuid::from_u128(8);
            let begun = begin("all", append, &state, Some(&note));
            assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        }
    }

    #[test]
    fn a_target_that_lost_records_is_refused_even_with_append() {
        for (starts, offsets, append) in [(4, 4, false), (4, 4, true), (3, 3, false)] {
            let (_, note) = noted(true);
            let begun = begin("all", append, &state("A", starts, offsets), Some(&note));
            assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        }
    }

    #[test]
    fn the_note_of_a_deleted_topic_says_nothing_of_the_one_that_replaced_it() {
        let (_, note) = noted(true);
        let empty = state("B", 0, 0);
        let begun = begin("all", false, &empty, Some(&note));
        assert_eq!(begun, Begin::New(new("all", &empty, (0, 10), 0)));
        let filled = state("B", 0, 9);
        let begun = begin("all", false, &filled, Some(&note));
        assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
    }
}
