//! Text as a catalogue can hold it.

use std::borrow::Cow;

/// Characters that a row holds of a text that came out of a message. The stored
/// object has all of them; rows bounded so let a page of rows be bounded too.
pub const MAX_TEXT_CHARS: usize = 2048;

/// Returns what a catalogue's row holds for a text that came out of a message.
///
/// PostgreSQL's `text` takes every character but U+0000, which is replaced by
/// U+FFFD here, for every backend alike. A text longer than `MAX_TEXT_CHARS`
/// is cut there. Both backends cut longer texts of older rows at the same place
/// when they read them.
pub fn storable(text: &str) -> Cow<'_, str> {
    let text = match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_TEXT_CHARS, storable};

    proptest! {
        #[test]
        fn every_character_but_nul_is_kept_and_nul_becomes_the_replacement_character(
            text in "[\0a-c\u{fffd}é]{0,40}"
        ) {
            let kept: Vec<char> = storable(&text).chars().collect();
            let expected: Vec<char> = text
                .chars()
                .map(|c| if c == '\0' { '\u{fffd}' } else { c })
                .collect();
            prop_assert_eq!(kept, expected);
        }

        #[test]
        fn long_text_is_cut_at_a_character(text in "[aé€😀]{0,20}", times in 1usize..300) {
            let text = text.repeat(times);
            let kept = storable(&text);
            prop_assert!(text.starts_with(&*kept));
            let expected = text.chars().count().min(MAX_TEXT_CHARS);
            prop_assert_eq!(kept.chars().count(), expected);
        }
    }
}
