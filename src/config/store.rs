//! Stanzas with `store-` keys: where objects go.

use std::path::PathBuf;

/// Chosen with `-S`. `store-type`: `directory` or `S3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    Directory(DirectoryConfig),
    S3(S3Config),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// `store-path`; made when missing. Buckets are folders in it.
    pub path: PathBuf,
    /// `store-primary-bucket`. Default `archive`.
    pub bucket: String,
    /// `store-log-every`: an info line every so many objects. Default 10000; 0 never.
    pub log_every: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Config {
    pub primary_bucket: String,
    /// `store-backup-bucket`: checked for existence at start. The provider
    /// replicates into it; this program does not write there.
    pub backup_bucket: Option<String>,
    /// `store-endpoint-url`; AWS's own where absent. With it, path style.
    pub endpoint_url: Option<String>,
    /// `store-region-name`. Default `us-east-1`.
    pub region: String,
    /// `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY`; `None` means the standard
    /// AWS chain (environment, web identity, profile, container, instance).
    pub credentials: Option<S3Credentials>,
    /// `store-request-timeout-seconds`: for one request. Default 30.
    pub request_timeout_seconds: u64,
    /// `store-log-every`: an info line every so many objects. Default 10000; 0 never.
    pub log_every: u64,
}

#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}
