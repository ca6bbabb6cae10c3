//! Where a restore begins: what the note of an earlier one means for it.

use super::note::Note;

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
    /// The newest message of the topic that the archive has.
    pub newest: i64,
    /// Whether the target may hold anything.
    pub append: bool,
}

impl Ask<'_> {
    /// `text` is the note that was found; `is_empty` whether the target is.
    pub fn begin(&self, text: Option<&str>, is_empty: bool) -> Begin {
        let Some(text) = text else {
            return match is_empty || self.append {
                true => self.new_part(0, 0),
                false => Begin::Refused(format!(
                    "topic {} holds records, and no note tells that they are none of these: what is there already would come twice; --append restores beside it",
                    self.target
                )),
            };
        };
        match Note::parse(text) {
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

    fn go_on(&self, note: Note) -> Begin {
        if !note.done {
            return Begin::Resume(note);
        }
        match note.added.1 < self.newest {
            true => self.new_part(note.added.1, note.earlier + note.restored()),
            false => Begin::Complete(note),
        }
    }

    fn new_part(&self, after: i64, earlier: u64) -> Begin {
        let added = (after, self.newest);
        Begin::New(Note::new(self.bucket, self.asked, added, earlier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(asked: &str, newest: i64, append: bool) -> Ask<'_> {
        Ask {
            target: "t",
            bucket: "archive",
            asked,
            newest,
            append,
        }
    }

    fn note(done: bool) -> Note {
        let mut note = Note::new("archive", "all", (0, 10), 0);
        (note.messages, note.done) = (4, done);
        note
    }

    #[test]
    fn the_same_goes_on_after_its_note_and_is_complete_after_its_end() {
        let half = note(false);
        let begun = ask("all", 10, false).begin(Some(&half.to_text()), false);
        assert_eq!(begun, Begin::Resume(half));
        let done = note(true);
        let begun = ask("all", 10, false).begin(Some(&done.to_text()), false);
        assert_eq!(begun, Begin::Complete(done));
    }

    #[test]
    fn what_was_archived_since_is_a_part_of_its_own() {
        let begun = ask("all", 12, false).begin(Some(&note(true).to_text()), false);
        let expected = Note::new("archive", "all", (10, 12), 4);
        assert_eq!(begun, Begin::New(expected));
    }

    #[test]
    fn another_selection_is_refused_unless_it_may_be_beside() {
        let text = note(false).to_text();
        let begun = ask("since 5", 10, false).begin(Some(&text), false);
        assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        let begun = ask("since 5", 10, true).begin(Some(&text), false);
        assert_eq!(
            begun,
            Begin::New(Note::new("archive", "since 5", (0, 10), 0))
        );
    }

    #[test]
    fn records_of_which_nobody_knows_are_refused_unless_told() {
        let begun = ask("all", 10, false).begin(None, false);
        assert!(matches!(begun, Begin::Refused(_)), "{begun:?}");
        for (is_empty, append) in [(true, false), (false, true)] {
            let begun = ask("all", 10, append).begin(None, is_empty);
            assert_eq!(begun, Begin::New(Note::new("archive", "all", (0, 10), 0)));
        }
    }
}
