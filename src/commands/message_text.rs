//! A message as `fetch-uuid` shows it to people.

use std::io::{self, Write};

use indicatif::HumanBytes;

use super::decodings::{Decoding, Decodings};
use super::json_text::{Indented, indented};
use super::output::{self, hex_dump, one_line, or_dash, printable};
use crate::catalogue::Row;
use crate::envelope::{Annotations, Document};
use crate::record::Header;

/// Bytes of a binary value, or of one header's, that are shown on a terminal.
pub(super) const ON_A_TERMINAL: usize = 4_096;

/// Writes the message; of what is binary at most `limit` bytes.
pub(super) fn show(
    row: &Row,
    document: &Document,
    decodings: &Decodings,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "message {}", row.uuid)?;
    metadata(document, &decodings.key, limit, out)?;
    writeln!(out, "headers: {}", document.headers.len())?;
    for header in &document.headers {
        show_header(header, limit, out)?;
    }
    writeln!(out, "annotations")?;
    annotations(&document.annotations, out)?;
    writeln!(out, "object")?;
    object(row, out)?;
    value(document.value.as_deref(), &decodings.value, limit, out)
}

fn line(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {name:<16}  {}", one_line(value))
}

fn metadata(
    document: &Document,
    key: &Decoding,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let kind = document.timestamp_type.map_or("", |kind| kind.as_str());
    let milliseconds = document.timestamp;
    let time = match output::date(milliseconds) {
        Some(date) => format!("{date} {kind} ({milliseconds})"),
        None => format!("{milliseconds} {kind}"),
    };
    line(out, "topic", &document.topic)?;
    line(out, "partition", &or_dash(document.partition))?;
    line(out, "offset", &or_dash(document.offset))?;
    line(out, "time", &time)?;
    let own = || bytes(document.key.as_deref(), limit);
    let key = match key {
        Some(Ok(decoded)) => format!("{}  schema {}", decoded.value, decoded.schema_id),
        Some(Err(failed)) => format!("{}  schema {}", own(), failed.schema_id),
        None => own(),
    };
    line(out, "key", &key)
}

fn show_header(header: &Header, limit: usize, out: &mut dyn Write) -> io::Result<()> {
    let name = String::from_utf8_lossy(&header.name);
    line(
        out,
        &one_line(&name),
        &bytes(header.value.as_deref(), limit),
    )
}

/// `null`, `empty`, `"text"` or `0x…`: no two of them look alike.
fn bytes(bytes: Option<&[u8]>, limit: usize) -> String {
    let Some(bytes) = bytes else {
        return "null".to_owned();
    };
    match (bytes, printable(bytes)) {
        ([], _) => "empty".to_owned(),
        (_, Some(text)) => format!("\"{}\"", text.replace('"', "\\\"")),
        (bytes, None) => {
            let shown = &bytes[..bytes.len().min(limit)];
            let dots = if shown.len() < bytes.len() { "…" } else { "" };
            format!("0x{}{dots}", hex::encode(shown))
        }
    }
}

fn annotations(annotations: &Annotations, out: &mut dyn Write) -> io::Result<()> {
    let source = match annotations.is_client_uuid {
        true => "the client's",
        false => "derived",
    };
    line(out, "uuid", &format!("{}  {source}", annotations.uuid))?;
    if let Some(asked) = annotations.requested_uuid {
        line(
            out,
            "requested uuid",
            &format!("{asked}  another message's"),
        )?;
    }
    line(out, "public", yes_or_no(annotations.public))?;
    line(out, "direct upload", yes_or_no(annotations.direct_upload))?;
    for (name, text) in [
        ("media type", &annotations.media_type),
        ("title", &annotations.title),
        ("sender", &annotations.sender),
        ("file name", &annotations.file_name),
        ("originator", &annotations.originator),
    ] {
        if !text.is_empty() {
            line(out, name, text)?;
        }
    }
    line(
        out,
        "value's CRC-32",
        &format!("{:08x}", annotations.message_crc32),
    )?;
    line(out, "digest", &or_dash(annotations.digest))
}

fn object(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    line(out, "bucket", &row.bucket)?;
    line(out, "key", &row.key)?;
    line(out, "size", &row.size.to_string())?;
    line(out, "CRC-32", &format!("{:08x}", row.crc32))?;
    match row.retracted {
        true => line(out, "retracted", "yes"),
        false => Ok(()),
    }
}

fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// JSON indented, text as it is, anything else as a hex dump.
fn value(
    value: Option<&[u8]>,
    decoding: &Decoding,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let value = match value {
        None => return writeln!(out, "value: null (a tombstone)"),
        Some([]) => return writeln!(out, "value: empty"),
        Some(value) => value,
    };
    let shown = match decoding {
        Some(Ok(decoded)) => {
            let id = decoded.schema_id;
            writeln!(
                out,
                "value: {} bytes, decoded with schema {id}",
                value.len()
            )?;
            return writeln!(out, "{:#}", decoded.value);
        }
        Some(Err(failed)) => format!(", of schema {}: {failed}", failed.schema_id),
        None => String::new(),
    };
    let (text, note) = match indented(value) {
        Indented::Text(text) => (Some(text), ""),
        Indented::NotJson => (printable(value).map(str::to_owned), ""),
        Indented::TooLarge => (
            printable(value).map(str::to_owned),
            ", JSON that is too deep or too large to indent",
        ),
    };
    // Indented JSON may hold control characters that JSON allows unescaped.
    let text = text.filter(|text| printable(text.as_bytes()).is_some());
    writeln!(
        out,
        "value: {} bytes{}{note}",
        value.len(),
        one_line(&shown)
    )?;
    if let Some(text) = text {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        return write!(out, "{text}{end}");
    }
    let shown = &value[..value.len().min(limit)];
    hex_dump(shown, out)?;
    match value.len() - shown.len() {
        0 => Ok(()),
        left => writeln!(
            out,
            "… {} more; --payload writes all of it",
            HumanBytes(left as u64)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        value(Some(bytes), &None, limit, &mut out).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn null_empty_text_and_binary_do_not_look_alike() {
        let shown: Vec<String> = [None, Some(&b""[..]), Some(b"null"), Some(b"\xff")]
            .into_iter()
            .map(|value| bytes(value, 10))
            .collect();
        assert_eq!(shown, ["null", "empty", "\"null\"", "0xff"]);
    }

    #[test]
    fn json_is_indented_text_is_shown_and_the_rest_is_dumped() {
        assert_eq!(shown(b"{\"a\":1}", 9), "value: 7 bytes\n{\n  \"a\": 1\n}\n");
        assert_eq!(shown(b"text", 2), "value: 4 bytes\ntext\n");
        assert!(shown(b"\x1b[2J", 9).contains("1b5b 324a"));
    }

    #[test]
    fn deep_json_is_shown_as_it_is_with_a_note() {
        let json = "[".repeat(200_000) + &"]".repeat(200_000);
        let text = shown(json.as_bytes(), usize::MAX);
        assert!(text.len() < json.len() + 100, "{} bytes", text.len());
        assert!(text.starts_with("value: 400000 bytes, JSON that is too deep"));
    }

    #[test]
    fn a_long_dump_says_how_to_get_the_rest() {
        let text = shown(&[0xff; 3_000], 1_024);
        assert_eq!(text.lines().count(), 1 + 64 + 1);
        assert!(text.contains("1.93 KiB more; --payload"), "{text}");
    }
}
