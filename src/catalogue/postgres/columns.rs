//! Rows as the arrays that one statement takes.

use std::borrow::Cow;

use uuid::Uuid;

use crate::catalogue::{Origin, Row, storable};
use crate::record::TopicId;

/// The columns of a row, in the order in which statements name them (as
/// [`row_columns`]) and take them ([`RowColumns::params`]).
pub struct RowColumns<'a> {
    uuids: Vec<Uuid>,
    topics: Vec<&'a str>,
    partitions: Vec<Option<i32>>,
    offsets: Vec<Option<i64>>,
    timestamps: Vec<i64>,
    digests: Vec<Option<&'a [u8]>>,
    timestamp_types: Vec<Option<&'static str>>,
    sizes: Vec<i32>,
    keys: Vec<&'a str>,
    buckets: Vec<&'a str>,
    crc32s: Vec<i64>,
    are_client_uuids: Vec<bool>,
    publics: Vec<bool>,
    direct_uploads: Vec<bool>,
    message_crc32s: Vec<i64>,
    titles: Vec<Cow<'a, str>>,
    senders: Vec<Cow<'a, str>>,
    media_types: Vec<Cow<'a, str>>,
    file_names: Vec<Cow<'a, str>>,
    originators: Vec<Cow<'a, str>>,
    retracted: Vec<bool>,
    object_offsets: Vec<Option<i64>>,
    topic_ids: Vec<Option<Uuid>>,
    signatures: Vec<Option<&'a [u8]>>,
    signing_keys: Vec<Option<&'a str>>,
}

/// The names of the columns of [`RowColumns`], in its order.
macro_rules! row_columns {
    () => {
        r#"uuid, topic, kafka_partition, kafka_offset, "timestamp", content_digest,
            timestamp_type, size, key, bucket, crc32, is_client_uuid,
            public, direct_upload, message_crc32, title, sender, media_type,
            file_name, originator, retracted, object_offset, topic_id, signature, signing_key"#
    };
}
pub(super) use row_columns;

/// The parameters of [`RowColumns`], $1 to $25, as a table.
macro_rules! given_rows {
    () => {
        r#"unnest(
            $1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bytea[],
            $7::text[], $8::int[], $9::text[], $10::text[], $11::bigint[], $12::bool[],
            $13::bool[], $14::bool[], $15::bigint[], $16::text[], $17::text[], $18::text[],
            $19::text[], $20::text[], $21::bool[], $22::bigint[], $23::uuid[], $24::bytea[],
            $25::text[]
        )"#
    };
}
pub(super) use given_rows;

impl<'a> RowColumns<'a> {
    pub fn new(rows: &[&'a Row]) -> Self {
        fn column<'a, T>(rows: &[&'a Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
            rows.iter().map(|row| of(row)).collect()
        }
        fn origins<'a, T>(rows: &[&'a Row], of: impl Fn(&'a Origin) -> T) -> Vec<Option<T>> {
            column(rows, |row| row.origin.as_ref().map(&of))
        }
        Self {
            uuids: column(rows, |row| row.uuid),
            topics: column(rows, |row| &*row.topic),
            partitions: origins(rows, |origin| origin.partition),
            offsets: origins(rows, |origin| origin.offset),
            timestamps: column(rows, |row| row.timestamp),
            digests: origins(rows, |origin| origin.digest.0.as_slice()),
            timestamp_types: origins(rows, |origin| origin.timestamp_type.as_str()),
            sizes: column(rows, |row| row.size),
            keys: column(rows, |row| &*row.key),
            buckets: column(rows, |row| &*row.bucket),
            crc32s: column(rows, |row| row.crc32.into()),
            are_client_uuids: column(rows, |row| row.is_client_uuid),
            publics: column(rows, |row| row.public),
            direct_uploads: column(rows, |row| row.direct_upload),
            message_crc32s: column(rows, |row| row.message_crc32.into()),
            titles: column(rows, |row| storable(&row.title)),
            senders: column(rows, |row| storable(&row.sender)),
            media_types: column(rows, |row| storable(&row.media_type)),
            file_names: column(rows, |row| storable(&row.file_name)),
            originators: column(rows, |row| storable(&row.originator)),
            retracted: column(rows, |row| row.retracted),
            object_offsets: column(rows, |row| row.object_offset),
            topic_ids: column(rows, |row| {
                row.origin.as_ref()?.topic_id.map(TopicId::as_uuid)
            }),
            signatures: column(rows, |row| Some(row.signature.as_ref()?.mac.as_slice())),
            signing_keys: column(rows, |row| Some(&*row.signature.as_ref()?.key_id)),
        }
    }

    pub fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 25] {
        [
            &self.uuids,
            &self.topics,
            &self.partitions,
            &self.offsets,
            &self.timestamps,
            &self.digests,
            &self.timestamp_types,
            &self.sizes,
            &self.keys,
            &self.buckets,
            &self.crc32s,
            &self.are_client_uuids,
            &self.publics,
            &self.direct_uploads,
            &self.message_crc32s,
            &self.titles,
            &self.senders,
            &self.media_types,
            &self.file_names,
            &self.originators,
            &self.retracted,
            &self.object_offsets,
            &self.topic_ids,
            &self.signatures,
            &self.signing_keys,
        ]
    }
}
