//! Stanzas with `store-` keys: where objects go.

use std::fmt;
use std::path::PathBuf;

use super::error::{ConfigError, Problem};
use super::from_value::Word;
use super::key::Key;
use super::settings::Settings;
use super::value::Hidden;

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
    /// `store-primary-bucket`. Default `archive`.
    pub primary_bucket: String,
    /// `store-backup-bucket`: checked for existence at start. The provider
    /// replicates into it; this program reads it to mend, and never writes there.
    pub backup_bucket: Option<String>,
    /// `store-endpoint-url`, without a slash at its end; AWS's own where
    /// absent. With it, path style.
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

/// `store-type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreType {
    Directory,
    S3,
}

const TYPE: Key = Key::choice::<StoreType>("store-type", "where objects go");
const PATH: Key = Key::path("store-path", "the directory; buckets are folders in it");
const PRIMARY_BUCKET: Key =
    Key::text("store-primary-bucket", "bucket that objects go to").default("archive");
const BACKUP_BUCKET: Key = Key::text(
    "store-backup-bucket",
    "bucket that the provider replicates into; must exist",
);
const ENDPOINT_URL: Key = Key::text("store-endpoint-url", "S3's URL; AWS's own where absent");
const REGION_NAME: Key = Key::text("store-region-name", "S3's region").default("us-east-1");
const ACCESS_KEY_ID: Key = Key::secret(
    "s3-access-key-id",
    "S3's access key; the standard AWS chain where absent",
);
const SECRET_ACCESS_KEY: Key = Key::secret("s3-secret-access-key", "S3's secret key");
const REQUEST_TIMEOUT: Key = Key::number(
    "store-request-timeout-seconds",
    1,
    3600,
    "seconds that one request may take",
)
.default("30");
const LOG_EVERY: Key = Key::number(
    "store-log-every",
    0,
    u64::MAX,
    "an info line every so many objects; 0 never",
)
.default("10000");

pub(super) const KEYS: &[&Key] = &[
    &TYPE,
    &PATH,
    &PRIMARY_BUCKET,
    &BACKUP_BUCKET,
    &ENDPOINT_URL,
    &REGION_NAME,
    &ACCESS_KEY_ID,
    &SECRET_ACCESS_KEY,
    &REQUEST_TIMEOUT,
    &LOG_EVERY,
];

impl StoreConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        match settings.require(&TYPE)? {
            StoreType::Directory => Ok(StoreConfig::Directory(DirectoryConfig {
                path: settings.require(&PATH)?,
                bucket: require_bucket(settings)?,
                log_every: settings.require(&LOG_EVERY)?,
            })),
            StoreType::S3 => S3Config::read(settings).map(StoreConfig::S3),
        }
    }
}

impl S3Config {
    fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let primary_bucket = require_bucket(settings)?;
        let backup_bucket = bucket(settings, &BACKUP_BUCKET)?;
        if backup_bucket.as_ref() == Some(&primary_bucket) {
            let why = "it is the primary bucket too: name another one or remove the key";
            return Err(settings.refused(&BACKUP_BUCKET, why));
        }
        Ok(S3Config {
            primary_bucket,
            backup_bucket,
            endpoint_url: endpoint_url(settings)?,
            region: settings.require(&REGION_NAME)?,
            credentials: S3Credentials::read(settings)?,
            request_timeout_seconds: settings.require(&REQUEST_TIMEOUT)?,
            log_every: settings.require(&LOG_EVERY)?,
        })
    }
}

impl S3Credentials {
    fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let access_key_id = settings.optional(&ACCESS_KEY_ID)?;
        let secret_access_key = settings.optional(&SECRET_ACCESS_KEY)?;
        match (access_key_id, secret_access_key) {
            (Some(access_key_id), Some(secret_access_key)) => Ok(Some(S3Credentials {
                access_key_id,
                secret_access_key,
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Problem::half("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")),
            (None, Some(_)) => Err(Problem::half("S3_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID")),
        }
    }
}

fn require_bucket(settings: &Settings) -> Result<String, ConfigError> {
    bucket(settings, &PRIMARY_BUCKET)?.map_or_else(|| settings.require(&PRIMARY_BUCKET), Ok)
}

/// S3's general rule for a bucket's name (3 to 63 of `a-z 0-9 . -`, a letter
/// or digit at both ends); for a directory it keeps the folder inside it.
fn bucket(settings: &Settings, key: &Key) -> Result<Option<String>, ConfigError> {
    let Some(name): Option<String> = settings.optional(key)? else {
        return Ok(None);
    };
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let sound = (3..=63).contains(&name.len())
        && name.chars().all(|c| letter(c) || matches!(c, '.' | '-'))
        && name.starts_with(letter)
        && name.ends_with(letter)
        && !name.contains("..");
    if !sound {
        let why = format!(
            "{name:?} is no bucket's name: take 3 to 63 of a-z 0-9 . -, with a letter or digit at both ends"
        );
        return Err(settings.refused(key, why));
    }
    Ok(Some(name))
}

/// Messages do not repeat the URL: a password may stand in it.
fn endpoint_url(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let Some(url): Option<String> = settings.optional(&ENDPOINT_URL)? else {
        return Ok(None);
    };
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let Some(rest) = rest else {
        let why = "it must start with http:// or https://: write it like http://127.0.0.1:9000";
        return Err(settings.refused(&ENDPOINT_URL, why));
    };
    if rest.contains('@') {
        let why = "it has a user or password in it: \
                   remove them and set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY";
        return Err(settings.refused(&ENDPOINT_URL, why));
    }
    if rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains(['?', '#', ' ']) {
        let why = "it must be a scheme and a host: write it like http://127.0.0.1:9000";
        return Err(settings.refused(&ENDPOINT_URL, why));
    }
    Ok(Some(url.trim_end_matches('/').to_owned()))
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("S3Credentials")
            .field("access_key_id", &Hidden)
            .field("secret_access_key", &Hidden)
            .finish()
    }
}

impl Word for StoreType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("directory", StoreType::Directory),
        ("S3", StoreType::S3),
        // A store that kept nothing, in existing files.
        ("mock", StoreType::Directory),
    ];
}
