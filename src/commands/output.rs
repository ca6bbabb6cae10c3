//! What commands print: stdout that may be closed early, times, bytes and hex.

use std::borrow::Cow;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use jiff::{Timestamp, tz::Offset};
use serde::Serialize;

/// Stdout, buffered: what is printed is there after [`Write::flush`], which
/// every command calls at its end. All its failures say that they are
/// stdout's, so that nobody takes a service's failure for one.
pub(super) struct Stdout(BufWriter<io::Stdout>);

/// Why nothing more can be printed.
#[derive(Debug, thiserror::Error)]
enum StdoutError {
    #[error("nobody reads the output any more")]
    Closed,
    #[error("stdout cannot be written: {0}")]
    Failed(io::Error),
}

impl Stdout {
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    pub fn is_terminal(&self) -> bool {
        self.0.get_ref().is_terminal()
    }

    /// One object, one line.
    pub fn json_line(&mut self, object: &impl Serialize) -> io::Result<()> {
        // An `io::Error` within the serializer's is this writer's own.
        serde_json::to_writer(&mut *self, object).map_err(io::Error::from)?;
        self.write_all(b"\n")
    }
}

/// Prints all of a command's output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = Stdout::new();
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(own)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(own)
    }
}

fn own(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::other(StdoutError::Closed),
        // Tried again by `write_all`, and no failure.
        ErrorKind::Interrupted => error,
        _ => io::Error::other(StdoutError::Failed(error)),
    }
}

/// Whether a command ended because whoever read its output has left, as `head`
/// does: they have what they wanted.
pub(super) fn reader_has_left(error: &anyhow::Error) -> bool {
    let of_stdout = |error: &io::Error| {
        let inner = error.get_ref()?.downcast_ref::<StdoutError>()?;
        Some(matches!(inner, StdoutError::Closed))
    };
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.and_then(of_stdout).unwrap_or(false)
    })
}

/// A line on stderr that the work goes on after.
pub(super) fn note(what: &str) {
    complain("note", what);
}

/// A line on stderr about something that is not as it must be.
pub(super) fn error(what: &str) {
    complain("error", what);
}

fn complain(kind: &str, what: &str) {
    // Where nobody reads stderr, nobody can be told; `eprintln!` would panic.
    let _ = writeln!(io::stderr(), "{kind}: {}", one_line(what));
}

/// RFC 3339 in UTC with milliseconds; `None` for a timestamp that is no date:
/// below 0, or past the year 9999.
pub(super) fn date(timestamp: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(timestamp).ok()?;
    let is_date = timestamp >= 0 && Offset::UTC.to_datetime(time).year() <= 9999;
    is_date.then(|| format!("{time:.3}"))
}

/// [`date`], or the milliseconds where they are no date.
pub(super) fn time(timestamp: i64) -> String {
    date(timestamp).unwrap_or_else(|| timestamp.to_string())
}

/// `-` where there is nothing to show.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The text without anything that moves the cursor or breaks the line: control
/// characters escaped.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// The bytes as text, if they are UTF-8 without control characters other than
/// tabs and line ends.
pub(super) fn printable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars().all(is_plain).then_some(text)
}

/// 16 bytes a line: their place in hex, themselves in hex, and what of them is
/// ASCII.
pub(super) fn hex_dump(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.chunks(2).map(hex::encode).collect();
        let shown = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let text: String = chunk.iter().map(shown).collect();
        writeln!(out, "{:08x}: {:39}  {text}", line * 16, hex.join(" "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timestamp_that_is_no_date_is_shown_as_the_number_that_it_is() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
        assert_eq!(time(-1), "-1");
        assert_eq!(time(253_402_300_800_000), "253402300800000");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(one_line("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(one_line("grüße"), "grüße");
        assert_eq!(printable(b"\x1b[2J"), None);
        assert_eq!(printable(b"a\tb\r\n"), Some("a\tb\r\n"));
        assert_eq!(printable(b"\xff"), None);
    }

    #[test]
    fn a_hex_dump_shows_place_bytes_and_text() {
        let mut out = Vec::new();
        hex_dump(b"0123456789abcdef\x00\xffz", &mut out).expect("memory");
        let expected = "00000000: 3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef\n\
                        00000010: 00ff 7a                                  ..z\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn only_a_reader_that_left_ends_a_command_quietly() {
        let closed = own(ErrorKind::BrokenPipe.into());
        assert!(reader_has_left(
            &anyhow::Error::from(closed).context("printing")
        ));
        let full = own(ErrorKind::StorageFull.into());
        assert!(!reader_has_left(&full.into()));
        let elsewhere = io::Error::from(ErrorKind::BrokenPipe);
        assert!(!reader_has_left(&elsewhere.into()));
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_control_character(text in "\\PC{0,8}[\\x00-\\x1f\u{7f}-\u{9f}a]{0,8}") {
            prop_assert!(!one_line(&text).contains(char::is_control));
        }

        #[test]
        fn a_hex_dump_holds_every_byte(bytes: Vec<u8>) {
            let mut out = Vec::new();
            hex_dump(&bytes, &mut out)?;
            let dump = String::from_utf8(out)?;
            let digits: String = dump
                .lines()
                .map(|line| line[10..49].replace(' ', ""))
                .collect();
            prop_assert_eq!(digits, hex::encode(&bytes));
        }
    }
}
