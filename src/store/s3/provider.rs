//! The standard AWS chain of credentials: environment, web identity, profile,
//! container, instance.
//!
//! aws-creds has the providers. Its own chain swallows every cause and falls
//! through from a provider that is configured and fails to one that is not, so
//! the choice is made here: what is configured is used, or its error told.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use s3::creds::Credentials;
use s3::creds::error::CredentialsError as ProviderError;

use super::credentials::CredentialsError;

/// How a role's session is called in AWS's logs.
const SESSION_NAME: &str = "archive-ingest";

/// For one request to a provider.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Credentials of the first provider that is configured. Blocks on the network.
pub(super) fn chain() -> Result<Credentials, CredentialsError> {
    s3::creds::set_request_timeout(Some(REQUEST_TIMEOUT));
    if is_set("AWS_ACCESS_KEY_ID") {
        return Credentials::from_env().map_err(|e| refused("AWS_ACCESS_KEY_ID is set", &e));
    }
    if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") {
        return Credentials::from_sts_env(SESSION_NAME)
            .map_err(|e| provider_failed("web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", &e));
    }
    if let Some(credentials) = profile()? {
        return Ok(credentials);
    }
    if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Credentials::from_container_credentials_provider()
            .map_err(|e| provider_failed("the container's provider", &e));
    }
    if is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        return Err(CredentialsError::Refused(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI (EKS Pod Identity) is not supported: \
             use IAM roles for service accounts (AWS_WEB_IDENTITY_TOKEN_FILE)"
                .to_owned(),
        ));
    }
    instance()
}

/// Whether what [`chain`] gives may be another thing later: only variables of
/// this process stay as they are.
pub(super) fn renews() -> bool {
    !is_set("AWS_ACCESS_KEY_ID")
}

/// The shared credentials file. `None` where nothing names it and it has no
/// default profile.
fn profile() -> Result<Option<Credentials>, CredentialsError> {
    let profile = env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    let named = profile.is_some() || is_set("AWS_SHARED_CREDENTIALS_FILE");
    match Credentials::from_profile(profile.as_deref()) {
        Ok(credentials) => Ok(Some(credentials)),
        Err(_) if !named && !credentials_file().is_some_and(|path| path.exists()) => Ok(None),
        Err(ProviderError::ConfigNotFound) if !named => Ok(None),
        Err(e) => Err(refused("the shared credentials file", &e)),
    }
}

fn credentials_file() -> Option<PathBuf> {
    env::home_dir().map(|home| home.join(".aws/credentials"))
}

/// The machine's role, where this is an EC2 instance.
fn instance() -> Result<Credentials, CredentialsError> {
    let none = || {
        CredentialsError::Refused(
            "there are no credentials: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, \
             or give AWS ones by environment, web identity, profile, container or instance role"
                .to_owned(),
        )
    };
    if env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|v| v.eq_ignore_ascii_case("true")) {
        return Err(none());
    }
    match Credentials::from_instance_metadata_v2(false) {
        Err(ProviderError::NotEc2) => Err(none()),
        other => other.map_err(|e| provider_failed("the instance's metadata service", &e)),
    }
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn refused(what: &str, error: &ProviderError) -> CredentialsError {
    CredentialsError::Refused(format!("{what}, but gives no credentials: {error}"))
}

/// Only the kind of error is told: a provider's answer may hold a secret.
fn provider_failed(what: &str, error: &ProviderError) -> CredentialsError {
    let cause = match error {
        ProviderError::Io(e) => e.to_string(),
        ProviderError::Env(e) => e.to_string(),
        ProviderError::Atto(e) => e.to_string(),
        ProviderError::UnexpectedStatusCode(status) => format!("status {status}"),
        _ => "an answer without credentials; is the role allowed?".to_owned(),
    };
    CredentialsError::Unavailable(format!("{what} gives no credentials: {cause}"))
}
