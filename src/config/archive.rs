//! `[archive]`: how the archiver works. One stanza, every key optional.

use std::time::Duration;

use super::error::ConfigError;
use super::key::Key;
use super::settings::Settings;
use super::value::Value;
use crate::signing::SigningKeys;

/// How much the archiver does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// `archive-batch-records`: records that close a batch. Default 1000.
    pub batch_records: usize,
    /// `archive-batch-bytes`: bytes of records that close a batch, at most half of
    /// `archive-memory-bytes`, so that a batch is filled while another is
    /// stored. Default 16 MiB, or that half where it is less.
    pub batch_bytes: usize,
    /// `archive-batch-interval-ms`: time that closes a batch. Default 500 ms.
    pub batch_interval: Duration,
    /// `archive-memory-bytes`: bytes of records that the whole process holds at
    /// once, librdkafka's queues included. A record counts with its headers'
    /// structures, the document that is stored, and its row. Default 128 MiB, at
    /// least 8 MiB.
    pub memory_bytes: usize,
    /// `archive-put-concurrency`: most PUTs under way at once. Default 64.
    pub put_concurrency: usize,
    /// `archive-status-interval-seconds`: between two status lines. Default 60 s.
    pub status_interval: Duration,
    /// `archive-shutdown-seconds`: what is in flight may take this long after a
    /// signal. Default 30 s.
    pub shutdown: Duration,
    /// `ARCHIVE_SIGNING_KEY` and `ARCHIVE_SIGNING_KEYS_OLD`; `None`: nothing is
    /// signed, and no signature is checked.
    pub signing: Option<SigningKeys>,
}

const BATCH_RECORDS: Key = Key::number(
    "archive-batch-records",
    1,
    1_000_000,
    "records that close a batch",
)
.default("1000");
const BATCH_BYTES: Key = Key::number(
    "archive-batch-bytes",
    1,
    1 << 40,
    "bytes of records that close a batch, at most half of archive-memory-bytes",
)
.default("16777216");
const BATCH_INTERVAL: Key = Key::number(
    "archive-batch-interval-ms",
    1,
    3_600_000,
    "milliseconds that close a batch",
)
.default("500");
const MEMORY_BYTES: Key = Key::number(
    "archive-memory-bytes",
    8 << 20,
    1 << 40,
    "bytes of records held at once, Kafka's queues included, at least 8 MiB",
)
.default("134217728");
const PUT_CONCURRENCY: Key = Key::number(
    "archive-put-concurrency",
    1,
    4096,
    "most PUTs under way at once",
)
.default("64");
const STATUS_INTERVAL: Key = Key::number(
    "archive-status-interval-seconds",
    1,
    86_400,
    "seconds between two status lines",
)
.default("60");
const SHUTDOWN: Key = Key::number(
    "archive-shutdown-seconds",
    1,
    3600,
    "seconds that work in flight may take after a signal to stop",
)
.default("30");

const SIGNING_KEY: Key = Key::secret(
    "archive-signing-key",
    "ID:HEX of the key that signs rows and objects; none where absent",
);
const SIGNING_KEYS_OLD: Key = Key::secret(
    "archive-signing-keys-old",
    "ID:HEX,ID:HEX,... of keys that signed before",
);

pub(super) const KEYS: &[&Key] = &[
    &SIGNING_KEY,
    &SIGNING_KEYS_OLD,
    &BATCH_RECORDS,
    &BATCH_BYTES,
    &BATCH_INTERVAL,
    &MEMORY_BYTES,
    &PUT_CONCURRENCY,
    &STATUS_INTERVAL,
    &SHUTDOWN,
];

impl ArchiveConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let memory_bytes = settings.require(&MEMORY_BYTES)?;
        let batch_bytes = settings.require(&BATCH_BYTES)?;
        if batch_bytes > memory_bytes / 2 {
            let why = format!(
                "{batch_bytes} is more than half of archive-memory-bytes ({memory_bytes}): \
                 lower it to {} or raise archive-memory-bytes",
                memory_bytes / 2
            );
            return Err(settings.refused(&BATCH_BYTES, why));
        }
        Ok(ArchiveConfig {
            batch_records: settings.require(&BATCH_RECORDS)?,
            batch_bytes,
            batch_interval: Duration::from_millis(settings.require(&BATCH_INTERVAL)?),
            memory_bytes,
            put_concurrency: settings.require(&PUT_CONCURRENCY)?,
            status_interval: Duration::from_secs(settings.require(&STATUS_INTERVAL)?),
            shutdown: Duration::from_secs(settings.require(&SHUTDOWN)?),
            signing: signing(settings)?,
        })
    }
}

fn signing(settings: &Settings) -> Result<Option<SigningKeys>, ConfigError> {
    let old: String = settings.optional(&SIGNING_KEYS_OLD)?.unwrap_or_default();
    let Some(current) = settings.optional::<String>(&SIGNING_KEY)? else {
        return match old.is_empty() {
            true => Ok(None),
            false => Err(settings.refused(
                &SIGNING_KEYS_OLD,
                "it has no effect without ARCHIVE_SIGNING_KEY: set that too",
            )),
        };
    };
    SigningKeys::parse(&current, &old)
        .map(Some)
        .map_err(|error| settings.refused(&SIGNING_KEY, error.to_string()))
}

/// The default of `archive-batch-bytes` follows a smaller memory.
pub(super) fn settle(settings: &mut Settings) {
    if let Ok(Some(memory)) = settings.optional::<u64>(&MEMORY_BYTES) {
        settings.limit_default(&BATCH_BYTES, |batch| match batch {
            Value::Number(bytes) => Value::Number(bytes.min(memory / 2)),
            other => other,
        });
    }
}
