//! A catalogue and a store that do what they are asked, and end the process
//! when the moment has come.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive_ingest::catalogue::{
    Added, Catalogue, CatalogueError, Claim, Cursor, Gap, Origin, Owner, Positions, ReadSpan,
    Retry, Row, RowFilter, StoredRow, Streams, Stuck, TopicSummary, Upkeep,
};
use archive_ingest::record::Delivery;
use archive_ingest::store::{Location, ObjectInfo, Page, Put, Store, StoreError};
use async_trait::async_trait;
use uuid::Uuid;

use super::point::{Effect, Moment, Point};

/// Counts the effects and ends the process at the point.
pub struct Fuse {
    point: Point,
    happened: AtomicUsize,
}

impl Fuse {
    pub fn new(point: Point) -> Arc<Self> {
        let happened = AtomicUsize::default();
        Arc::new(Self { point, happened })
    }

    /// Counts an effect. Whether it is the one at which the process ends.
    pub fn comes(&self, effect: Effect) -> bool {
        effect == self.point.effect
            && self.happened.fetch_add(1, Ordering::SeqCst) + 1 == self.point.nth
    }

    fn end_if(&self, is_due: bool, moment: Moment) {
        if is_due && moment == self.point.moment {
            end();
        }
    }
}

/// As a power switch: no destructor runs, nothing is flushed, nobody is told.
pub fn end() -> ! {
    std::process::abort()
}

pub struct DyingStore {
    pub inner: Box<dyn Store>,
    pub fuse: Arc<Fuse>,
}

#[async_trait]
impl Store for DyingStore {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError> {
        let is_due = self.fuse.comes(Effect::Put);
        self.fuse.end_if(is_due, Moment::Before);
        let put = self.inner.put_new(key, body).await;
        self.fuse.end_if(is_due, Moment::After);
        put
    }

    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        self.inner.get(at).await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        self.inner.head(bucket, key).await
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.inner.list(prefix, page).await
    }

    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.inner.list_folder(folder, page).await
    }
}

pub struct DyingCatalogue {
    pub inner: Box<dyn Catalogue>,
    pub fuse: Arc<Fuse>,
    /// Before each call that adds rows.
    pub before_rows: Box<dyn Fn() + Send + Sync>,
}

impl DyingCatalogue {
    fn around<T>(&self, effect: Effect, call: impl FnOnce(&dyn Catalogue) -> T) -> T {
        let is_due = self.fuse.comes(effect);
        self.fuse.end_if(is_due, Moment::Before);
        let done = call(&*self.inner);
        self.fuse.end_if(is_due, Moment::After);
        done
    }
}

type Answer<T> = Result<T, CatalogueError>;

impl Catalogue for DyingCatalogue {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn migrate(&self) -> Answer<()> {
        self.inner.migrate()
    }

    fn check(&self) -> Answer<()> {
        self.inner.check()
    }

    fn owners(&self, uuids: &[Uuid]) -> Answer<Vec<(Uuid, Owner)>> {
        self.inner.owners(uuids)
    }

    fn add_upload(&self, row: &Row, delivery: &Delivery) -> Answer<bool> {
        self.inner.add_upload(row, delivery)
    }

    fn set_retracted(&self, uuid: Uuid, retracted: bool) -> Answer<bool> {
        self.inner.set_retracted(uuid, retracted)
    }

    fn claim(&self, claims: &[Claim]) -> Answer<Vec<(Uuid, Owner)>> {
        self.around(Effect::Claim, |inner| inner.claim(claims))
    }

    fn add_read(&self, rows: &[Row], retries: &[Retry], spans: &[ReadSpan]) -> Answer<Added> {
        (self.before_rows)();
        self.around(Effect::Rows, |inner| inner.add_read(rows, retries, spans))
    }

    fn stuck(&self) -> Answer<Vec<(Stuck, i64)>> {
        self.inner.stuck()
    }

    fn change_stuck(&self, ended: &[Stuck], begun: &[Stuck]) -> Answer<()> {
        self.inner.change_stuck(ended, begun)
    }

    fn foreign_rows(&self, alike: &[(Arc<str>, i64, u32)]) -> Answer<Vec<StoredRow>> {
        self.inner.foreign_rows(alike)
    }

    fn set_origin(&self, id: i64, origin: &Origin) -> Answer<bool> {
        self.around(Effect::Origin, |inner| inner.set_origin(id, origin))
    }

    fn rows(
        &self,
        filter: &RowFilter,
        after: Option<Cursor>,
        limit: usize,
        reverse: bool,
    ) -> Answer<Vec<StoredRow>> {
        self.inner.rows(filter, after, limit, reverse)
    }

    fn sample(&self, filter: &RowFilter, n: usize) -> Answer<Vec<StoredRow>> {
        self.inner.sample(filter, n)
    }

    fn count(&self, filter: &RowFilter) -> Answer<u64> {
        self.inner.count(filter)
    }

    fn count_by_topic(&self, filter: &RowFilter) -> Answer<Vec<TopicSummary>> {
        self.inner.count_by_topic(filter)
    }

    fn retries(&self, topic: &str, partition: i32, offsets: Range<i64>) -> Answer<Vec<Retry>> {
        self.inner.retries(topic, partition, offsets)
    }

    fn add_gaps(&self, gaps: &[Gap]) -> Answer<Vec<Gap>> {
        self.inner.add_gaps(gaps)
    }

    fn gaps(&self) -> Answer<Vec<Gap>> {
        self.inner.gaps()
    }

    fn packed(&self, bucket: &str, keys: &[String]) -> Answer<Vec<String>> {
        self.inner.packed(bucket, keys)
    }

    fn fetch(&self, uuids: &[Uuid]) -> Answer<Vec<StoredRow>> {
        self.inner.fetch(uuids)
    }

    fn positions(&self) -> &dyn Positions {
        self.inner.positions()
    }

    fn streams(&self) -> &dyn Streams {
        self.inner.streams()
    }

    fn upkeep(&self) -> &dyn Upkeep {
        self.inner.upkeep()
    }
}
