//! What kind of data a value is.

use crate::record::Header;

/// Bytes of the value that are looked at.
const SAMPLE: usize = 4096;

const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// The media type of the last recognised `_format` header (hop-client appends
/// its own, so the last one is its word); where there is none, or it says no
/// more than octet-stream, what the first 4,096 bytes look like.
pub fn media_type(value: &[u8], headers: &[Header]) -> &'static str {
    headers
        .iter()
        .rev()
        .filter(|header| header.name == b"_format")
        .find_map(|header| of_hop_format(header.value.as_deref()?))
        .filter(|&known| known != BYTES)
        .unwrap_or_else(|| sniff(value))
}

fn of_hop_format(format: &[u8]) -> Option<&'static str> {
    Some(match format {
        b"voevent" => "application/x.voevent",
        b"gcntextnotice" => "application/x.gcn.notice",
        b"circular" => "application/x.gcn.circular",
        b"blob" => BYTES,
        b"json" => JSON,
        b"avro" => "application/avro",
        b"external" => "message/x.hop.external+json",
        _ => return None,
    })
}

/// Empty values are `application/x-empty` and text is `text/plain` or
/// `application/json`, as libmagic has it, which wrote the annotations before.
fn sniff(value: &[u8]) -> &'static str {
    if value.is_empty() {
        return "application/x-empty";
    }
    let sample = &value[..value.len().min(SAMPLE)];
    if value.len() <= SAMPLE && is_json_document(value) {
        return JSON;
    }
    match infer::get(sample) {
        Some(kind) => kind.mime_type(),
        None if is_text(sample) => "text/plain",
        None => BYTES,
    }
}

fn is_json_document(value: &[u8]) -> bool {
    let begins = value.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(begins, Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok()
}

/// UTF-8 without control characters, but for those that text has. The sample
/// may end within a character.
fn is_text(sample: &[u8]) -> bool {
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&sample[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b' | '\x08'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(value: &[u8]) -> Header {
        Header {
            name: b"_format".to_vec(),
            value: Some(value.to_vec()),
        }
    }

    #[test]
    fn the_last_recognised_format_header_decides() {
        let headers = [format(b"json"), format(b"avro"), format(b"unheard-of")];
        assert_eq!(media_type(b"x", &headers), "application/avro");
    }

    #[test]
    fn a_blob_or_no_format_is_looked_at() {
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0";
        assert_eq!(media_type(gzip, &[format(b"blob")]), "application/gzip");
        assert_eq!(media_type(b"{\"a\": 1}", &[]), "application/json");
        assert_eq!(media_type("grüße".as_bytes(), &[]), "text/plain");
        assert_eq!(media_type(b"{ not json", &[]), "text/plain");
        assert_eq!(media_type(b"\0\x01\x02", &[]), "application/octet-stream");
        assert_eq!(media_type(b"", &[]), "application/x-empty");
    }

    #[test]
    fn text_whose_sample_ends_within_a_character_is_text() {
        let long = "ü".repeat(3000);
        assert_eq!(media_type(&long.as_bytes()[..5999], &[]), "text/plain");
        let odd = format!("a{long}");
        assert_eq!(media_type(odd.as_bytes(), &[]), "text/plain");
    }
}
