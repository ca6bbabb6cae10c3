//! A message as `fetch-uuid --json` shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::decodings::{Decoding, Decodings};
use super::output;
use super::row::RowJson;
use crate::catalogue::Row;
use crate::envelope::{Annotations, Document};
use crate::record::Header;

/// One line: what the object holds and what the catalogue says of it.
#[derive(Serialize)]
pub(super) struct MessageJson<'a> {
    uuid: String,
    metadata: MetadataJson<'a>,
    annotations: AnnotationsJson<'a>,
    row: RowJson<'a>,
    /// Null for a tombstone.
    value: Option<BytesJson<'a>>,
}

/// Bytes, and the text that they are where they are UTF-8. Empty is not null.
#[derive(Serialize)]
struct BytesJson<'a> {
    base64: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// Only of messages of a schema registry that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<u32>,
    /// Only where the registry has the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct MetadataJson<'a> {
    topic: &'a str,
    timestamp: i64,
    time: Option<String>,
    timestamp_type: Option<&'static str>,
    partition: Option<i32>,
    offset: Option<i64>,
    key: Option<BytesJson<'a>>,
    headers: Vec<HeaderJson<'a>>,
}

#[derive(Serialize)]
struct HeaderJson<'a> {
    /// With replacement characters where it is not UTF-8.
    name: String,
    /// Only where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    value: Option<BytesJson<'a>>,
}

#[derive(Serialize)]
struct AnnotationsJson<'a> {
    con_text_uuid: String,
    con_is_client_uuid: bool,
    con_message_crc32: u32,
    public: bool,
    direct_upload: bool,
    media_type: &'a str,
    title: &'a str,
    sender: &'a str,
    file_name: &'a str,
    originator: &'a str,
    content_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_uuid: Option<String>,
}

impl<'a> MessageJson<'a> {
    pub fn of(row: &'a Row, document: &'a Document, decodings: &'a Decodings) -> Self {
        Self {
            uuid: row.uuid.to_string(),
            metadata: MetadataJson::of(document, decodings),
            annotations: AnnotationsJson::of(&document.annotations),
            row: row.into(),
            value: (document.value.as_deref())
                .map(|value| BytesJson::decoded(value, &decodings.value)),
        }
    }
}

impl<'a> BytesJson<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            base64: STANDARD.encode(bytes),
            text: std::str::from_utf8(bytes).ok(),
            schema_id: None,
            decoded: None,
        }
    }

    fn decoded(bytes: &'a [u8], decoding: &'a Decoding) -> Self {
        Self {
            schema_id: decoding.as_ref().map(|decoding| match decoding {
                Ok(decoded) => decoded.schema_id,
                Err(failed) => failed.schema_id,
            }),
            decoded: match decoding {
                Some(Ok(decoded)) => Some(&decoded.value),
                _ => None,
            },
            ..Self::of(bytes)
        }
    }
}

impl<'a> MetadataJson<'a> {
    fn of(document: &'a Document, decodings: &'a Decodings) -> Self {
        Self {
            topic: &document.topic,
            timestamp: document.timestamp,
            time: output::date(document.timestamp),
            timestamp_type: document.timestamp_type.map(|kind| kind.as_str()),
            partition: document.partition,
            offset: document.offset,
            key: (document.key.as_deref()).map(|key| BytesJson::decoded(key, &decodings.key)),
            headers: document.headers.iter().map(HeaderJson::of).collect(),
        }
    }
}

impl<'a> HeaderJson<'a> {
    fn of(header: &'a Header) -> Self {
        let is_text = std::str::from_utf8(&header.name).is_ok();
        Self {
            name: String::from_utf8_lossy(&header.name).into_owned(),
            name_base64: (!is_text).then(|| STANDARD.encode(&header.name)),
            value: header.value.as_deref().map(BytesJson::of),
        }
    }
}

impl<'a> AnnotationsJson<'a> {
    fn of(annotations: &'a Annotations) -> Self {
        Self {
            con_text_uuid: annotations.uuid.to_string(),
            con_is_client_uuid: annotations.is_client_uuid,
            con_message_crc32: annotations.message_crc32,
            public: annotations.public,
            direct_upload: annotations.direct_upload,
            media_type: &annotations.media_type,
            title: &annotations.title,
            sender: &annotations.sender,
            file_name: &annotations.file_name,
            originator: &annotations.originator,
            content_digest: annotations.digest.map(|digest| digest.to_string()),
            requested_uuid: annotations.requested_uuid.map(|uuid| uuid.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_empty_text_and_binary_are_four_different_things() {
        let shown =
            |bytes: Option<&[u8]>| serde_json::to_value(bytes.map(BytesJson::of)).expect("JSON");
        assert_eq!(shown(None), json!(null));
        assert_eq!(shown(Some(b"")), json!({"base64": "", "text": ""}));
        assert_eq!(shown(Some(b"hi")), json!({"base64": "aGk=", "text": "hi"}));
        assert_eq!(shown(Some(b"\xff")), json!({"base64": "/w=="}));
    }

    #[test]
    fn a_header_name_that_is_no_text_is_shown_lossily_and_exactly() {
        let header = Header {
            name: b"caf\xe9".to_vec(),
            value: None,
        };
        let shown = serde_json::to_value(HeaderJson::of(&header)).expect("JSON");
        let expected = json!({"name": "caf\u{fffd}", "name_base64": "Y2Fm6Q==", "value": null});
        assert_eq!(shown, expected);
    }
}
