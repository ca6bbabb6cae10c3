//! Which UUIDs were asked for: from arguments, and from standard input where
//! `-` stands.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use uuid::Uuid;

use super::UsageError;

/// Together are asked for at most so many.
const BATCH: usize = 100;

/// A text is no UUID because a line of anything is read whole: beyond this it
/// is cut off.
const LONGEST_LINE: u64 = 1_000;

/// UUIDs in the order in which they were asked for.
pub(super) struct AskedUuids<R> {
    arguments: VecDeque<Argument>,
    input: BufReader<R>,
    line: u64,
}

#[derive(Clone, Copy)]
enum Argument {
    Uuid(Uuid),
    /// `-`
    Input,
}

/// The next UUIDs, and what stands behind them that is none.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub uuids: Vec<Uuid>,
    pub bad: Option<UsageError>,
}

impl<R: Read> AskedUuids<R> {
    /// Checks all arguments; reads nothing yet.
    pub fn of(arguments: &[String], input: R) -> Result<Self, UsageError> {
        let argument = |text: &String| match text.as_str() {
            "-" => Ok(Argument::Input),
            text => read(text).map(Argument::Uuid).ok_or_else(|| no_uuid(text)),
        };
        Ok(Self {
            arguments: arguments.iter().map(argument).collect::<Result<_, _>>()?,
            input: BufReader::new(input),
            line: 0,
        })
    }

    /// The next ones; an empty batch is the end. What has arrived is given out
    /// before more is waited for. Fails when the input cannot be read.
    pub fn next(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        while batch.uuids.len() < BATCH && batch.bad.is_none() {
            match self.arguments.front().copied() {
                None => break,
                Some(Argument::Uuid(uuid)) => {
                    self.arguments.pop_front();
                    batch.uuids.push(uuid);
                }
                Some(Argument::Input) => {
                    let would_wait = !self.input.buffer().contains(&b'\n');
                    if would_wait && !batch.uuids.is_empty() {
                        break;
                    }
                    self.read_line(&mut batch)?;
                }
            }
        }
        Ok(batch)
    }

    fn read_line(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut line = Vec::new();
        let mut limited = self.input.by_ref().take(LONGEST_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            self.arguments.pop_front();
            return Ok(());
        }
        self.line += 1;
        let line = String::from_utf8_lossy(&line);
        match (line.trim(), read(line.trim())) {
            ("", _) => {}
            (_, Some(uuid)) => batch.uuids.push(uuid),
            (text, None) => {
                let UsageError(what) = no_uuid(text);
                batch.bad = Some(UsageError(format!(
                    "standard input, line {}: {what}",
                    self.line
                )));
            }
        }
        Ok(())
    }
}

/// Upper or lower case; with or without hyphens, braces or `urn:uuid:`.
fn read(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok()
}

fn no_uuid(text: &str) -> UsageError {
    let shown: String = text.chars().take(60).collect();
    let dots = if shown.len() < text.len() { "…" } else { "" };
    UsageError(format!(
        "{shown:?}{dots} is no UUID: write 32 hex digits, \
         like 6b6e6f77-6e2d-6461-7461-2d7575696431"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "6b6e6f77-6e2d-6461-7461-2d7575696431";

    fn asked(arguments: &[&str], input: &str) -> (Vec<Uuid>, Option<String>) {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let mut asked = match AskedUuids::of(&arguments, input.as_bytes()) {
            Ok(asked) => asked,
            Err(error) => return (vec![], Some(error.to_string())),
        };
        let mut uuids = vec![];
        loop {
            let batch = asked.next().expect("memory");
            if let Some(bad) = batch.bad {
                uuids.extend(batch.uuids);
                return (uuids, Some(bad.to_string()));
            }
            if batch.uuids.is_empty() {
                return (uuids, None);
            }
            uuids.extend(batch.uuids);
        }
    }

    #[test]
    fn a_uuid_may_be_written_in_any_of_the_usual_ways() {
        let upper = ONE.to_uppercase();
        let braces = format!("{{{ONE}}}");
        let urn = format!("urn:uuid:{ONE}");
        let simple = ONE.replace('-', "");
        let (uuids, bad) = asked(&[ONE, &upper, &braces, &urn, &simple], "");
        assert_eq!(bad, None);
        assert_eq!(uuids, [Uuid::parse_str(ONE).expect("a UUID"); 5]);
    }

    #[test]
    fn an_argument_that_is_no_uuid_is_named_before_anything_is_given() {
        let (uuids, bad) = asked(&[ONE, "nonsense"], "");
        assert!(uuids.is_empty());
        assert!(bad.is_some_and(|bad| bad.contains("\"nonsense\"")));
    }

    #[test]
    fn standard_input_is_read_where_the_hyphen_stands_and_blank_lines_are_ignored() {
        let other = Uuid::from_u128(7);
        let one = Uuid::parse_str(ONE).expect("a UUID");
        let (uuids, bad) = asked(&[ONE, "-", ONE], &format!("\n{other}\r\n  \n{other}"));
        assert_eq!((uuids, bad), (vec![one, other, other, one], None));
    }

    #[test]
    fn a_line_that_is_no_uuid_is_named_with_its_number_after_those_before_it() {
        let (uuids, bad) = asked(&["-"], &format!("{ONE}\n\nnonsense\n{ONE}\n"));
        assert_eq!(uuids.len(), 1);
        let bad = bad.expect("a bad line");
        assert!(
            bad.contains("line 3") && bad.contains("\"nonsense\""),
            "{bad}"
        );
    }

    #[test]
    fn a_line_without_an_end_is_no_uuid_and_is_not_kept_in_memory() {
        let (_, bad) = asked(&["-"], &"a".repeat(1_000_000));
        assert!(bad.is_some_and(|bad| bad.len() < 300));
    }

    proptest! {
        #[test]
        fn every_uuid_comes_through_in_order(numbers in prop::collection::vec(any::<u128>(), 0..300)) {
            let uuids: Vec<Uuid> = numbers.into_iter().map(Uuid::from_u128).collect();
            let input: String = uuids.iter().map(|uuid| format!("{uuid}\n")).collect();
            prop_assert_eq!(asked(&["-"], &input), (uuids, None));
        }

        #[test]
        fn no_input_panics(input in "\\PC{0,80}|[0-9a-f\n-]{0,200}") {
            asked(&["-"], &input);
        }
    }
}
