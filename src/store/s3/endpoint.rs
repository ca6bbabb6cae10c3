//! From the configuration to a bucket's URL.

use std::time::Duration;

use s3::creds::Credentials;
use s3::{Bucket, Region};

use crate::config::S3Config;
use crate::store::{StoreError, names};

/// What messages call the store.
pub(super) fn name(config: &S3Config) -> String {
    let endpoint = config.endpoint_url.clone();
    format!(
        "s3 {}/{}",
        // An endpoint that is refused is not shown: it may hold a password.
        endpoint
            .filter(|url| check(url).is_ok())
            .map_or_else(|| aws(&config.region), |url| trim(&url).to_owned()),
        config.primary_bucket
    )
}

/// The primary bucket with its own HTTP client, whose requests end after
/// `timeout`, and without credentials. Connects to nothing.
pub(super) fn template(config: &S3Config, timeout: Duration) -> Result<Bucket, StoreError> {
    let refused = |cause: String| StoreError::Refused {
        store: name(config),
        cause,
    };
    for bucket in std::iter::once(&config.primary_bucket).chain(&config.backup_bucket) {
        names::check_bucket(bucket)
            .map_err(|cause| refused(format!("bucket {bucket:?}: {cause}")))?;
    }
    if let Some(url) = &config.endpoint_url {
        check(url).map_err(|cause| refused(format!("store-endpoint-url: {cause}")))?;
    }
    // The library's table of regions lacks AWS's newer ones.
    let region = Region::Custom {
        region: config.region.clone(),
        endpoint: match &config.endpoint_url {
            Some(url) => trim(url).to_owned(),
            None => aws(&config.region),
        },
    };
    let nobody = Credentials {
        access_key: None,
        secret_key: None,
        security_token: None,
        session_token: None,
        expiration: None,
    };
    let made = Bucket::new(&config.primary_bucket, region, nobody)
        .and_then(|bucket| bucket.with_request_timeout(timeout))
        .map_err(|e| refused(format!("cannot make an HTTP client: {e}")))?;
    Ok(match &config.endpoint_url {
        Some(_) => *made.with_path_style(),
        None => *made,
    })
}

/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
fn aws(region: &str) -> String {
    let country = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{country}")
}

fn trim(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// The signature covers host and path, and the library takes no path here.
fn check(url: &str) -> Result<(), &'static str> {
    let Some(host) = trim(url)
        .strip_prefix("http://")
        .or_else(|| trim(url).strip_prefix("https://"))
    else {
        return Err("it must start with http:// or https://");
    };
    if host.contains('@') {
        return Err("it must not hold a user: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY");
    }
    if host.is_empty() || host.contains(|c: char| "/?#\\".contains(c) || c.is_whitespace()) {
        return Err("it must be a host and a port, without a path, such as http://127.0.0.1:9000");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: Option<&str>, region: &str, bucket: &str) -> S3Config {
        S3Config {
            primary_bucket: bucket.to_owned(),
            backup_bucket: None,
            endpoint_url: endpoint.map(str::to_owned),
            region: region.to_owned(),
            credentials: None,
            request_timeout_seconds: 30,
            log_every: 0,
        }
    }

    fn url(endpoint: Option<&str>, region: &str, bucket: &str) -> String {
        let config = config(endpoint, region, bucket);
        let bucket = template(&config, Duration::from_secs(1)).expect("a good configuration");
        bucket.url()
    }

    #[test]
    fn every_region_of_aws_has_its_host() {
        assert_eq!(
            url(None, "us-west-2", "archive"),
            "https://archive.s3.us-west-2.amazonaws.com"
        );
        assert_eq!(
            url(None, "ap-southeast-7", "archive"),
            "https://archive.s3.ap-southeast-7.amazonaws.com"
        );
        assert_eq!(
            url(None, "cn-north-1", "archive"),
            "https://archive.s3.cn-north-1.amazonaws.com.cn"
        );
    }

    #[test]
    fn an_endpoint_of_ones_own_is_used_with_the_bucket_in_the_path() {
        assert_eq!(
            url(Some("http://127.0.0.1:9000/"), "us-east-1", "archive"),
            "http://127.0.0.1:9000/archive"
        );
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_refused_and_its_password_not_shown() {
        for endpoint in [
            "127.0.0.1:9000",
            "http://",
            "https://host/minio",
            "http://user:hidden@host",
            "http://ho st",
        ] {
            let config = config(Some(endpoint), "us-east-1", "archive");
            let error = template(&config, Duration::from_secs(1)).expect_err(endpoint);
            assert!(matches!(error, StoreError::Refused { .. }));
            let text = error.to_string();
            assert!(text.contains("store-endpoint-url") && !text.contains("hidden"));
        }
    }
}
