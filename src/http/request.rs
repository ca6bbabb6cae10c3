//! A request, as the endpoints see it.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{EXPECT, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::body;
use super::problem::Problem;
use super::query::Query;

/// HEAD arrives as GET: only what changes state tells them apart.
pub struct Request {
    pub method: Method,
    /// What stands between the slashes, decoded; empty for `/`.
    pub path: Vec<String>,
    pub query: Query,
    pub headers: HeaderMap,
    /// The machine at the other end of the connection.
    pub peer: IpAddr,
    pub body: Incoming,
    /// Whether it was a HEAD request, which must not change anything.
    pub is_head: bool,
    /// Whether a browser asks on behalf of a page of another site.
    pub is_cross_site: bool,
}

impl Request {
    /// Errors: the path does not decode to text.
    pub(super) fn new(
        parts: Parts,
        body: Incoming,
        peer: IpAddr,
        is_cross_site: bool,
    ) -> Result<Self, Problem> {
        Ok(Self {
            path: path(&parts.uri)?,
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            is_head: parts.method == Method::HEAD,
            is_cross_site,
            method: match parts.method {
                Method::HEAD => Method::GET,
                other => other,
            },
            headers: parts.headers,
            peer,
            body,
        })
    }

    /// The path as a router matches it.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The whole body, if it is no larger. Errors: 400, 408, 413.
    pub async fn read_body(self, limit: usize) -> Result<Bytes, Problem> {
        let waits = self.headers.contains_key(EXPECT);
        body::read(self.body, limit, waits).await
    }
}

/// A slash at the end changes nothing.
fn path(uri: &Uri) -> Result<Vec<String>, Problem> {
    let path = uri.path().trim_start_matches('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(vec![]);
    }
    path.split('/')
        .map(|segment| {
            let text = percent_decode_str(segment).decode_utf8();
            text.map(|text| text.into_owned())
                .map_err(|_| Problem::bad_request("the path is not UTF-8"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_survives_in_a_path(segments in prop::collection::vec("\\PC{1,12}", 1..5)) {
            let encoded: String = segments
                .iter()
                .map(|s| format!("/{}", utf8_percent_encode(s, NON_ALPHANUMERIC)))
                .collect();
            let uri: Uri = encoded.parse().expect("only ASCII");
            prop_assert_eq!(path(&uri).expect("UTF-8"), segments);
        }

        #[test]
        fn no_path_makes_it_panic(text in "/[ -~]{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                let _ = path(&uri);
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_changes_nothing_and_an_empty_part_is_kept() {
        let of = |text: &str| path(&text.parse().expect("a path")).expect("UTF-8");
        assert_eq!(of("/"), Vec::<String>::new());
        assert_eq!(of("/topics/"), ["topics"]);
        assert_eq!(of("/topic//"), ["topic", ""]);
        assert_eq!(of("/topic/a%2Fb"), ["topic", "a/b"]);
    }
}
