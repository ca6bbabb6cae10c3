//! The catalogue in PostgreSQL 12 or newer.

mod add;
mod claim;
mod columns;
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
use crate::config::PostgresConfig;
use crate::postgres_server::{Connector, Fault, Session, Sessions, Words};
use crate::record::Delivery;

use migrate::MIGRATIONS;

const WORDS: &Words = &Words::of_database_stanza(
    "its schema is not the archive's",
    "correct db-name, or start archive_ingest run, which makes the tables",
);

/// Statements over messages and retries that have to be answered along an index in
/// an archive of any size, by name.
pub const INDEXED_STATEMENTS: &[(&str, &str)] = &[
    ("rows", read::FORWARD[0]),
    ("rows_backward", read::BACKWARD[0]),
    ("rows_of_topics", read::TOPICS_FORWARD[0]),
    ("rows_of_topics_backward", read::TOPICS_BACKWARD[0]),
    ("count_of_topics", read::COUNT_TOPICS[0]),
    ("foreign_rows", read::FOREIGN),
    ("retries", read::RETRIES),
    ("fetch", read::FETCH),
    ("topic_after", upkeep::TOPIC_AFTER),
    ("count_page", upkeep::COUNT_PAGE),
    ("count_rows", upkeep::COUNT_ROWS),
    ("marks", pages::MARKS),
    ("unplaced", pages::UNPLACED),
    ("chosen", pages::CHOSEN),
    ("retry_marks", pages::RETRY_MARKS),
    ("documents", pages::DOCUMENTS),
    ("last_partition", pages::LAST_PARTITION),
    ("direct_uploads", pages::DIRECT_UPLOADS),
    ("repeated", pages::REPEATED),
    ("identities", pages::IDENTITIES),
    ("archived_extent", positions::EXTENT),
    ("archived_runs", positions::ARCHIVED_RUNS),
    ("count_archived", positions::COUNT),
];

/// A catalogue in a PostgreSQL database, shared with other instances of this
/// program and with archive-core.
///
/// Its calls block and must not be made on a thread of an async runtime.
pub struct PostgresCatalogue {
    connector: Arc<Connector>,
    sessions: Sessions,
}

impl PostgresCatalogue {
    /// Connects once, within 10 s, so that whatever is wrong is told here.
    /// Connections are made as calls need them, `pool_size` at most.
    pub fn open(config: &PostgresConfig) -> Result<Self, CatalogueError> {
        let connector = Arc::new(Connector::new(config, WORDS)?);
        let sessions = Sessions::open(&connector, config.pool_size)?;
        Ok(Self {
            connector,
            sessions,
        })
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, CatalogueError> {
        Ok(self.sessions.run(call)?)
    }
}

impl Catalogue for PostgresCatalogue {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn migrate(&self) -> Result<(), CatalogueError> {
        MIGRATIONS
            .apply(&self.connector)
            .map_err(|fault| self.connector.error(fault).into())
    }

    fn check(&self) -> Result<(), CatalogueError> {
        self.call(|session| MIGRATIONS.check(session))
    }

    fn owners(&self, uuids: &[Uuid]) -> Result<Vec<(Uuid, Owner)>, CatalogueError> {
        self.call(|session| claim::owners(session, uuids))
    }

    fn claim(&self, claims: &[Claim]) -> Result<Vec<(Uuid, Owner)>, CatalogueError> {
        let owners = self.call(|session| claim::claim(session, claims))?;
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
        self.call(|session| add::add(session, rows, retries, spans))
    }

    fn add_upload(&self, row: &Row, delivery: &Delivery) -> Result<bool, CatalogueError> {
        self.call(|session| upload::add(session, row, delivery))
    }

    fn set_retracted(&self, uuid: Uuid, retracted: bool) -> Result<bool, CatalogueError> {
        self.call(|session| upload::set_retracted(session, uuid, retracted))
    }

    fn foreign_rows(
        &self,
        alike: &[(Arc<str>, i64, u32)],
    ) -> Result<Vec<StoredRow>, CatalogueError> {
        self.call(|session| read::foreign_rows(session, alike))
    }

    fn set_origin(&self, id: i64, origin: &Origin) -> Result<bool, CatalogueError> {
        self.call(|session| add::set_origin(session, id, origin))
    }

    fn rows(
        &self,
        filter: &RowFilter,
        after: Option<Cursor>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<StoredRow>, CatalogueError> {
        self.call(|session| read::rows(session, filter, after, limit, reverse))
    }

    fn sample(&self, filter: &RowFilter, n: usize) -> Result<Vec<StoredRow>, CatalogueError> {
        self.call(|session| read::sample(session, filter, n))
    }

    fn count(&self, filter: &RowFilter) -> Result<u64, CatalogueError> {
        let counts = self.count_by_topic(filter)?;
        Ok(counts.iter().map(|topic| topic.messages as u64).sum())
    }

    fn count_by_topic(&self, filter: &RowFilter) -> Result<Vec<TopicSummary>, CatalogueError> {
        self.call(|session| read::count_by_topic(session, filter))
    }

    fn retries(
        &self,
        topic: &str,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Vec<Retry>, CatalogueError> {
        self.call(|session| read::retries(session, topic, partition, offsets))
    }

    fn add_gaps(&self, gaps: &[Gap]) -> Result<Vec<Gap>, CatalogueError> {
        self.call(|session| gaps::add(session, gaps))
    }

    fn gaps(&self) -> Result<Vec<Gap>, CatalogueError> {
        self.call(gaps::all)
    }

    fn stuck(&self) -> Result<Vec<(Stuck, i64)>, CatalogueError> {
        self.call(stuck::all)
    }

    fn change_stuck(&self, ended: &[Stuck], begun: &[Stuck]) -> Result<(), CatalogueError> {
        self.call(|session| stuck::change(session, ended, begun))
    }

    fn packed(&self, bucket: &str, keys: &[String]) -> Result<Vec<String>, CatalogueError> {
        self.call(|session| read::packed(session, bucket, keys))
    }

    fn fetch(&self, uuids: &[Uuid]) -> Result<Vec<StoredRow>, CatalogueError> {
        self.call(|session| read::fetch(session, uuids))
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

impl Positions for PostgresCatalogue {
    fn positions(&self, streams: &[StreamKey]) -> Result<Vec<StreamPosition>, CatalogueError> {
        self.call(|session| positions::positions(session, streams))
    }

    fn all_positions(&self) -> Result<Vec<StreamPosition>, CatalogueError> {
        self.call(positions::all)
    }

    fn archived_extent(&self, stream: &StreamKey) -> Result<ArchivedExtent, CatalogueError> {
        self.call(|session| positions::extent(session, stream))
    }

    fn begin_streams(
        &self,
        streams: &[StreamStart],
    ) -> Result<Vec<StreamPosition>, CatalogueError> {
        self.call(|session| positions::begin(session, streams))
    }

    fn unread(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<Vec<Range<i64>>, CatalogueError> {
        self.call(|session| positions::unread_of(session, stream, offsets))
    }

    fn count_archived(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<ArchivedCount, CatalogueError> {
        self.call(|session| positions::count_archived(session, stream, offsets))
    }

    fn read_intervals(&self, stream: &StreamKey) -> Result<Vec<ReadInterval>, CatalogueError> {
        self.call(|session| positions::intervals(session, stream))
    }

    fn confirm_holes(
        &self,
        stream: &StreamKey,
        before: &[ReadInterval],
        after: &[ReadInterval],
    ) -> Result<bool, CatalogueError> {
        self.call(|session| positions::confirm_holes(session, stream, before, after))
    }
}

impl Streams for PostgresCatalogue {
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

impl Upkeep for PostgresCatalogue {
    fn adopt(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError> {
        self.call(|session| upkeep::adopt(session, rows))
    }

    fn adopt_unconfirmed(&self, rows: &[Row]) -> Result<Vec<Uuid>, CatalogueError> {
        self.call(|session| upkeep::adopt_unconfirmed(session, rows))
    }

    fn confirm(&self, uuid: Uuid) -> Result<(), CatalogueError> {
        self.call(|session| state::confirm(session, uuid))
    }

    fn which_unconfirmed(&self, uuids: &[Uuid]) -> Result<Vec<Uuid>, CatalogueError> {
        self.call(|session| state::which_unconfirmed(session, uuids))
    }

    fn state(&self) -> Result<CatalogueState, CatalogueError> {
        self.call(state::state)
    }

    fn begin_rebuild(&self, part: (i32, i32)) -> Result<Option<String>, CatalogueError> {
        self.call(|session| state::begin_rebuild(session, part))
    }

    fn save_rebuild(&self, part: (i32, i32), position: &str) -> Result<(), CatalogueError> {
        self.call(|session| state::save_rebuild(session, part, position))
    }

    fn end_rebuild(&self, part: (i32, i32)) -> Result<bool, CatalogueError> {
        let id = Uuid::from_u128(rand::random());
        self.call(|session| state::end_rebuild(session, part, id))
    }

    fn begin_signing(&self) -> Result<bool, CatalogueError> {
        self.call(state::begin_signing)
    }

    fn mend(&self, read: &StoredRow, row: &Row) -> Result<bool, CatalogueError> {
        self.call(|session| upkeep::mend(session, read, row))
    }

    fn topic_after(&self, topic: Option<&str>) -> Result<Option<String>, CatalogueError> {
        self.call(|session| upkeep::topic_after(session, topic))
    }

    fn count_page(
        &self,
        topic: &str,
        after: Option<Cursor>,
    ) -> Result<CountedPage, CatalogueError> {
        self.call(|session| upkeep::count_page(session, topic, after))
    }

    fn recount(&self, topic: &str) -> Result<(), CatalogueError> {
        self.call(|session| upkeep::recount(session, topic))
    }

    fn acknowledge_gaps(&self, topics: Option<&[String]>) -> Result<u64, CatalogueError> {
        self.call(|session| gaps::acknowledge(session, topics))
    }

    fn set_aside(&self, objects: &[SetAside]) -> Result<(), CatalogueError> {
        self.call(|session| upkeep::set_aside(session, objects))
    }

    fn which_set_aside(
        &self,
        bucket: &str,
        keys: &[String],
    ) -> Result<Vec<String>, CatalogueError> {
        self.call(|session| upkeep::which_set_aside(session, bucket, keys))
    }

    fn save_verification(&self, verification: &Verification) -> Result<i64, CatalogueError> {
        self.call(|session| upkeep::save_verification(session, verification))
    }

    fn verifications(&self, limit: usize) -> Result<Vec<Verification>, CatalogueError> {
        self.call(|session| upkeep::verifications(session, limit))
    }

    fn newest_row(&self) -> Result<Option<StoredRow>, CatalogueError> {
        self.call(upkeep::newest_row)
    }

    fn newest_archived_at(&self) -> Result<Option<i64>, CatalogueError> {
        self.call(upkeep::newest_archived_at)
    }
}
