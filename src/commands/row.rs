//! A catalogue row as `--json` shows it.

use serde::Serialize;
use uuid::Uuid;

use super::output;
use crate::catalogue::{Row, TopicSummary};

/// All of a row. Times: `timestamp` in ms since 1970-01-01 UTC, `time` as RFC
/// 3339, or null where the timestamp is no date. What an older archive's row
/// lacks is null.
#[derive(Serialize)]
pub(super) struct RowJson<'a> {
    uuid: Uuid,
    topic: &'a str,
    timestamp: i64,
    time: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp_type: Option<&'static str>,
    size: i32,
    bucket: &'a str,
    key: &'a str,
    object_offset: Option<i64>,
    crc32: u32,
    message_crc32: u32,
    content_digest: Option<String>,
    is_client_uuid: bool,
    public: bool,
    direct_upload: bool,
    retracted: bool,
    media_type: &'a str,
    title: &'a str,
    sender: &'a str,
    file_name: &'a str,
    originator: &'a str,
}

impl<'a> From<&'a Row> for RowJson<'a> {
    fn from(row: &'a Row) -> Self {
        let origin = row.origin.as_ref();
        Self {
            uuid: row.uuid,
            topic: &row.topic,
            timestamp: row.timestamp,
            time: output::date(row.timestamp),
            partition: origin.map(|origin| origin.partition),
            offset: origin.map(|origin| origin.offset),
            timestamp_type: origin.map(|origin| origin.timestamp_type.as_str()),
            size: row.size,
            bucket: &row.bucket,
            key: &row.key,
            object_offset: row.object_offset,
            crc32: row.crc32,
            message_crc32: row.message_crc32,
            content_digest: origin.map(|origin| origin.digest.to_string()),
            is_client_uuid: row.is_client_uuid,
            public: row.public,
            direct_upload: row.direct_upload,
            retracted: row.retracted,
            media_type: &row.media_type,
            title: &row.title,
            sender: &row.sender,
            file_name: &row.file_name,
            originator: &row.originator,
        }
    }
}

/// What the archive has of a topic.
#[derive(Serialize)]
pub(super) struct TopicJson<'a> {
    topic: &'a str,
    messages: i64,
    earliest: i64,
    earliest_time: Option<String>,
    latest: i64,
    latest_time: Option<String>,
}

impl<'a> From<&'a TopicSummary> for TopicJson<'a> {
    fn from(summary: &'a TopicSummary) -> Self {
        Self {
            topic: &summary.topic,
            messages: summary.messages,
            earliest: summary.earliest,
            earliest_time: output::date(summary.earliest),
            latest: summary.latest,
            latest_time: output::date(summary.latest),
        }
    }
}
