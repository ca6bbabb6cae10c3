//! Where a page of a list begins, as a text that a client gives back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::catalogue::Cursor;

/// The rows next to one of the list, in the list's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bookmark {
    After(Cursor),
    Before(Cursor),
}

impl Bookmark {
    /// `None` for a text that [`Bookmark::text`] never gives.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes: [u8; 17] = bytes.try_into().ok()?;
        let number = |from: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[from..from + 8]);
            i64::from_be_bytes(number)
        };
        let cursor = Cursor {
            timestamp: number(1),
            id: number(9),
        };
        match bytes[0] {
            0 => Some(Self::After(cursor)),
            1 => Some(Self::Before(cursor)),
            _ => None,
        }
    }

    pub fn text(self) -> String {
        let (kind, cursor) = match self {
            Self::After(cursor) => (0, cursor),
            Self::Before(cursor) => (1, cursor),
        };
        let mut bytes = vec![kind];
        bytes.extend(cursor.timestamp.to_be_bytes());
        bytes.extend(cursor.id.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_found_again(timestamp: i64, id: i64, is_before: bool) {
            let cursor = Cursor { timestamp, id };
            let bookmark = if is_before { Bookmark::Before(cursor) } else { Bookmark::After(cursor) };
            prop_assert_eq!(Bookmark::parse(&bookmark.text()), Some(bookmark));
        }

        #[test]
        fn no_other_text_is_a_bookmark(text in "\\PC{0,40}|[A-Za-z0-9_-]{20,26}") {
            if let Some(bookmark) = Bookmark::parse(&text) {
                prop_assert_eq!(bookmark.text(), text);
            }
        }
    }
}
