//! Text as a catalogue can hold it.

use std::borrow::Cow;

/// What a catalogue's row holds for a text that came out of a message.
///
/// PostgreSQL's `text` takes every character but U+0000, which is replaced by
/// U+FFFD here, for every backend alike: a title reads the same wherever it is
/// kept. The stored object has the text as it was.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::storable;

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
    }
}
