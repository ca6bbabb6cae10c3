//! Responses that many endpoints make.

use bson::RawDocumentBuf;
use hyper::body::Body as _;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::{self, Body};
use super::problem::Problem;

pub const BSON: &str = "application/bson";
pub const JSON: &str = "application/json";

pub fn bytes(content_type: &'static str, bytes: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(bytes));
    let kind = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// One line of JSON. Errors: 500, when a value has no JSON.
pub fn json(value: &impl Serialize) -> Result<Response<Body>, Problem> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(bytes(JSON, text + "\n")),
        Err(error) => Err(Problem::internal(format!("no JSON: {error}"))),
    }
}

/// The same, indented where that is wished.
pub fn json_as(value: &impl Serialize, is_pretty: bool) -> Result<Response<Body>, Problem> {
    if !is_pretty {
        return json(value);
    }
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(bytes(JSON, text + "\n")),
        Err(error) => Err(Problem::internal(format!("no JSON: {error}"))),
    }
}

pub fn bson(document: RawDocumentBuf) -> Response<Body> {
    bytes(BSON, document.into_bytes())
}

/// The answer to OPTIONS. `allowed`: methods, with commas.
pub fn options(allowed: &'static str) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// The same without the body, whose length is told where it is known.
pub fn to_head(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact()
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| body::empty())
}
