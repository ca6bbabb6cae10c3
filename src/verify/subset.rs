//! `--subset`: a part of the archive, always the same one.

use std::str::FromStr;

/// Parts that an archive is divided into at most.
const MOST: u32 = 1_000;

/// Part `number` of `of`. Each name is in exactly one of the parts, the same one
/// at every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subset {
    /// From 1 on.
    number: u32,
    of: u32,
}

/// Why a text is no subset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no part of a whole: write a number, a slash and of how many (3/7, at most of {MOST})"
)]
pub struct SubsetError(String);

impl Subset {
    /// Its number and of how many it is one.
    pub fn part(self) -> (u32, u32) {
        (self.number, self.of)
    }

    /// Whether a name is in this part: CRC-32 of its bytes, modulo. Messages and
    /// objects are in the part of their key range, so that they are in the same
    /// part and a part is listed without the others.
    pub fn has_name(self, name: &str) -> bool {
        crc32fast::hash(name.as_bytes()) % self.of == self.number - 1
    }
}

impl FromStr for Subset {
    type Err = SubsetError;

    fn from_str(text: &str) -> Result<Self, SubsetError> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(part, of)| Some((number(part)?, number(of)?)));
        match parsed {
            Some((part, of)) if (1..=of).contains(&part) && of <= MOST => {
                Ok(Self { number: part, of })
            }
            _ => Err(SubsetError(text.chars().take(30).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_part_is_refused() {
        for text in [
            "", "/", "3", "0/7", "8/7", "1/0", "1/1001", "+1/7", "1/7/7", "a/b", "-1/7",
        ] {
            assert!(text.parse::<Subset>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_is_the_same_for_ever() {
        let first: Subset = "1/7".parse().expect("a part");
        let is_in = |day: &u32| first.has_name(&format!("t/2026/11/{day}/"));
        let inside: Vec<u32> = (1..=30).filter(is_in).collect();
        assert_eq!(inside, FIRST_OF_SEVEN);
    }

    /// Days of `t/2026/11/`.
    const FIRST_OF_SEVEN: &[u32] = &[3, 9, 11, 14];

    proptest! {
        #[test]
        fn every_name_is_in_exactly_one_part(name: String, of in 1..20u32) {
            let parts: Vec<Subset> = (1..=of)
                .map(|part| format!("{part}/{of}").parse().expect("a part"))
                .collect();
            prop_assert_eq!(parts.iter().filter(|part| part.has_name(&name)).count(), 1);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}|[0-9/]{0,30}") {
            let _: Result<Subset, _> = text.parse();
        }
    }
}
