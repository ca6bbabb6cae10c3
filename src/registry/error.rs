//! Why a registry did not do what it was asked.

use std::error::Error;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, or failed. Retry.
    #[error("schema registry {url}: {cause}: check registry-url, and that it runs")]
    Unavailable { url: String, cause: String },
    /// It says no, and why. No retry helps.
    #[error("schema registry {url} refuses {what}: {reason}")]
    Refused {
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

    /// `what` is what was asked for.
    pub(super) fn of(url: &str, what: &str, error: &SRCError) -> Self {
        let url = url.to_owned();
        let raw = error
            .source()
            .and_then(|cause| cause.downcast_ref::<RawError>());
        let status = status(&error.error);
        match (raw, status) {
            (Some(raw), Some(status)) if status < 500 => Self::Refused {
                url,
                what: what.to_owned(),
                reason: reason(raw, status),
            },
            (Some(raw), Some(status)) => Self::Unavailable {
                url,
                cause: reason(raw, status),
            },
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
        // An answer that is not a registry's.
        (0, 401 | 403) => {
            format!("HTTP status {status}: check REGISTRY_USERNAME and REGISTRY_PASSWORD")
        }
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
