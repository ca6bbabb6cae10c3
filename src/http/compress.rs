//! gzip, where it is asked for and where it helps.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, VARY,
};
use hyper::{Response, StatusCode};

use super::body::{self, Body, BodyError};

/// Shorter bodies would grow, or shrink by less than it costs.
const SHORTEST: u64 = 512;

/// Whether the client takes gzip and prefers it (RFC 9110, section 12.5.3).
pub fn asked_for(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(ACCEPT_ENCODING);
    let texts = asked.iter().filter_map(|value| value.to_str().ok());
    let mut all = None;
    for part in texts.flat_map(|text| text.split(',')) {
        let (coding, weight) = part.split_once(';').unwrap_or((part, ""));
        let is_wanted = !is_zero(weight);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => all = Some(is_wanted),
            _ => {}
        }
    }
    all.unwrap_or(false)
}

/// Whether it is a weight of 0: `q=0`, `q=0.000`.
fn is_zero(weight: &str) -> bool {
    let weight: String = weight.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(number) = weight
        .strip_prefix("q=")
        .or_else(|| weight.strip_prefix("Q="))
    else {
        return false;
    };
    number.parse::<f32>().is_ok_and(|number| number <= 0.0)
}

/// Compresses a whole answer of a kind that shrinks, if `is_asked`.
pub fn apply(mut response: Response<Body>, is_asked: bool) -> Response<Body> {
    if !may_shrink(&response) {
        return response;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if !is_asked {
        return response;
    }
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken_tag(headers);
    response.map(gzip)
}

fn may_shrink(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let length = announced.or(response.body().size_hint().exact());
    response.status() != StatusCode::PARTIAL_CONTENT
        && !response.body().is_end_stream()
        && length.is_none_or(|length| length >= SHORTEST)
        && !headers.contains_key(CONTENT_ENCODING)
        && headers.get(CONTENT_TYPE).is_some_and(is_kind_that_shrinks)
}

fn is_kind_that_shrinks(kind: &HeaderValue) -> bool {
    let Ok(kind) = kind.to_str() else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("xml")
        || matches!(
            kind,
            "application/bson"
                | "application/x.voevent"
                | "application/x.gcn.notice"
                | "application/x.gcn.circular"
                | "application/openmetrics-text"
        )
}

/// The bytes are others now, though they mean the same.
fn weaken_tag(headers: &mut HeaderMap) {
    let weak = headers
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok())
        .filter(|tag| !tag.starts_with("W/"))
        .and_then(|tag| HeaderValue::try_from(format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

/// What is compressed is sent as it comes: nothing is held but one chunk.
fn gzip(body: Body) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let begin = (body.into_data_stream(), Some(encoder));
    body::stream(stream::unfold(begin, |(mut chunks, encoder)| async move {
        let mut encoder = encoder?;
        loop {
            let compressed = match chunks.next().await {
                Some(Err(error)) => return Some((Err(error), (chunks, None))),
                Some(Ok(chunk)) => match encoder.write_all(&chunk) {
                    Ok(()) => std::mem::take(encoder.get_mut()),
                    Err(error) => return Some((Err(error.into()), (chunks, None))),
                },
                None => {
                    let end = encoder.finish().map(Bytes::from).map_err(BodyError::from);
                    return Some((end, (chunks, None)));
                }
            };
            if !compressed.is_empty() {
                return Some((Ok(Bytes::from(compressed)), (chunks, Some(encoder))));
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn is_asked(text: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(text).expect("text"));
        asked_for(&headers)
    }

    #[test]
    fn gzip_is_asked_for_by_name_or_by_a_star_and_refused_by_a_weight_of_zero() {
        for text in [
            "gzip",
            "deflate, gzip;q=0.5",
            "GZIP",
            "*",
            "br, *;q=0.1",
            "x-gzip",
        ] {
            assert!(is_asked(text), "{text}");
        }
        for text in [
            "",
            "br",
            "gzip;q=0",
            "gzip; q=0.000, *",
            "*;q=0",
            "identity",
        ] {
            assert!(!is_asked(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[ -~]{0,40}") {
            is_asked(&text);
        }

        #[test]
        fn what_is_compressed_is_the_same_when_unpacked(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..8)
        ) {
            let whole = chunks.concat();
            let sent = chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk)));
            let body = gzip(body::stream(stream::iter(sent)));
            let packed = futures::executor::block_on(body.collect()).expect("no error").to_bytes();
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("gzip");
            prop_assert_eq!(unpacked, whole);
        }
    }
}
