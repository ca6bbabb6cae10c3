//! Why a registry did not do what it was asked.

use std::error::Error;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

/// The registry's own code for an id that it does not have
/// (<https://docs.confluent.io/platform/current/schema-registry/develop/api.html#get--schemas-ids-int-%20id>).
/// A 404 without it may be a proxy's or another server's.
const NO_SUCH_SCHEMA: u32 = 40403;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, failed, or asks to come again later (408, 425, 429).
    /// Retry.
    #[error("schema registry {url}: {cause}: check registry-url, and that it runs")]
    Unavailable { url: String, cause: String },
    /// What was asked for cannot be had, and the registry itself says so: there is
    /// no such schema, or a schema cannot be registered. No retry helps.
    #[error("schema registry {url} refuses {what}: {reason}")]
    Refused {
        url: String,
        what: String,
        reason: String,
    },
    /// The answer is about the request, not about a schema: a credential, a proxy,
    /// a redirect, another server. Nothing is known of the schema, and no retry
    /// helps.
    #[error("schema registry {url} does not give {what}: {reason}")]
    NoAnswer {
        url: String,
        what: String,
        reason: String,
    },
    /// The settings are of no use: a CA that is none.
    #[error("schema registry {url}: {cause}")]
    Settings { url: String, cause: String },
}

impl RegistryError {
    /// Whether it may be otherwise a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether it is about the one schema that was asked for, so that others can
    /// be had all the same.
    pub fn is_about_schema(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// A schema was asked for by its id; `what` names it.
    pub(super) fn of_lookup(url: &str, what: &str, error: &SRCError) -> Self {
        Self::of(url, what, error, |_, code| code == NO_SUCH_SCHEMA)
    }

    /// A schema was to be registered; `what` names it. 409: it is not compatible
    /// with earlier versions; 422: it is not a schema.
    pub(super) fn of_registration(url: &str, what: &str, error: &SRCError) -> Self {
        Self::of(url, what, error, |status, code| {
            code != 0 && matches!(status, 409 | 422)
        })
    }

    fn of(
        url: &str,
        what: &str,
        error: &SRCError,
        is_about_schema: impl Fn(u16, u32) -> bool,
    ) -> Self {
        let (url, what) = (url.to_owned(), what.to_owned());
        let raw = error
            .source()
            .and_then(|cause| cause.downcast_ref::<RawError>());
        let status = status(&error.error);
        match (raw, status) {
            (Some(raw), Some(status)) => {
                let reason = reason(raw, status);
                if is_about_schema(status, raw.error_code) {
                    Self::Refused { url, what, reason }
                } else if status >= 500 || matches!(status, 408 | 425 | 429) {
                    Self::Unavailable { url, cause: reason }
                } else {
                    Self::NoAnswer { url, what, reason }
                }
            }
            _ => Self::Unavailable {
                url,
                cause: innermost(error),
            },
        }
    }
}

/// The converter says the status of an answer only in its message.
fn status(message: &str) -> Option<u16> {
    let (_, rest) = message.rsplit_once("with status ")?;
    rest.split(' ').next()?.parse().ok()
}

/// The registry's own words, on one line.
fn reason(raw: &RawError, status: u16) -> String {
    let words = raw.message.split_whitespace().collect::<Vec<_>>().join(" ");
    match (raw.error_code, status) {
        (_, 401 | 403) => {
            format!("HTTP status {status}: check REGISTRY_USERNAME and REGISTRY_PASSWORD")
        }
        (0, 408 | 425 | 429) => format!("HTTP status {status}: it asks to come again later"),
        // An answer that is not a registry's.
        (0, status) => format!(
            "HTTP status {status}, and nothing that a registry would say: check registry-url"
        ),
        (code, _) if words.is_empty() => format!("error {code}"),
        (code, _) => format!("{words} (error {code})"),
    }
}

/// What a chain of errors ends in says most.
fn innermost(error: &SRCError) -> String {
    let Some(mut last) = error.source() else {
        return error.error.clone();
    };
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
