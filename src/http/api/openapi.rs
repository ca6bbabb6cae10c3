//! What programs read of the API (<https://spec.openapis.org/oas/v3.1.0>).

use hyper::Response;
use serde_json::json;

use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::respond;

const DOCUMENT: &str = include_str!("openapi.json");

pub fn document() -> Response<Body> {
    respond::bytes(respond::JSON, DOCUMENT)
}

/// Where to go from the root.
pub fn index() -> Result<Response<Body>, Problem> {
    respond::json(&json!({
        "name": "archive_ingest",
        "version": env!("CARGO_PKG_VERSION"),
        "openapi": "/api/openapi.json",
    }))
}
