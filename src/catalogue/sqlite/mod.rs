//! The catalogue in a SQLite file.

mod add;
mod claim;
mod gaps;
mod migrate;
mod pages;
mod positions;
mod read;
mod row;
mod state;
mod stuck;
mod upkeep;
mod upload;

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::state::incomplete_error;
use super::{
    Added, Appearance, ArchivedCount, ArchivedExtent, Catalogue, CatalogueError, CatalogueState,
    Claim, CountedPage, Cursor, DoubledPage, Gap, IndexPlace, Origin, Owner, Positions,
    ReadInterval, ReadSpan, Retry, Row, RowFilter, SetAside, StoredRow, StreamExtent, StreamFilter,
    StreamKey, StreamPlace, StreamPosition, StreamStart, Streams, Stuck, TopicSummary, Upkeep,
    Verification, stream,
};
use crate::config::SqliteConfig;
use crate::record::Delivery;
use crate::sqlite_file::Connections;

/// Statements over messages and retries that have to be answered along an index in
/// an archive of any size, by name.
pub const INDEXED_STATEMENTS: &[(&str, &str)] = &[
    ("rows", read::FORWARD[0]),
    ("rows_backward", read::BACKWARD[0]),
    ("rows_of_topic", read::TOPIC_FORWARD[0]),
    ("rows_of_topic_backward", read::TOPIC_BACKWARD[0]),
    ("count_of_topics", read::COUNT_TOPICS[0]),
    ("foreign_rows", read::FOREIGN),
    ("retries", read::RETRIES),
    ("row", read::ROW),
    ("topic_after", upkeep::TOPIC_AFTER),
    ("count_page", upkeep::COUNT_PAGE),
    ("count_rows", upkeep::COUNT_ROWS),
    ("marks", pages::MARKS),
    ("unplaced", pages::UNPLACED),
    ("chosen", pages::CHOSEN),
    ("retry_marks", pages::RETRY_MARKS),
    ("document", pages::DOCUMENT),
    ("last_partition", pages::LAST_PARTITION),
    ("direct_uploads", pages::DIRECT_UPLOADS),
    ("repeated", pages::REPEATED),
    ("identity", pages::IDENTITY),
    ("archived_extent", positions::EXTENT),
    ("archived_runs", positions::ARCHIVED_RUNS),
    ("count_archived", positions::COUNT),
];

/// A catalogue in one file, which several processes may use at once: one writes
/// at a time, and reading goes on meanwhile.
pub struct SqliteCatalogue {
    connections: Connections,
}

impl SqliteCatalogue {
    /// Opens the file, or makes it and its directory.
    pub fn open(config: &SqliteConfig) -> Result<Self, CatalogueError> {
        let connections = Connections::open(&config.path, "db-path")?;
        Ok(Self { connections })
    }
}

impl Catalogue for SqliteCatalogue {
    fn name(&self) -> &str {
        self.connections.name()
    }

    fn migrate(&self) -> Result<(), CatalogueError> {
        Ok(self.connections.write(migrate::migrate)?)
    }

    fn check(&self) -> Result<(), CatalogueError> {
        Ok(self.connections.read(migrate::check)?)
    }

    fn owners(&self, uuids: &[Uuid]) -> Result<Vec<(Uuid, Owner)>, CatalogueError> {
        Ok(self.connections.read(|file| claim::owners(file, uuids))?)
    }

    fn claim(&self, claims: &[Claim]) -> Result<Vec<(Uuid, Owner)>, CatalogueError> {
        let owners = self.connections.write(|file| claim::claim(file, claims))?;
        match owners.len() < claims.len() {
            true => Err(incomplete_error(self.name())),
            false => Ok(owners),
        }
    }

    fn add_read(
        &self,
        rows: &[Row],
        retries: &[Retry],
        spans: &[ReadSpan],
    ) -> Result<Added, CatalogueError> {
        Ok(self
            .connections
            .write(|file| add::add(file, rows, retries, spans))?)
    }

    fn add_upload(&self, row: &Row, delivery: &Delivery) -> Result<bool, CatalogueError> {
        Ok(self
            .connections
            .write(|file| upload::add(file, row, delivery))?)
    }

    fn set_retracted(&self, uuid: Uuid, retracted: bool) -> Result<bool, CatalogueError> {
        Ok(self
            .connections
            .write(|file| upload::set_retracted(file, uuid, retracted))?)
    }

    fn foreign_rows(
        &self,
        alike: &[(Arc<str>, i64, u32)],
    ) -> Result<Vec<StoredRow>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::foreign_rows(file, alike))?)
    }

    fn set_origin(&self, id: i64, origin: &Origin) -> Result<bool, CatalogueError> {
        Ok(self
            .connections
            .write(|file| add::set_origin(file, id, origin))?)
    }

    fn rows(
        &self,
        filter: &RowFilter,
        after: Option<Cursor>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<StoredRow>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::rows(file, filter, after, limit, reverse))?)
    }

    fn sample(&self, filter: &RowFilter, n: usize) -> Result<Vec<StoredRow>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::sample(file, filter, n))?)
    }

    fn count(&self, filter: &RowFilter) -> Result<u64, CatalogueError> {
        let counts = self.count_by_topic(filter)?;
        Ok(counts.iter().map(|topic| topic.messages as u64).sum())
    }

    fn count_by_topic(&self, filter: &RowFilter) -> Result<Vec<TopicSummary>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::count_by_topic(file, filter))?)
    }

    fn retries(
        &self,
        topic: &str,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Vec<Retry>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::retries(file, topic, partition, offsets))?)
    }

    fn add_gaps(&self, gaps: &[Gap]) -> Result<Vec<Gap>, CatalogueError> {
        Ok(self.connections.write(|file| gaps::add(file, gaps))?)
    }

    fn gaps(&self) -> Result<Vec<Gap>, CatalogueError> {
        Ok(self.connections.read(gaps::all)?)
    }

    fn stuck(&self) -> Result<Vec<(Stuck, i64)>, CatalogueError> {
        Ok(self.connections.read(stuck::all)?)
    }

    fn change_stuck(&self, ended: &[Stuck], begun: &[Stuck]) -> Result<(), CatalogueError> {
        Ok(self
            .connections
            .write(|file| stuck::change(file, ended, begun))?)
    }

    fn packed(&self, bucket: &str, keys: &[String]) -> Result<Vec<String>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| read::packed(file, bucket, keys))?)
    }

    fn fetch(&self, uuids: &[Uuid]) -> Result<Vec<StoredRow>, CatalogueError> {
        Ok(self.connections.read(|file| read::fetch(file, uuids))?)
    }

    fn positions(&self) -> &dyn Positions {
        self
    }

    fn streams(&self) -> &dyn Streams {
        self
    }

    fn upkeep(&self) -> &dyn Upkeep {
        self
    }
}

impl Positions for SqliteCatalogue {
    fn positions(&self, streams: &[StreamKey]) -> Result<Vec<StreamPosition>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| positions::positions(file, streams))?)
    }

    fn all_positions(&self) -> Result<Vec<StreamPosition>, CatalogueError> {
        Ok(self.connections.read(positions::all)?)
    }

    fn archived_extent(&self, stream: &StreamKey) -> Result<ArchivedExtent, CatalogueError> {
        Ok(self
            .connections
            .read(|file| positions::extent(file, stream))?)
    }

    fn begin_streams(
        &self,
        streams: &[StreamStart],
    ) -> Result<Vec<StreamPosition>, CatalogueError> {
        Ok(self
            .connections
            .write(|file| positions::begin(file, streams))?)
    }

    fn unread(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<Vec<Range<i64>>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| positions::unread_of(file, stream, offsets))?)
    }

    fn count_archived(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<ArchivedCount, CatalogueError> {
        Ok(self
            .connections
            .read(|file| positions::count_archived(file, stream, offsets))?)
    }

    fn read_intervals(&self, stream: &StreamKey) -> Result<Vec<ReadInterval>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| positions::intervals(file, stream))?)
    }

    fn confirm_holes(
        &self,
        stream: &StreamKey,
        before: &[ReadInterval],
        after: &[ReadInterval],
    ) -> Result<bool, CatalogueError> {
        Ok(self
            .connections
            .write(|file| positions::confirm_holes(file, stream, before, after))?)
    }
}

impl Streams for SqliteCatalogue {
    fn extent(&self, filter: &StreamFilter) -> Result<StreamExtent, CatalogueError> {
        stream::extent(self, filter)
    }

    fn read(
        &self,
        filter: &StreamFilter,
        after: StreamPlace,
        page: usize,
        receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
    ) -> Result<(), CatalogueError> {
        stream::read(self, filter, after, page, receive)
    }

    fn doubled(&self, topic: &str, after: IndexPlace) -> Result<DoubledPage, CatalogueError> {
        stream::doubled(self, topic, after)
    }
}

impl Upkeep for SqliteCatalogue {
    fn adopt(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError> {
        Ok(self.connections.write(|file| upkeep::adopt(file, rows))?)
    }

    fn adopt_unconfirmed(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError> {
        Ok(self
            .connections
            .write(|file| upkeep::adopt_unconfirmed(file, rows))?)
    }

    fn confirm(&self, uuid: Uuid) -> Result<(), CatalogueError> {
        Ok(self.connections.write(|file| state::confirm(file, uuid))?)
    }

    fn which_unconfirmed(&self, uuids: &[Uuid]) -> Result<Vec<Uuid>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| state::which_unconfirmed(file, uuids))?)
    }

    fn state(&self) -> Result<CatalogueState, CatalogueError> {
        Ok(self.connections.read(state::state)?)
    }

    fn begin_rebuild(&self, part: (i32, i32)) -> Result<Option<String>, CatalogueError> {
        Ok(self
            .connections
            .write(|file| state::begin_rebuild(file, part))?)
    }

    fn save_rebuild(&self, part: (i32, i32), position: &str) -> Result<(), CatalogueError> {
        Ok(self
            .connections
            .write(|file| state::save_rebuild(file, part, position))?)
    }

    fn end_rebuild(&self, part: (i32, i32)) -> Result<bool, CatalogueError> {
        let id = Uuid::from_u128(rand::random());
        Ok(self
            .connections
            .write(|file| state::end_rebuild(file, part, id))?)
    }

    fn begin_signing(&self) -> Result<bool, CatalogueError> {
        Ok(self.connections.write(state::begin_signing)?)
    }

    fn mend(&self, read: &StoredRow, row: &Row) -> Result<bool, CatalogueError> {
        Ok(self
            .connections
            .write(|file| upkeep::mend(file, read, row))?)
    }

    fn topic_after(&self, topic: Option<&str>) -> Result<Option<String>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| upkeep::topic_after(file, topic))?)
    }

    fn count_page(
        &self,
        topic: &str,
        after: Option<Cursor>,
    ) -> Result<CountedPage, CatalogueError> {
        Ok(self
            .connections
            .read(|file| upkeep::count_page(file, topic, after))?)
    }

    fn recount(&self, topic: &str) -> Result<(), CatalogueError> {
        let by = self
            .connections
            .read(|file| upkeep::difference(file, topic))?;
        Ok(self
            .connections
            .write(|file| upkeep::correct(file, topic, &by))?)
    }

    fn acknowledge_gaps(&self, topics: Option<&[String]>) -> Result<u64, CatalogueError> {
        Ok(self
            .connections
            .write(|file| gaps::acknowledge(file, topics))?)
    }

    fn set_aside(&self, objects: &[SetAside]) -> Result<(), CatalogueError> {
        Ok(self
            .connections
            .write(|file| upkeep::set_aside(file, objects))?)
    }

    fn which_set_aside(
        &self,
        bucket: &str,
        keys: &[String],
    ) -> Result<Vec<String>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| upkeep::which_set_aside(file, bucket, keys))?)
    }

    fn save_verification(&self, verification: &Verification) -> Result<i64, CatalogueError> {
        Ok(self
            .connections
            .write(|file| upkeep::save_verification(file, verification))?)
    }

    fn verifications(&self, limit: usize) -> Result<Vec<Verification>, CatalogueError> {
        Ok(self
            .connections
            .read(|file| upkeep::verifications(file, limit))?)
    }

    fn newest_row(&self) -> Result<Option<StoredRow>, CatalogueError> {
        Ok(self.connections.read(upkeep::newest_row)?)
    }

    fn newest_archived_at(&self) -> Result<Option<i64>, CatalogueError> {
        Ok(self.connections.read(upkeep::newest_archived_at)?)
    }
}
