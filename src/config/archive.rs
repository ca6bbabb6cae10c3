//! `[archive]`: how the archiver works. One stanza, every key optional.

use std::time::Duration;

/// How much the archiver does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// `archive-batch-records`: records that close a batch. Default 1000.
    pub batch_records: usize,
    /// `archive-batch-bytes`: payload bytes that close a batch. Default 16 MiB.
    pub batch_bytes: usize,
    /// `archive-batch-interval-ms`: time that closes a batch. Default 500 ms.
    pub batch_interval: Duration,
    /// `archive-memory-bytes`: payload bytes that the whole process holds at
    /// once, librdkafka's queues included. Default 128 MiB, at least 8 MiB.
    pub memory_bytes: usize,
    /// `archive-put-concurrency`: most PUTs under way at once. Default 64.
    pub put_concurrency: usize,
    /// `archive-status-interval-seconds`: between two status lines. Default 60 s.
    pub status_interval: Duration,
    /// `archive-shutdown-seconds`: what is in flight may take this long after a
    /// signal. Default 30 s.
    pub shutdown: Duration,
}
