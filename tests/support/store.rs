//! Stores to test against: a directory, and the S3 that the environment names.

#[path = "skip.rs"]
mod skip;

use archive_ingest::config::{DirectoryConfig, S3Config, S3Credentials};
use archive_ingest::store::{DirectoryStore, S3Store, Store};
use tempfile::TempDir;

/// A store with a private part of it.
pub struct Backend {
    pub store: Box<dyn Store>,
    /// What this test's keys start with; ends in `/`.
    pub prefix: String,
    place: Place,
}

enum Place {
    Directory(TempDir),
    S3(Box<S3Config>),
}

impl Backend {
    pub fn directory() -> Self {
        Self::at(Place::Directory(
            TempDir::new().expect("a temporary folder"),
        ))
    }

    /// `None`, said loudly, where no S3 is configured; a failure in CI.
    pub fn s3() -> Option<Self> {
        let config = s3_config()?;
        Some(Self::at(Place::S3(Box::new(config))))
    }

    fn at(place: Place) -> Self {
        Self {
            store: place.open(),
            prefix: format!("contract-{:032x}/", rand::random::<u128>()),
            place,
        }
    }

    /// The same store as another process would open it.
    pub fn another(&self) -> Box<dyn Store> {
        self.place.open()
    }

    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Place {
    fn open(&self) -> Box<dyn Store> {
        match self {
            Self::Directory(folder) => Box::new(
                DirectoryStore::open(&DirectoryConfig {
                    path: folder.path().join("store"),
                    bucket: "archive".to_owned(),
                    log_every: 0,
                })
                .expect("a directory store"),
            ),
            Self::S3(config) => Box::new(S3Store::open(config).expect("an S3 store")),
        }
    }
}

/// The S3 of `TEST_S3_ENDPOINT`, `TEST_S3_ACCESS_KEY`, `TEST_S3_SECRET_KEY`,
/// `TEST_S3_BUCKET` and `TEST_S3_BACKUP_BUCKET`.
pub fn s3_config() -> Option<S3Config> {
    let endpoint = skip::service("TEST_S3_ENDPOINT")?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let needed = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} must be set"));
    Some(S3Config {
        primary_bucket: needed("TEST_S3_BUCKET"),
        backup_bucket: variable("TEST_S3_BACKUP_BUCKET"),
        ..s3_at(
            &endpoint,
            &needed("TEST_S3_ACCESS_KEY"),
            &needed("TEST_S3_SECRET_KEY"),
        )
    })
}

/// A bucket `archive` at an endpoint.
pub fn s3_at(endpoint: &str, access_key_id: &str, secret_access_key: &str) -> S3Config {
    S3Config {
        primary_bucket: "archive".to_owned(),
        backup_bucket: None,
        endpoint_url: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        credentials: Some(S3Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
        }),
        request_timeout_seconds: 30,
        log_every: 0,
    }
}
