//! What was on the stream, in the order in which it was there.

use uuid::Uuid;

use super::CatalogueError;
use crate::record::TimestampType;
use crate::store::Location;

/// Which appearances on the stream of one topic. Direct uploads never were on
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFilter {
    pub topic: String,
    /// [since, until), ms since 1970-01-01 UTC.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// Only messages with one of these UUIDs, and none of their retries.
    pub uuids: Option<Vec<Uuid>>,
    /// Only messages whose serial number is greater than the first and at most
    /// the second: what was added in between.
    pub added: Option<(i64, i64)>,
}

/// One appearance of an archived message on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    pub place: StreamPlace,
    pub uuid: Uuid,
    /// Where the message's document lies; `size` in bytes, `crc32` of it.
    pub location: Location,
    pub size: i32,
    pub crc32: u32,
    /// Where it was; `None` where another archiver did not write it down.
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// `None` as with `partition`.
    pub timestamp_type: Option<TimestampType>,
    /// Whether it is another delivery of the message, a producer's retry.
    pub is_retry: bool,
}

/// A place in the order of a topic's stream: by partition, then by offset.
///
/// A topic that was deleted and made anew has an offset more than once: all of
/// its first life comes before all of its second. What has no known offset comes
/// first, by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPlace {
    /// −1 where it is not known.
    pub partition: i32,
    /// Which life of the topic, from 1 on; 0 where the offset is not known.
    pub life: i64,
    /// The offset; the timestamp where that is not known.
    pub rank: i64,
    /// The serial number of the message.
    pub id: i64,
    pub is_retry: bool,
}

impl StreamPlace {
    /// Before every place.
    pub const START: Self = Self {
        partition: i32::MIN,
        life: 0,
        rank: 0,
        id: 0,
        is_retry: false,
    };
}

/// What a topic's stream has, as far as a filter selects it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamExtent {
    /// Messages, and retries of messages.
    pub messages: u64,
    pub retries: u64,
    /// Earliest and latest timestamp, ms since 1970-01-01 UTC; 0 of nothing.
    pub earliest: i64,
    pub latest: i64,
    /// Of the documents: the largest and all of them, bytes.
    pub largest: u64,
    pub bytes: u64,
    /// Messages whose partition and offset are not known.
    pub without_place: u64,
    /// Messages whose time the broker set.
    pub log_append: u64,
    /// Messages with the timestamp 0.
    pub at_zero: u64,
    /// One more than the highest partition of the topic, selected or not.
    pub partitions: i32,
    /// The highest serial number of a message of the topic, selected or not.
    pub newest: i64,
    /// Direct uploads of the topic: not on the stream.
    pub direct_uploads: u64,
}

/// The stream, as the catalogue knows it.
pub trait Streams: Send + Sync {
    /// What the filter selects, counted.
    fn extent(&self, filter: &StreamFilter) -> Result<StreamExtent, CatalogueError>;

    /// All that the filter selects after a place, in order, on one state of the
    /// catalogue, `page` of them at a time, until `receive` does not want more.
    /// Blocks until then; holds a connection, and the state, as long.
    fn read(
        &self,
        filter: &StreamFilter,
        after: StreamPlace,
        page: usize,
        receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
    ) -> Result<(), CatalogueError>;
}
