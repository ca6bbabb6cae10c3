//! Web pages of other origins that may ask
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use hyper::Response;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderValue, VARY,
};

use crate::http::body::Body;
use crate::http::request::Request;
use crate::http::respond;

/// The origins of the configuration.
pub struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub fn new(origins: &[String]) -> Self {
        Self {
            origins: origins.to_vec(),
        }
    }

    /// Whether a page of this origin may ask.
    pub fn is_admitted(&self, origin: Option<&HeaderValue>) -> bool {
        let is_admitted = |known: &String| {
            known == "*" || origin.is_some_and(|origin| known.as_bytes() == origin.as_bytes())
        };
        self.origins.iter().any(is_admitted)
    }

    /// OPTIONS, of a browser that asks before it asks or of anybody else.
    pub fn preflight(&self, request: &Request, methods: &'static str) -> Response<Body> {
        let mut response = respond::options(methods);
        if self.origins.is_empty() || !request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return response;
        }
        let headers = response.headers_mut();
        let said = |text| HeaderValue::from_static(text);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, said(methods));
        let asked = "authorization, content-type, range, if-none-match";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, said(asked));
        headers.insert(ACCESS_CONTROL_MAX_AGE, said("600"));
        response
    }

    /// Lets a page of `origin` see the response, if it may.
    pub fn admit(
        &self,
        mut response: Response<Body>,
        origin: Option<&HeaderValue>,
    ) -> Response<Body> {
        if self.origins.is_empty() {
            return response;
        }
        let is_any = self.origins.iter().any(|known| known == "*");
        let headers = response.headers_mut();
        if !is_any {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = origin else {
            return response;
        };
        let is_known = self
            .origins
            .iter()
            .any(|o| o.as_bytes() == origin.as_bytes());
        if is_any || is_known {
            let allowed = match is_any {
                true => HeaderValue::from_static("*"),
                false => origin.clone(),
            };
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            let exposed =
                "etag, content-range, accept-ranges, www-authenticate, authentication-info";
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(exposed),
            );
        }
        response
    }
}
