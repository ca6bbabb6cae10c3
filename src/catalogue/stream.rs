//! What was on the stream, in the order in which it was there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use super::CatalogueError;
use super::lives::LifeScan;
use crate::record::{TimestampType, TopicId};
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
    /// Only what has a serial number greater than the first and at most the
    /// second: what was added in between.
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
/// A topic that was deleted and created again has an offset more than once: all
/// of its first life comes before all of its second. The topic id tells them
/// apart, and the life comes first of which something was archived first. What
/// has no known offset comes first, by time.
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
    /// The highest serial number of the topic, selected or not; with
    /// [`StreamFilter::uuids`] of what is selected.
    pub newest: i64,
    /// Direct uploads of the topic: not on the stream.
    pub direct_uploads: u64,
}

/// The stream, as the catalogue knows it.
pub trait Streams: Send + Sync {
    /// What the filter selects, counted.
    fn extent(&self, filter: &StreamFilter) -> Result<StreamExtent, CatalogueError>;

    /// All that the filter selects after a place, in order, `page` of them at a
    /// time, until `receive` does not want more. Blocks until then. It is read
    /// in short pages: no connection and no state of the database is held while
    /// `receive` works, and what is added meanwhile may be among it.
    fn read(
        &self,
        filter: &StreamFilter,
        after: StreamPlace,
        page: usize,
        receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
    ) -> Result<(), CatalogueError>;

    /// Deliveries of a topic that have several rows, after a place in the order
    /// of (partition, offset, id): one page of the index.
    fn doubled(&self, topic: &str, after: IndexPlace) -> Result<DoubledPage, CatalogueError>;
}

/// A place in the index over (partition, offset, id) of a topic's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexPlace {
    pub partition: i32,
    pub offset: i64,
    pub id: i64,
}

impl IndexPlace {
    /// Before every row.
    pub const START: Self = Self {
        partition: i32::MIN,
        offset: i64::MIN,
        id: i64::MIN,
    };
}

/// What one page of the index holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoubledPage {
    pub found: Vec<Doubled>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<IndexPlace>,
}

/// A row of a delivery that an earlier row archived already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubled {
    pub partition: i32,
    pub offset: i64,
    pub topic_id: Option<TopicId>,
    /// Of the earlier row, and of this one.
    pub first: Uuid,
    pub second: Uuid,
}

/// A row or a retry without what the store needs: what orders and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// −1 where it is not known.
    pub partition: i32,
    /// The timestamp where it is not known.
    pub offset: i64,
    /// Of the message.
    pub id: i64,
    /// When it was archived: of a message its id, of a retry a number among
    /// these; its message's id in older catalogues.
    pub serial: i64,
    pub timestamp: i64,
    pub timestamp_type: Option<TimestampType>,
    pub topic_id: Option<Uuid>,
    pub uuid: Uuid,
    /// Bytes of the document; 0 of a retry.
    pub size: i32,
    pub is_retry: bool,
}

/// Where a message's document is.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub id: i64,
    pub uuid: Uuid,
    pub location: Location,
    pub size: i32,
    pub crc32: u32,
}

/// A place in the index of a topic's retries: partition, offset, timestamp,
/// UUID, topic id.
pub(super) type RetryPlace = (i32, i64, i64, Uuid, Uuid);

/// The short pages that a backend reads. Each goes along an index.
pub(super) trait StreamPages {
    /// Rows whose offset is known after a place, up to the partition `through`,
    /// in the order of (partition, offset, id): [`MARKS`] at most.
    fn marks(&self, topic: &str, after: IndexPlace, through: i32) -> Result<Vec<Mark>>;
    /// The same of retries, in the order of [`RetryPlace`].
    fn retry_marks(&self, topic: &str, after: RetryPlace, through: i32) -> Result<Vec<Mark>>;
    /// Rows whose offset is not known, without direct uploads, after a timestamp
    /// and a serial number, in their order: [`MARKS`] at most.
    fn unplaced(&self, topic: &str, after: (i64, i64)) -> Result<Vec<Mark>>;
    /// Those of these UUIDs that are rows of the topic and no direct uploads.
    fn chosen(&self, topic: &str, uuids: &[Uuid]) -> Result<Vec<Mark>>;
    fn documents(&self, ids: &[i64]) -> Result<Vec<Document>>;
    /// The highest partition of the topic's messages and retries; −1: none.
    fn last_partition(&self, topic: &str) -> Result<i32>;
    fn direct_uploads(&self, topic: &str) -> Result<u64>;
    /// Serial numbers that a rebuild gave are not greater than this.
    fn rebuilt_through(&self) -> Result<i64>;
    /// Rows at an offset that the row before them has too, and the page's last
    /// row. A page has a bounded number of index entries.
    fn repeated(&self, topic: &str, after: IndexPlace) -> Result<Vec<Repeated>>;
    /// Of these serial numbers: UUID, topic id, timestamp and digest.
    fn identities(&self, ids: &[i64]) -> Result<BTreeMap<i64, Identity>>;
}

type Result<T, E = CatalogueError> = std::result::Result<T, E>;

/// One row of [`StreamPages::repeated`].
pub(super) struct Repeated {
    pub place: IndexPlace,
    /// The row before it, where that has the same offset.
    pub previous: Option<i64>,
}

/// What makes two rows of one offset the same delivery.
pub(super) struct Identity {
    pub uuid: Uuid,
    pub topic_id: Option<Uuid>,
    pub timestamp: i64,
    pub digest: Option<Vec<u8>>,
}

impl Identity {
    /// Without a topic id the same offset may be of another life, which
    /// timestamp and digest tell, as they do when it is archived.
    fn is_same_delivery(&self, other: &Self) -> bool {
        match (self.topic_id, other.topic_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.timestamp == other.timestamp && self.digest == other.digest,
        }
    }
}

/// Rows of a page, as the statements say it.
pub(super) const MARKS: usize = 5_000;
macro_rules! marks_limit {
    () => {
        " LIMIT 5000"
    };
}
pub(super) use marks_limit;

/// Rows of the index that one page of [`StreamPages::repeated`] looks at.
macro_rules! doubled_limit {
    () => {
        " LIMIT 20000"
    };
}
pub(super) use doubled_limit;

/// UUIDs that are asked for at once.
const CHOSEN: usize = 1_000;

impl Mark {
    fn is_added(&self, filter: &StreamFilter) -> bool {
        let (from, to) = filter.added.unwrap_or((i64::MIN, i64::MAX));
        from < self.serial && self.serial <= to
    }

    fn is_selected(&self, filter: &StreamFilter) -> bool {
        self.is_added(filter)
            && filter.since.is_none_or(|since| self.timestamp >= since)
            && filter.until.is_none_or(|until| self.timestamp < until)
    }

    /// The order within a life.
    fn rank(&self) -> (i64, i64, bool) {
        (self.offset, self.id, self.is_retry)
    }

    fn place(&self, life: i64) -> StreamPlace {
        StreamPlace {
            partition: self.partition,
            life,
            rank: self.offset,
            id: self.id,
            is_retry: self.is_retry,
        }
    }

    fn appearance(self, life: i64, document: &Document) -> Appearance {
        let is_placed = self.partition >= 0;
        Appearance {
            place: self.place(life),
            uuid: document.uuid,
            location: document.location.clone(),
            size: document.size,
            crc32: document.crc32,
            partition: is_placed.then_some(self.partition),
            offset: is_placed.then_some(self.offset),
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            is_retry: self.is_retry,
        }
    }
}

/// Rows and retries of partitions up to one, in the order of (partition, offset,
/// id, is_retry).
struct Marks<'a> {
    pages: &'a dyn StreamPages,
    topic: &'a str,
    through: i32,
    rows: VecDeque<Mark>,
    rows_after: Option<IndexPlace>,
    retries: VecDeque<Mark>,
    retries_after: Option<RetryPlace>,
}

impl<'a> Marks<'a> {
    /// From an offset on.
    fn from(
        pages: &'a dyn StreamPages,
        topic: &'a str,
        (partition, offset): (i32, i64),
        through: i32,
    ) -> Self {
        let rows_after = IndexPlace {
            partition,
            offset,
            id: i64::MIN,
        };
        Self {
            pages,
            topic,
            through,
            rows: VecDeque::new(),
            rows_after: Some(rows_after),
            retries: VecDeque::new(),
            retries_after: Some((partition, offset, i64::MIN, Uuid::nil(), Uuid::nil())),
        }
    }

    fn next(&mut self) -> Result<Option<Mark>> {
        if self.rows.is_empty()
            && let Some(after) = self.rows_after
        {
            self.rows = self.pages.marks(self.topic, after, self.through)?.into();
            let last = self.rows.back().filter(|_| self.rows.len() == MARKS);
            self.rows_after = last.map(|last| IndexPlace {
                partition: last.partition,
                offset: last.offset,
                id: last.id,
            });
        }
        if self.retries.is_empty() {
            self.read_retries()?;
        }
        let order = |mark: &Mark| (mark.partition, mark.rank());
        let is_retry = match (self.rows.front(), self.retries.front()) {
            (Some(row), Some(retry)) => order(retry) < order(row),
            (row, _) => row.is_none(),
        };
        let from = match is_retry {
            true => &mut self.retries,
            false => &mut self.rows,
        };
        Ok(from.pop_front())
    }

    /// The retries of an offset, of which there is one a life and message, come
    /// in the order of their messages only when all of them are there.
    fn read_retries(&mut self) -> Result<()> {
        let mut read: Vec<Mark> = vec![];
        while let Some(after) = self.retries_after {
            let page = self.pages.retry_marks(self.topic, after, self.through)?;
            let last = page.last().filter(|_| page.len() == MARKS);
            self.retries_after = last.map(|last| {
                let id = last.topic_id.unwrap_or_default();
                (last.partition, last.offset, last.timestamp, last.uuid, id)
            });
            read.extend(page);
            let place = |mark: &Mark| (mark.partition, mark.offset);
            let last = read.last().map(place);
            if read.first().map(place) == last {
                continue;
            }
            if let (Some(_), Some((partition, offset))) = (self.retries_after, last) {
                // Those of the last offset are read again with the others of it.
                read.retain(|mark| place(mark) != (partition, offset));
                let first = (partition, offset, i64::MIN, Uuid::nil(), Uuid::nil());
                self.retries_after = Some(first);
            }
            break;
        }
        read.sort_by_key(|mark| (mark.partition, mark.rank()));
        self.retries = read.into();
        Ok(())
    }
}

/// Collects a page of marks, and gives it with what the documents add.
struct Giver<'a> {
    pages: &'a dyn StreamPages,
    page: usize,
    held: Vec<(i64, Mark)>,
    receive: &'a mut dyn FnMut(Vec<Appearance>) -> bool,
}

impl Giver<'_> {
    /// Whether more is wanted.
    fn give(&mut self, life: i64, mark: Mark) -> Result<bool> {
        self.held.push((life, mark));
        match self.held.len() < self.page {
            true => Ok(true),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<bool> {
        let ids: BTreeSet<i64> = self.held.iter().map(|(_, mark)| mark.id).collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let documents = self.pages.documents(&ids)?;
        let documents: BTreeMap<i64, Document> = documents.into_iter().map(|d| (d.id, d)).collect();
        let given: Vec<Appearance> = self
            .held
            .drain(..)
            .filter_map(|(life, mark)| {
                let document = documents.get(&mark.id)?;
                Some(mark.appearance(life, document))
            })
            .collect();
        Ok(given.is_empty() || (self.receive)(given))
    }
}

pub(super) fn read(
    pages: &dyn StreamPages,
    filter: &StreamFilter,
    after: StreamPlace,
    page: usize,
    receive: &mut dyn FnMut(Vec<Appearance>) -> bool,
) -> Result<()> {
    let mut giver = Giver {
        pages,
        page,
        held: vec![],
        receive,
    };
    let is_whole = match &filter.uuids {
        Some(uuids) => read_chosen(&mut giver, filter, uuids, after)?,
        None => {
            read_unplaced(&mut giver, filter, after)? && read_placed(&mut giver, filter, after)?
        }
    };
    if is_whole {
        giver.flush()?;
    }
    Ok(())
}

fn read_unplaced(giver: &mut Giver<'_>, filter: &StreamFilter, after: StreamPlace) -> Result<bool> {
    let mut next = match after.partition {
        i32::MIN..-1 => Some((i64::MIN, i64::MIN)),
        -1 => Some((after.rank, after.id)),
        _ => None,
    };
    while let Some(after) = next {
        let marks = giver.pages.unplaced(&filter.topic, after)?;
        let last = marks.last().filter(|_| marks.len() == MARKS);
        next = last.map(|last| (last.timestamp, last.id));
        for mark in marks {
            if mark.is_selected(filter) && !giver.give(0, mark)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A partition is gone through once to find its lives, and once for each of them.
fn read_placed(giver: &mut Giver<'_>, filter: &StreamFilter, after: StreamPlace) -> Result<bool> {
    let topic = &*filter.topic;
    let newest = filter.added.map_or(i64::MAX, |(_, newest)| newest);
    let rebuilt_through = giver.pages.rebuilt_through()?;
    let mut from = after.partition.max(0);
    while let Some(first) = Marks::from(giver.pages, topic, (from, i64::MIN), i32::MAX).next()? {
        let partition = first.partition;
        let marks = |offset| Marks::from(giver.pages, topic, (partition, offset), partition);
        let mut scan = LifeScan::default();
        let mut coming = marks(i64::MIN);
        while let Some(mark) = coming.next()? {
            if mark.serial <= newest {
                scan.add(&mark);
            }
        }
        for (life, number) in scan.lives(rebuilt_through, true).iter().zip(1..) {
            let begin = match after.partition == partition {
                true if number < after.life => continue,
                true if number == after.life => after.rank,
                _ => i64::MIN,
            };
            let mut coming = Marks::from(giver.pages, topic, (partition, begin), partition);
            while let Some(mark) = coming.next()? {
                let is_wanted =
                    life.has(&mark) && mark.is_selected(filter) && mark.place(number) > after;
                if is_wanted && !giver.give(number, mark)? {
                    return Ok(false);
                }
            }
        }
        from = partition + 1;
    }
    Ok(true)
}

/// The UUIDs are in memory, so their marks may be too.
fn read_chosen(
    giver: &mut Giver<'_>,
    filter: &StreamFilter,
    uuids: &[Uuid],
    after: StreamPlace,
) -> Result<bool> {
    let marks = chosen(giver.pages, filter, uuids)?;
    let rebuilt_through = giver.pages.rebuilt_through()?;
    for partition in marks.chunk_by(|one, next| one.partition == next.partition) {
        let mut scan = LifeScan::default();
        partition.iter().for_each(|mark| scan.add(mark));
        let lives = match partition.first().is_some_and(|mark| mark.partition >= 0) {
            true => scan.lives(rebuilt_through, false),
            false => vec![],
        };
        let mut placed: Vec<(StreamPlace, &Mark)> = partition
            .iter()
            .map(|mark| {
                let life = lives.iter().position(|life| life.has(mark));
                (mark.place(life.map_or(0, |life| life as i64 + 1)), mark)
            })
            .filter(|(place, _)| *place > after)
            .collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        for (place, mark) in placed {
            if !giver.give(place.life, mark.clone())? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn chosen(pages: &dyn StreamPages, filter: &StreamFilter, uuids: &[Uuid]) -> Result<Vec<Mark>> {
    let uuids: BTreeSet<Uuid> = uuids.iter().copied().collect();
    let uuids: Vec<Uuid> = uuids.into_iter().collect();
    let mut marks = vec![];
    for some in uuids.chunks(CHOSEN) {
        marks.extend(pages.chosen(&filter.topic, some)?);
    }
    marks.retain(|mark| mark.is_selected(filter));
    marks.sort_unstable_by_key(|mark| (mark.partition, mark.rank()));
    Ok(marks)
}

/// Counted while the pages go by.
pub(super) fn extent(pages: &dyn StreamPages, filter: &StreamFilter) -> Result<StreamExtent> {
    let topic = &*filter.topic;
    let mut extent = StreamExtent {
        partitions: pages.last_partition(topic)? + 1,
        direct_uploads: pages.direct_uploads(topic)?,
        earliest: i64::MAX,
        latest: i64::MIN,
        ..StreamExtent::default()
    };
    if let Some(uuids) = &filter.uuids {
        for mark in chosen(pages, filter, uuids)? {
            extent.count(&mark, filter);
        }
    } else {
        let mut next = Some((i64::MIN, i64::MIN));
        while let Some(after) = next {
            let marks = pages.unplaced(topic, after)?;
            let last = marks.last().filter(|_| marks.len() == MARKS);
            next = last.map(|last| (last.timestamp, last.id));
            marks.iter().for_each(|mark| extent.count(mark, filter));
        }
        let mut coming = Marks::from(pages, topic, (0, i64::MIN), i32::MAX);
        while let Some(mark) = coming.next()? {
            extent.count(&mark, filter);
        }
    }
    if extent.messages + extent.retries == 0 {
        (extent.earliest, extent.latest) = (0, 0);
    }
    Ok(extent)
}

impl StreamExtent {
    fn count(&mut self, mark: &Mark, filter: &StreamFilter) {
        self.newest = self.newest.max(mark.serial);
        if !mark.is_selected(filter) {
            return;
        }
        self.earliest = self.earliest.min(mark.timestamp);
        self.latest = self.latest.max(mark.timestamp);
        if mark.is_retry {
            self.retries += 1;
            return;
        }
        self.messages += 1;
        let size = u64::from(mark.size.unsigned_abs());
        self.largest = self.largest.max(size);
        self.bytes += size;
        self.without_place += u64::from(mark.partition < 0);
        self.log_append += u64::from(mark.timestamp_type == Some(TimestampType::LogAppend));
        self.at_zero += u64::from(mark.timestamp == 0);
    }
}

pub(super) fn doubled(
    pages: &dyn StreamPages,
    topic: &str,
    after: IndexPlace,
) -> Result<DoubledPage> {
    let page = pages.repeated(topic, after)?;
    let repeated = page.iter().filter(|row| row.previous.is_some());
    let ids: BTreeSet<i64> = repeated
        .flat_map(|row| [row.previous.unwrap_or_default(), row.place.id])
        .collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut of = BTreeMap::new();
    for some in ids.chunks(CHOSEN) {
        of.append(&mut pages.identities(some)?);
    }
    let mut found = vec![];
    // The rows of one offset, so far.
    let mut group: Vec<i64> = vec![];
    for row in &page {
        let Some(previous) = row.previous else {
            continue;
        };
        if group.last() != Some(&previous) {
            group = vec![previous];
        }
        let id = row.place.id;
        if let Some(second) = of.get(&id) {
            let earlier = group.iter().filter_map(|id| of.get(id));
            if let Some(first) = earlier.into_iter().find(|one| one.is_same_delivery(second)) {
                found.push(Doubled {
                    partition: row.place.partition,
                    offset: row.place.offset,
                    topic_id: second.topic_id.and_then(TopicId::from_uuid),
                    first: first.uuid,
                    second: second.uuid,
                });
            }
        }
        group.push(id);
    }
    Ok(DoubledPage {
        found,
        next: page.last().map(|row| row.place),
    })
}
