//! One message: its stored document, and its value alone.

use std::ops::Range;

use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
};
use hyper::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::objects::pieces;
use super::{Archive, Reach, unauthorized};
use crate::catalogue::Row;
use crate::envelope;
use crate::http::body::{self, Body};
use crate::http::conditional::{self, Part};
use crate::http::problem::Problem;
use crate::http::request::Request;
use crate::http::respond;

/// Of a document, what is read to find the value in it.
const BEGINNING: u64 = 4096;

/// A value that does not stand at the beginning of its document (which neither
/// this program nor archive-core writes) is looked for in memory.
const MOST_IN_MEMORY: u64 = 32 << 20;

impl Archive {
    /// The row of a message that `reach` may see. Errors: 400, 404, 401.
    pub async fn visible(&self, uuid: &str, reach: Reach) -> Result<Row, Problem> {
        let uuid = parse_uuid(uuid)?;
        let found = self.ask(move |catalogue| catalogue.fetch(&[uuid])).await?;
        match found.into_iter().next() {
            None => Err(Problem::new(StatusCode::NOT_FOUND, "Message not found")),
            Some(found) if reach == Reach::Public && !found.row.public => Err(unauthorized()),
            Some(found) => Ok(found.row),
        }
    }

    /// The stored document, or the part of it that is asked for.
    pub async fn message(
        &self,
        uuid: &str,
        request: &Request,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        let row = self.visible(uuid, reach).await?;
        let whole = 0..row.size.max(0) as u64;
        let kind = HeaderValue::from_static(respond::BSON);
        let tag = tag(&row, "");
        self.bytes(&row, whole, &request.headers, kind, &tag).await
    }

    /// The value's bytes, as a file of the name that was asked for.
    pub async fn raw_file(
        &self,
        uuid: &str,
        name: &str,
        request: &Request,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        let row = self.visible(uuid, reach).await?;
        let value = self.value_of(&row).await?;
        let tag = tag(&row, "-value");
        let kind = media_type(&row);
        let mut response = self
            .bytes(&row, value, &request.headers, kind, &tag)
            .await?;
        let headers = response.headers_mut();
        // It is whatever its sender liked: no browser takes it for a page of
        // this server.
        let policy = HeaderValue::from_static("sandbox; default-src 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        if let Ok(disposition) = HeaderValue::try_from(disposition(name)) {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        Ok(response)
    }

    /// Bytes of a row's document, by the request's conditions.
    async fn bytes(
        &self,
        row: &Row,
        all: Range<u64>,
        asked: &HeaderMap,
        kind: HeaderValue,
        tag: &str,
    ) -> Result<Response<Body>, Problem> {
        let length = all.end - all.start;
        let (status, part) = match conditional::part(asked, tag, length) {
            _ if conditional::is_known(asked, tag) => (StatusCode::NOT_MODIFIED, 0..0),
            Part::Whole => (StatusCode::OK, 0..length),
            Part::Bytes(part) => (StatusCode::PARTIAL_CONTENT, part),
            Part::OutOfReach => {
                let there = HeaderValue::try_from(format!("bytes */{length}"));
                let problem =
                    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "Range not satisfiable");
                return Err(match there {
                    Ok(there) => problem.with(CONTENT_RANGE, there),
                    Err(_) => problem,
                });
            }
        };
        let body = match part.is_empty() {
            true => body::empty(),
            false => {
                let part = all.start + part.start..all.start + part.end;
                self.send(pieces(row, part)).await?
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        if status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            if let Ok(range) = HeaderValue::try_from(range) {
                headers.insert(CONTENT_RANGE, range);
            }
        }
        Ok(response)
    }

    /// Where in a row's document the value's bytes are; a tombstone has none.
    async fn value_of(&self, row: &Row) -> Result<Range<u64>, Problem> {
        let size = row.size.max(0) as u64;
        let beginning = self.read_part(row, 0..size.min(BEGINNING)).await?;
        if let Some(value) = value_at_beginning(&beginning, size) {
            return Ok(value);
        }
        if size > MOST_IN_MEMORY {
            return Err(Problem::internal(
                "the message is not stored as this program reads it",
            ));
        }
        let document = self.read_part(row, 0..size).await?;
        value_within(&document).ok_or_else(|| Problem::internal("the message's object is damaged"))
    }
}

/// Errors: 400.
pub fn parse_uuid(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::bad_request("Invalid Message ID"))
}

/// The same bytes have the same tag, for ever.
fn tag(row: &Row, part: &str) -> String {
    format!("\"{}-{:08x}{part}\"", row.uuid.simple(), row.crc32)
}

/// What the catalogue says of it, unless that is no media type.
fn media_type(row: &Row) -> HeaderValue {
    let kind = row.media_type.as_str();
    let is_type = kind.contains('/') && kind.bytes().all(|b| b.is_ascii_graphic());
    match HeaderValue::from_str(kind) {
        Ok(kind) if is_type => kind,
        _ => HeaderValue::from_static("application/octet-stream"),
    }
}

/// RFC 6266: a name for old clients, and the exact one.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '/') => c,
            _ => '_',
        })
        .collect();
    let exact = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

/// Where the value is, if the document begins with it: length of the document,
/// type, name, length of the value, subtype, value.
fn value_at_beginning(bytes: &[u8], size: u64) -> Option<Range<u64>> {
    let rest = bytes.get(4..)?;
    if rest.strip_prefix(b"\x0Amessage\0").is_some() {
        return Some(0..0);
    }
    let rest = rest.strip_prefix(b"\x05message\0")?;
    let length = rest.first_chunk::<4>().map(|l| i32::from_le_bytes(*l))?;
    let from = (bytes.len() - rest.len()) as u64 + 5;
    let to = from + u64::try_from(length).ok()?;
    (to < size).then_some(from..to)
}

/// The same, wherever in the document the value stands.
fn value_within(document: &[u8]) -> Option<Range<u64>> {
    let value = envelope::decode(document).ok()?.value?;
    if value.is_empty() {
        return Some(0..0);
    }
    let at = document
        .windows(value.len())
        .position(|part| part == value)? as u64;
    Some(at..at + value.len() as u64)
}

#[cfg(test)]
mod tests {
    use bson::raw::{RawDocumentBuf, cstr};
    use bson::spec::BinarySubtype;
    use bson::{Binary, raw::RawBsonRef};
    use proptest::prelude::*;

    use super::*;

    fn binary(bytes: Vec<u8>) -> Binary {
        Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        }
    }

    proptest! {
        #[test]
        fn the_value_is_found_by_the_beginning_of_its_document(value in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut document = RawDocumentBuf::new();
            document.append(cstr!("message"), binary(value.clone()));
            document.append(cstr!("metadata"), "more");
            let bytes = document.into_bytes();
            let beginning = &bytes[..bytes.len().min(BEGINNING as usize)];
            let at = value_at_beginning(beginning, bytes.len() as u64).expect("found");
            prop_assert_eq!(&bytes[at.start as usize..at.end as usize], &value[..]);
        }

        #[test]
        fn no_bytes_make_it_panic_or_point_outside(mut bytes in prop::collection::vec(any::<u8>(), 0..64), size in 0..100u64) {
            for _ in 0..2 {
                if let Some(at) = value_at_beginning(&bytes, size) {
                    prop_assert!(at.start <= at.end && (at.end < size || at.end == 0));
                }
                bytes.splice(0..0, *b"\0\0\0\0\x05message\0");
            }
        }

        #[test]
        fn every_file_name_can_be_told(name in "\\PC{0,30}|[ -~\\r\\n\"\\\\]{0,30}") {
            prop_assert!(HeaderValue::try_from(disposition(&name)).is_ok());
        }
    }

    #[test]
    fn a_tombstone_has_no_bytes() {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("message"), RawBsonRef::Null);
        let bytes = document.into_bytes();
        assert_eq!(value_at_beginning(&bytes, bytes.len() as u64), Some(0..0));
    }
}
