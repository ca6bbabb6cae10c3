//! What goes wrong with a request, as its client is told.

use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::body::{self, Body};

/// A status with one line that says why.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: vec![],
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path")
    }

    /// `allowed`: methods, with commas.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this path takes {allowed}"),
        )
        .with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// A web page of another site asks for a change.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "nothing is changed on behalf of a web page of another site",
        )
    }

    /// Something behind this server does not answer or has no room; asking
    /// again may help.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            .with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// `{"error": why}`, on one line.
    pub fn into_json(self) -> Response<Body> {
        let line = json!({ "error": self.message }).to_string() + "\n";
        self.into_response("application/json", line)
    }

    /// The bare text, as the clients of an older program know it.
    pub fn into_text(self, content_type: &'static str) -> Response<Body> {
        let text = self.message.clone();
        self.into_response(content_type, text)
    }

    fn into_response(self, content_type: &'static str, text: String) -> Response<Body> {
        let mut response = Response::new(body::full(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}
