//! What an answer of S3, or none, means for the caller.
//!
//! Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::error::Error;
use std::ops::Range;

use s3::error::S3Error;
use serde::Deserialize;

use crate::store::StoreError;

/// Why a request brought nothing.
pub(super) enum Failure {
    /// The store answered, with a status that is no success.
    Answer(Answer),
    /// No answer, or none in time, or half of one.
    Transport { cause: String, timeout: bool },
    /// An answer that S3 does not give: a proxy's, or a broken one.
    Nonsense(String),
    /// The object is there, and is not what was asked for.
    Unreadable(String),
    /// The request could not even be made.
    Request(String),
}

/// S3's error document. Empty where the body was none.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) code: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorDocument {
    code: String,
    #[serde(default)]
    message: String,
}

/// The code of an error document; `None` where the body is none.
pub(super) fn error_code(body: &str) -> Option<String> {
    let document: ErrorDocument = quick_xml::de::from_str(body).ok()?;
    Some(document.code)
}

impl Answer {
    fn new(status: u16, body: &str) -> Self {
        match quick_xml::de::from_str::<ErrorDocument>(body) {
            Ok(document) => Self {
                status,
                code: document.code,
                message: document.message,
            },
            Err(_) => Self {
                status,
                ..Self::default()
            },
        }
    }
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        match error {
            S3Error::HttpFailWithBody(status, body) => Self::Answer(Answer::new(status, &body)),
            S3Error::Reqwest(e) => Self::Transport {
                timeout: e.is_timeout(),
                cause: chain(&e.without_url()),
            },
            other => Self::Request(other.to_string()),
        }
    }
}

impl Failure {
    /// An object of `size` bytes that ends before `range` does.
    pub(super) fn too_short(size: u64, range: &Range<u64>) -> Self {
        Self::Unreadable(format!("it has {size} bytes, asked for {range:?}"))
    }

    /// The status of the answer; 0 without one.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Answer(answer) => answer.status,
            _ => 0,
        }
    }

    /// S3's code; empty without one.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Answer(answer) => &answer.code,
            _ => "",
        }
    }

    /// Whether the credentials were good and have run out.
    pub(super) fn is_expired_token(&self) -> bool {
        matches!(self.code(), "ExpiredToken" | "ExpiredTokenException")
    }

    /// Whether the bucket exists, but in another region than was asked.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(
            self.code(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed"
        )
    }

    /// As the trait tells it. `doing` is the request, such as `PUT`; `key` is
    /// the object's or what else it was about.
    pub(super) fn into_store_error(self, store: &str, doing: &str, key: &str) -> StoreError {
        let store = store.to_owned();
        match self {
            Self::Answer(answer) => answer.into_store_error(store, doing, key),
            Self::Transport { cause, timeout } => {
                let cause = format!("{doing} {key}: {cause}");
                if timeout {
                    StoreError::Busy { store, cause }
                } else {
                    StoreError::Unavailable { store, cause }
                }
            }
            Self::Nonsense(cause) => StoreError::Unavailable {
                store,
                cause: format!("{doing} {key}: {cause}; is a proxy in between?"),
            },
            Self::Unreadable(cause) => StoreError::Unreadable {
                store,
                key: key.to_owned(),
                cause,
            },
            Self::Request(cause) => StoreError::Refused {
                store,
                cause: format!("{doing} {key}: cannot make the request: {cause}"),
            },
        }
    }
}

/// What the caller may do about an answer.
enum Kind {
    NotFound,
    Unreadable,
    Busy,
    Unavailable,
    Refused,
}

impl Answer {
    fn into_store_error(self, store: String, doing: &str, key: &str) -> StoreError {
        let cause = self.text(doing, key);
        let key = key.to_owned();
        match self.kind() {
            Kind::NotFound => StoreError::NotFound { store, key },
            Kind::Unreadable => StoreError::Unreadable { store, key, cause },
            Kind::Busy => StoreError::Busy { store, cause },
            Kind::Unavailable => StoreError::Unavailable { store, cause },
            Kind::Refused => StoreError::Refused { store, cause },
        }
    }

    /// The code decides where it is known, else the status.
    fn kind(&self) -> Kind {
        match (self.code.as_str(), self.status) {
            ("NoSuchKey", 404) => Kind::NotFound,
            ("InvalidObjectState", _) | (_, 416) => Kind::Unreadable,
            (
                "SlowDown"
                | "SlowDownRead"
                | "SlowDownWrite"
                | "ServiceUnavailable"
                | "TooManyRequests"
                | "Throttling"
                | "ThrottlingException"
                | "RequestTimeout"
                | "ConditionalRequestConflict"
                | "OperationAborted",
                _,
            )
            | (_, 408 | 429 | 503 | 504) => Kind::Busy,
            // The bytes were hurt on the way.
            ("BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch", _) => Kind::Unavailable,
            // Not S3's own 404, which has a code: whoever answered does not
            // know what there is.
            ("", 404) => Kind::Unavailable,
            (_, 500..) => Kind::Unavailable,
            _ => Kind::Refused,
        }
    }

    fn text(&self, doing: &str, key: &str) -> String {
        let mut text = format!("{doing} {key}: {}", self.status);
        for part in [&self.code, &self.message] {
            if !part.is_empty() {
                text.push(' ');
                text.push_str(part);
            }
        }
        if let Some(advice) = self.advice() {
            text.push_str("; ");
            text.push_str(advice);
        }
        text
    }

    fn advice(&self) -> Option<&'static str> {
        Some(match (self.code.as_str(), self.status) {
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => {
                "the credentials are wrong: check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
            }
            ("RequestTimeTooSkewed", _) => "the clock of this machine is wrong: set it",
            ("NoSuchBucket", _) => "make the bucket or correct its name",
            (
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
                _,
            )
            | (_, 301 | 307) => "the bucket is in another region: set store-region-name",
            ("AccessDenied" | "AllAccessDisabled", _) | (_, 401 | 403) => {
                "these credentials need s3:GetObject, s3:PutObject and s3:ListBucket on the bucket"
            }
            ("", 404) => "that is no answer of S3: check store-endpoint-url",
            _ => return None,
        })
    }
}

/// An error and its causes in one line, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> StoreError {
        Failure::from(S3Error::HttpFailWithBody(status, body.to_owned())).into_store_error(
            "s3 http://store/archive",
            "PUT",
            "topic/1.bson",
        )
    }

    fn document(code: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
             <Message>Words of the store.</Message><AWSAccessKeyId>AKID</AWSAccessKeyId>\
             <StringToSign>to sign</StringToSign><RequestId>7</RequestId></Error>"
        )
    }

    #[test]
    fn a_request_for_fewer_requests_is_busy_whatever_its_status() {
        for (status, body) in [
            (503, document("SlowDown")),
            (500, document("SlowDown")),
            (503, String::new()),
            (429, String::new()),
            (400, document("RequestTimeout")),
            (409, document("ConditionalRequestConflict")),
        ] {
            assert!(matches!(error(status, &body), StoreError::Busy { .. }));
        }
    }

    #[test]
    fn a_failure_of_the_store_is_unavailable() {
        for (status, body) in [
            (500, document("InternalError")),
            (502, "<html>Bad gateway</html>".to_owned()),
            (400, document("BadDigest")),
            (404, "<html>Not found</html>".to_owned()),
        ] {
            assert!(matches!(
                error(status, &body),
                StoreError::Unavailable { .. }
            ));
        }
    }

    #[test]
    fn only_the_code_no_such_key_says_that_there_is_no_object() {
        let none = error(404, &document("NoSuchKey"));
        assert!(matches!(none, StoreError::NotFound { key, .. } if key == "topic/1.bson"));
        let bucket = error(404, &document("NoSuchBucket"));
        assert!(matches!(bucket, StoreError::Refused { .. }));
    }

    #[test]
    fn a_refusal_names_the_code_and_what_to_do_and_no_secret() {
        for (status, code, advice) in [
            (403, "SignatureDoesNotMatch", "S3_SECRET_ACCESS_KEY"),
            (403, "InvalidAccessKeyId", "S3_ACCESS_KEY_ID"),
            (403, "AccessDenied", "s3:PutObject"),
            (403, "RequestTimeTooSkewed", "clock"),
            (404, "NoSuchBucket", "make the bucket"),
            (301, "PermanentRedirect", "store-region-name"),
        ] {
            let refused = error(status, &document(code));
            assert!(matches!(refused, StoreError::Refused { .. }), "{code}");
            let text = refused.to_string();
            assert!(text.contains(code) && text.contains(advice), "{text}");
            assert!(
                !text.contains("AKID") && !text.contains("to sign"),
                "{text}"
            );
        }
    }
}
