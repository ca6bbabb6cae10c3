//! `--sample`: some messages instead of all.

use std::str::FromStr;

/// Rows of a sample that are held at once.
const MOST: usize = 100_000;

/// How many messages, chosen at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// So many, or all where there are fewer.
    Count(usize),
    /// Each with this probability, greater than 0 and at most 1.
    Share(f64),
}

/// Why a text is no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    #[error("{0:?} is no sample: write a number of messages (1000) or a percentage (2.5%)")]
    Neither(String),
    #[error("a sample has 1 to {MOST} messages, not {0}: write more as a percentage (2.5%)")]
    Count(String),
    #[error("a sample is more than 0% and at most 100%, not {0}")]
    Share(String),
}

impl FromStr for Sample {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        let is_number = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || c == '.')
        };
        let neither = || SampleError::Neither(text.chars().take(60).collect());
        let shown = || text.chars().take(30).collect();
        if let Some(percent) = text.strip_suffix('%').filter(|p| is_number(p)) {
            let percent: f64 = percent.parse().map_err(|_| neither())?;
            return match percent > 0.0 && percent <= 100.0 {
                true => Ok(Self::Share(percent / 100.0)),
                false => Err(SampleError::Share(shown())),
            };
        }
        if !is_number(text) || text.contains('.') {
            return Err(neither());
        }
        match text.parse() {
            Ok(count @ 1..=MOST) => Ok(Self::Count(count)),
            _ => Err(SampleError::Count(shown())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sample_is_a_number_or_a_percentage() {
        assert_eq!("1000".parse(), Ok(Sample::Count(1000)));
        assert_eq!("50%".parse(), Ok(Sample::Share(0.5)));
        assert_eq!("2.5%".parse(), Ok(Sample::Share(0.025)));
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for text in [
            "", "%", "some", "-5", "1.5", "1e3", "inf%", "NaN%", "1.2.3%", "5 %",
        ] {
            let parsed: Result<Sample, _> = text.parse();
            assert_eq!(parsed, Err(SampleError::Neither(text.to_owned())));
        }
        for text in ["0", "100001", "99999999999999999999999"] {
            let parsed: Result<Sample, _> = text.parse();
            assert!(matches!(parsed, Err(SampleError::Count(_))), "{text}");
        }
        for text in ["0%", "0.0%", "100.1%"] {
            let parsed: Result<Sample, _> = text.parse();
            assert!(matches!(parsed, Err(SampleError::Share(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,12}|[0-9.]{0,400}%?") {
            let _: Result<Sample, _> = text.parse();
        }
    }
}
