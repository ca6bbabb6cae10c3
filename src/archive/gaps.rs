//! What is due next of each partition, and what retention removed before it was
//! read: found, and recorded before any offset past it is committed.
//!
//! What is due is the archive's own knowledge ([`Positions`]); the group's
//! committed offset is only a hint. A jump of offsets is nothing by itself:
//! compaction and transactions leave offsets without a record. It is a gap as
//! far as the log now begins after the offset that was due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::failure::ArchiveError;
use super::incarnation::made_anew;
use super::progress::Progress;
use super::watermark::Watermarks;
use crate::catalogue::{
    Catalogue, Gap, GapReason, Positions, ReadSpan, StreamKey, StreamPosition, StreamStart,
};
use crate::kafka::{
    ConsumerEvents, GroupOffset, GroupOffsets, Offsets, RecordConsumer, TopicId, TopicIds,
    TopicPartition,
};

/// A log that begins after the offset that is due, and gives nothing, is
/// believed after this long: records that were fetched before may still come.
const SILENCE: Duration = Duration::from_secs(5);

/// Between two looks at the end of a log that gave nothing: from the first to the
/// last.
const FIRST_TAIL_LOOK: Duration = Duration::from_secs(1);
const LAST_TAIL_LOOK: Duration = Duration::from_secs(60);

/// Partitions whose end is looked at together.
const TAILS: usize = 200;

/// Partitions that Kafka told nothing of are asked for again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Watches what each partition gives.
pub(super) struct GapWatch {
    catalogue: Arc<dyn Catalogue>,
    progress: Arc<Progress>,
    watermarks: Arc<Watermarks>,
    reading: HashMap<TopicPartition, Reading>,
    /// Partitions that are new here: the archive's position is to be compared
    /// with where they begin and end. What comes of them until then is dropped
    /// and read again.
    fresh: BTreeMap<TopicPartition, Fresh>,
    /// Those of them whose topic is gone: looked at if it comes back.
    gone: BTreeMap<TopicPartition, Fresh>,
    /// Those of them of which Kafka did not tell all that is needed when it was
    /// last asked, with the reason, and when that was.
    unanswered: BTreeMap<TopicPartition, String>,
    asked: Instant,
}

/// A partition that is read.
struct Reading {
    stream: Arc<StreamKey>,
    /// The offset that is due next.
    due: i64,
    /// Offsets that were due and that the log no longer has.
    lost: Vec<Range<i64>>,
    /// Offsets that did not come, of which the client cannot say why.
    unknown: Vec<Range<i64>>,
    /// Since when the log is known to begin after `due`.
    passed: Option<Instant>,
    tail: Tail,
}

/// When to look whether what follows in the log holds no record.
#[derive(Default)]
struct Tail {
    /// `None`: not waited for yet.
    look_at: Option<Instant>,
    pause: Duration,
}

struct Fresh {
    /// The id that its topic had before it was read.
    topic_id: Option<TopicId>,
    /// Whether it is assigned to this process.
    is_assigned: bool,
    /// Whether records of it were dropped.
    has_dropped: bool,
}

/// What a look at partitions gave.
#[derive(Default)]
pub(super) struct Settled {
    /// Those whose topic was made anew, with the id that it has now.
    pub made_anew: BTreeMap<TopicPartition, TopicId>,
    /// Those that are read from another offset now: what was received of them
    /// before does not count.
    pub sought: Vec<TopicPartition>,
}

/// What Kafka says of the partitions that are looked at.
struct Logs {
    ids: TopicIds,
    committed: GroupOffsets,
    starts: Offsets,
    ends: Offsets,
}

impl GapWatch {
    pub(super) fn new(
        catalogue: Arc<dyn Catalogue>,
        progress: Arc<Progress>,
        watermarks: Arc<Watermarks>,
    ) -> Self {
        Self {
            catalogue,
            progress,
            watermarks,
            reading: HashMap::new(),
            fresh: BTreeMap::new(),
            gone: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            asked: Instant::now(),
        }
    }

    /// This partition is read from now on. `topic_id` is what its topic had
    /// before.
    pub(super) fn begin(&mut self, partition: TopicPartition, topic_id: Option<TopicId>) {
        self.reading.remove(&partition);
        let fresh = Fresh {
            topic_id,
            is_assigned: true,
            has_dropped: false,
        };
        self.fresh.insert(partition, fresh);
    }

    /// This partition is looked at, although it may be read elsewhere.
    pub(super) fn look_at(&mut self, partition: TopicPartition) {
        self.fresh.entry(partition).or_insert(Fresh {
            topic_id: None,
            is_assigned: false,
            has_dropped: false,
        });
    }

    /// Looks again at partitions whose topic was gone, where it `is_there` now.
    pub(super) fn look_again(&mut self, is_there: impl Fn(&str) -> bool) {
        let back = self.gone.extract_if(.., |p, _| is_there(&p.topic));
        self.fresh.extend(back);
    }

    /// Whether everything that was noted has been looked at, apart from
    /// partitions of which Kafka tells nothing (one without a leader).
    pub(super) fn is_settled(&self) -> bool {
        let is_open = |reading: &Reading| !reading.lost.is_empty() || !reading.unknown.is_empty();
        let mut fresh = self.fresh.keys();
        fresh.all(|p| self.unanswered.contains_key(p)) && !self.reading.values().any(is_open)
    }

    /// Partitions of which Kafka did not tell all that is needed when it was last
    /// asked, with the reason.
    pub(super) fn silent(&self) -> BTreeMap<TopicPartition, String> {
        let is_fresh = |partition: &TopicPartition| self.fresh.contains_key(partition);
        self.unanswered
            .iter()
            .filter(|(partition, _)| is_fresh(partition))
            .map(|(partition, why)| (partition.clone(), why.clone()))
            .collect()
    }

    /// Whether records of this partition are taken in here.
    pub(super) fn is_reading(&self, partition: &TopicPartition) -> bool {
        self.reading.contains_key(partition)
    }

    /// An operator has ordered to leave out what is before `to`.
    pub(super) fn skip_to(&mut self, partition: &TopicPartition, to: i64) {
        if let Some(reading) = self.reading.get_mut(partition) {
            reading.due = to;
        }
    }

    /// A record of this partition came: of which stream it is, and from which
    /// offset on nothing else was read. `None`: it does not count, as it is not
    /// known yet what is due.
    pub(super) fn received<E: ConsumerEvents>(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        consumer: &RecordConsumer<E>,
    ) -> Option<(Arc<StreamKey>, i64)> {
        let Some(reading) = self.reading.get_mut(partition) else {
            let waiting = self.fresh.get_mut(partition);
            if let Some(fresh) = waiting.or_else(|| self.gone.get_mut(partition)) {
                fresh.has_dropped = true;
            }
            return None;
        };
        let due = std::mem::replace(&mut reading.due, offset + 1);
        reading.passed = None;
        reading.tail = Tail::default();
        let stream = reading.stream.clone();
        if offset < due {
            warn!(
                "{} partition {}: offset {offset} after {}: the topic was made anew or cut off; read on from there",
                partition.topic,
                partition.partition,
                due - 1
            );
            return Some((stream, offset));
        }
        if offset == due {
            return Some((stream, due));
        }
        // The response that brought the record, or a later one, said where the
        // log begins: what lies after that and did not come holds no record.
        let from = match consumer.log_start_seen(partition) {
            Some(start) if start <= due => due,
            Some(start) => {
                let end = start.min(offset);
                self.watermarks.hold_after(partition, due);
                reading.lost.push(due..end);
                end
            }
            None => {
                self.watermarks.hold_after(partition, due);
                reading.unknown.push(due..offset);
                offset
            }
        };
        Some((stream, from))
    }

    /// These partitions are no longer read here.
    pub(super) fn end(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.reading.remove(partition);
            self.fresh.remove(partition);
            self.gone.remove(partition);
            self.unanswered.remove(partition);
        }
    }

    /// Looks at what was noted, records gaps, and releases what may be
    /// committed then; until that works it may not. `is_quiet`: the client has
    /// nothing more to give at the moment.
    pub(super) fn settle<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        is_quiet: bool,
    ) -> Result<Settled, ArchiveError> {
        self.find_passed(consumer, is_quiet)?;
        self.record_jumps(consumer)?;
        if self.asked.elapsed() >= ASK_AGAIN {
            self.unanswered.clear();
        }
        if self.fresh.keys().all(|p| self.unanswered.contains_key(p)) {
            return Ok(Settled::default());
        }
        let looked = match self.ask(consumer) {
            Ok(logs) => self.begin_reading(consumer, logs),
            Err(error) => Err(error),
        };
        if looked.is_err() {
            self.set_aside_what_is_gone(consumer)?;
        }
        looked
    }

    /// A log may end with control records, or with what compaction left out: no
    /// record says that its end is reached. What holds no record is noted as
    /// read, and may be committed. `at_once`: nothing more is waited for.
    pub(super) fn pass_tails<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        at_once: bool,
    ) -> Result<(), ArchiveError> {
        let now = Instant::now();
        let mut waiting = Vec::new();
        for (partition, reading) in &mut self.reading {
            let high = consumer.high_watermark_seen(partition);
            if high.is_none_or(|high| high <= reading.due) || self.watermarks.in_flight(partition) {
                reading.tail = Tail::default();
                continue;
            }
            let look_at = *reading.tail.look_at.get_or_insert(now + FIRST_TAIL_LOOK);
            if (at_once || now >= look_at) && waiting.len() < TAILS {
                let pause = reading.tail.pause.max(FIRST_TAIL_LOOK) * 2;
                reading.tail.pause = pause.min(LAST_TAIL_LOOK);
                reading.tail.look_at = Some(now + reading.tail.pause);
                waiting.push(partition.clone());
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let ends = consumer.ends(&waiting)?;
        let ranges: Vec<(TopicPartition, Range<i64>)> = ends
            .into_iter()
            .filter_map(|(partition, end)| {
                let range = self.reading.get(&partition)?.due..end;
                (!range.is_empty()).then_some((partition, range))
            })
            .collect();
        let empty = consumer.empty(&ranges)?;
        // A range that retention took would look empty too.
        let starts = consumer.starts(&empty)?;
        let mut holes = Vec::new();
        let mut passed = Vec::new();
        for (partition, range) in ranges {
            let is_whole = starts.get(&partition).is_some_and(|s| *s <= range.start);
            if let Some(reading) = self.reading.get(&partition)
                && is_whole
            {
                holes.push(hole(&reading.stream, range.clone()));
                passed.push((partition, range.end));
            }
        }
        if holes.is_empty() {
            return Ok(());
        }
        self.catalogue.add_read(&[], &[], &holes)?;
        for (partition, end) in passed {
            self.watermarks.pass_to(&partition, end);
            if let Some(reading) = self.reading.get_mut(&partition) {
                reading.due = end;
                reading.tail = Tail::default();
            }
        }
        Ok(())
    }

    /// Logs that lost what was due, and of which nothing comes that would show
    /// it.
    fn find_passed<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        is_quiet: bool,
    ) -> Result<(), ArchiveError> {
        let mut silent = Vec::new();
        for (partition, reading) in &mut self.reading {
            let start = consumer.log_start_seen(partition);
            if start.is_none_or(|start| start <= reading.due) {
                reading.passed = None;
                continue;
            }
            let since = *reading.passed.get_or_insert_with(Instant::now);
            if is_quiet && since.elapsed() >= SILENCE {
                silent.push(partition.clone());
            }
        }
        if silent.is_empty() {
            return Ok(());
        }
        for (partition, start) in consumer.starts(&silent)? {
            if let Some(reading) = self.reading.get_mut(&partition)
                && start > reading.due
            {
                self.watermarks.hold_after(&partition, reading.due);
                reading.lost.push(reading.due..start);
                reading.due = start;
            }
        }
        Ok(())
    }

    /// Records the offsets that were skipped: as gaps, or as holding no record.
    fn record_jumps<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let jumped: Vec<TopicPartition> = self
            .reading
            .iter()
            .filter(|(_, reading)| !reading.lost.is_empty() || !reading.unknown.is_empty())
            .map(|(partition, _)| partition.clone())
            .collect();
        let mut asked: Vec<TopicPartition> = jumped
            .iter()
            .filter(|partition| !self.reading[*partition].unknown.is_empty())
            .cloned()
            .collect();
        asked.sort_unstable();
        let starts = consumer.starts(&asked)?;
        let (mut gaps, mut holes) = (Vec::new(), Vec::new());
        for partition in &jumped {
            let reading = &self.reading[partition];
            let mut lost = reading.lost.clone();
            if let Some(&start) = starts.get(partition) {
                for jump in &reading.unknown {
                    let end = start.clamp(jump.start, jump.end);
                    lost.push(jump.start..end);
                    holes.push(hole(&reading.stream, end..jump.end));
                }
            }
            for range in lost.into_iter().filter(|range| !range.is_empty()) {
                for part in self.positions().unread(&reading.stream, range)? {
                    gaps.push(gap(&reading.stream, &part));
                }
            }
        }
        self.remember(gaps)?;
        holes.retain(|hole| hole.from < hole.to);
        if !holes.is_empty() {
            self.catalogue.add_read(&[], &[], &holes)?;
        }
        for partition in &jumped {
            let is_known =
                asked.binary_search(partition).is_err() || starts.contains_key(partition);
            if !is_known {
                continue;
            }
            if let Some(reading) = self.reading.get_mut(partition) {
                reading.lost.clear();
                reading.unknown.clear();
            }
            self.watermarks.release(partition);
        }
        Ok(())
    }

    /// Partitions that do not answer now are left out of the starts: they stay
    /// fresh, and nothing is committed for them.
    fn ask<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<Logs, ArchiveError> {
        let is_asked = |partition: &&TopicPartition| !self.unanswered.contains_key(*partition);
        let fresh: Vec<TopicPartition> = self.fresh.keys().filter(is_asked).cloned().collect();
        let ids = consumer.topic_ids(&names(&fresh))?;
        let group = consumer.group_offsets(&fresh)?;
        let mut starts = consumer.starts(&fresh)?;
        let ends = consumer.ends(&fresh)?;
        starts.retain(|partition, _| {
            ends.contains_key(partition) && !group.unanswered.contains_key(partition)
        });
        let silent: Vec<TopicPartition> = fresh
            .into_iter()
            .filter(|partition| !starts.contains_key(partition))
            .collect();
        if !silent.is_empty() {
            self.set_aside_what_is_gone(consumer)?;
            debug!(
                count = silent.len(),
                "partitions do not answer, nothing is committed for them"
            );
            let without_leader = consumer.without_leader(&silent)?;
            for partition in silent {
                let cause = match (
                    group.unanswered.get(&partition),
                    without_leader.get(&partition),
                ) {
                    (_, Some(why)) => why.clone(),
                    (Some(why), None) => format!("the offset of the group is not known: {why}"),
                    (None, None) => {
                        "its leader did not tell where its log begins and ends".to_owned()
                    }
                };
                self.unanswered.insert(partition, cause);
            }
            self.asked = Instant::now();
        }
        Ok(Logs {
            ids,
            committed: group.offsets,
            starts,
            ends,
        })
    }

    /// Compares the archive's position of each fresh partition with its log,
    /// records what is lost, and goes to what is due.
    fn begin_reading<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        mut logs: Logs,
    ) -> Result<Settled, ArchiveError> {
        let read_of = self.read_of(&logs);
        let made_anew = find_made_anew(&read_of, &logs.ids);
        // Those are offsets of a log that is no more.
        logs.committed
            .retain(|partition, _| !made_anew.contains_key(partition));
        warn_of_logs_that_end_early(&logs.committed, &logs.ends);
        let streams: BTreeMap<TopicPartition, StreamKey> = read_of
            .iter()
            .filter(|(partition, _)| !made_anew.contains_key(partition))
            .filter(|(partition, _)| logs.starts.contains_key(partition))
            .map(|(partition, topic_id)| (partition.clone(), key(partition, *topic_id)))
            .collect();
        let next = self.next_offsets(&streams, &logs)?;
        let mut gaps = Vec::new();
        let mut begun: BTreeMap<TopicPartition, (Arc<StreamKey>, i64)> = BTreeMap::new();
        let mut seek = Offsets::new();
        let mut passed = Offsets::new();
        for (partition, stream) in streams {
            let (Some(&start), Some(&next)) = (logs.starts.get(&partition), next.get(&stream))
            else {
                continue;
            };
            if start > next {
                for lost in self.positions().unread(&stream, next..start)? {
                    gaps.push(gap(&stream, &lost));
                }
            }
            let end = logs.ends.get(&partition).copied().unwrap_or(i64::MAX);
            let committed = logs.committed.get(&partition).map(|c| c.offset);
            let position = committed.filter(|at| (start..=end).contains(at));
            let position = position.unwrap_or(start);
            // Never forward: what is archived and read again changes nothing.
            let due = position.min(next.max(start));
            if committed.is_some_and(|committed| committed < due) {
                passed.insert(partition.clone(), due);
            }
            let fresh = self.fresh.get(&partition);
            let is_assigned = fresh.is_some_and(|fresh| fresh.is_assigned);
            if is_assigned && (due != position || fresh.is_some_and(|fresh| fresh.has_dropped)) {
                seek.insert(partition.clone(), due);
            }
            begun.insert(partition, (Arc::new(stream), due));
        }
        self.remember(gaps)?;
        let is_sought = consumer.seek(&seek)?;
        if !is_sought {
            // The client has not begun with one of them: they are looked at
            // again.
            begun.retain(|partition, _| !seek.contains_key(partition));
            seek.clear();
        }
        for (partition, topic_id) in read_of {
            if made_anew.contains_key(&partition) || begun.contains_key(&partition) {
                self.watermarks.is_read_of(&partition, topic_id);
                self.watermarks.release(&partition);
            }
        }
        for (partition, due) in passed {
            self.watermarks.pass_to(&partition, due);
        }
        for partition in made_anew.keys() {
            self.fresh.remove(partition);
        }
        for (partition, (stream, due)) in begun {
            let fresh = self.fresh.remove(&partition);
            if fresh.is_some_and(|fresh| fresh.is_assigned) {
                let reading = Reading {
                    stream,
                    due,
                    lost: vec![],
                    unknown: vec![],
                    passed: None,
                    tail: Tail::default(),
                };
                self.reading.insert(partition, reading);
            }
        }
        Ok(Settled {
            made_anew,
            sought: seek.into_keys().collect(),
        })
    }

    /// The archive's position of each stream. One that it does not know begins
    /// now.
    fn next_offsets(
        &self,
        streams: &BTreeMap<TopicPartition, StreamKey>,
        logs: &Logs,
    ) -> Result<HashMap<StreamKey, i64>, ArchiveError> {
        let keys: Vec<StreamKey> = streams.values().cloned().collect();
        let next_of = |at: StreamPosition| (at.key, at.next);
        let known = self.positions().positions(&keys)?.into_iter();
        let mut next: HashMap<StreamKey, i64> = known.map(next_of).collect();
        let mut starts = Vec::new();
        for (partition, stream) in streams {
            if !next.contains_key(stream) {
                starts.push(self.first_offset(partition, stream, logs)?);
            }
        }
        if !starts.is_empty() {
            let begun = self.positions().begin_streams(&starts)?;
            next.extend(begun.into_iter().map(next_of));
        }
        Ok(next)
    }

    /// Where a stream begins that has no position: after what older versions
    /// archived, at the group's offset where another archiver's rows exist, else
    /// where the log begins now.
    fn first_offset(
        &self,
        partition: &TopicPartition,
        stream: &StreamKey,
        logs: &Logs,
    ) -> Result<StreamStart, ArchiveError> {
        let extent = self.positions().archived_extent(stream)?;
        let start = logs.starts.get(partition).copied().unwrap_or_default();
        let end = logs.ends.get(partition).copied().unwrap_or(i64::MAX);
        let committed = logs.committed.get(partition);
        // An older version committed with the id of the topic that it read.
        let is_vouched = committed.is_some_and(|c| c.offset > 0 && c.topic_id == stream.topic_id);
        let without_id = extent
            .without_id
            .filter(|&past| is_vouched || (committed.is_none() && past <= end));
        let archived = extent.with_id.or(without_id);
        let committed = committed.map(|c| c.offset);
        let first = match (archived, committed) {
            (Some(_), Some(committed)) if is_vouched && stream.topic_id.is_some() => committed,
            (Some(past), Some(committed)) => past.min(committed),
            (Some(past), None) => past,
            (None, Some(committed)) if extent.has_foreign_rows => committed,
            (None, _) => start,
        };
        Ok(StreamStart {
            key: stream.clone(),
            first,
            has_rows_without_id: without_id.is_some(),
        })
    }

    pub(super) fn catalogue(&self) -> Arc<dyn Catalogue> {
        self.catalogue.clone()
    }

    fn positions(&self) -> &dyn Positions {
        self.catalogue.positions()
    }

    /// A topic that was deleted has no beginning to compare with.
    fn set_aside_what_is_gone<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let topics = consumer.topics()?.into_iter();
        let existing: BTreeSet<String> = topics.map(|topic| topic.name).collect();
        let is_gone = |partition: &TopicPartition| !existing.contains(&*partition.topic);
        self.gone
            .extend(self.fresh.extract_if(.., |p, _| is_gone(p)));
        for (_, reading) in self.reading.iter_mut().filter(|(p, _)| is_gone(p)) {
            reading.lost.clear();
            reading.unknown.clear();
        }
        Ok(())
    }

    /// The topic that each fresh partition is read of.
    fn read_of(&self, logs: &Logs) -> BTreeMap<TopicPartition, Option<TopicId>> {
        self.fresh
            .iter()
            .map(|(partition, fresh)| {
                let committed = logs.committed.get(partition).and_then(|c| c.topic_id);
                let before = match fresh.is_assigned {
                    true => fresh.topic_id,
                    // Nothing was read of it here.
                    false => logs.ids.get(&partition.topic).copied(),
                };
                (partition.clone(), committed.or(before))
            })
            .collect()
    }

    fn remember(&self, gaps: Vec<Gap>) -> Result<(), ArchiveError> {
        if gaps.is_empty() {
            return Ok(());
        }
        let new = self.catalogue.add_gaps(&gaps)?;
        if new.is_empty() {
            info!(
                count = gaps.len(),
                "gaps are known, or were archived meanwhile"
            );
        }
        for gap in &new {
            warn!(
                "LOST: {} partition {} offsets {} to {}: Kafka's retention removed them before they were archived",
                gap.topic,
                gap.partition,
                gap.from,
                gap.to - 1
            );
        }
        self.progress.lost(new);
        Ok(())
    }
}

fn find_made_anew(
    read_of: &BTreeMap<TopicPartition, Option<TopicId>>,
    ids: &TopicIds,
) -> BTreeMap<TopicPartition, TopicId> {
    read_of
        .iter()
        .filter_map(|(partition, read)| {
            let now = ids.get(&partition.topic).copied();
            Some((partition.clone(), made_anew(*read, now)?))
        })
        .collect()
}

fn names(partitions: &[TopicPartition]) -> Vec<&str> {
    let names: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
    names.into_iter().collect()
}

fn warn_of_logs_that_end_early(committed: &GroupOffsets, ends: &Offsets) {
    for (partition, GroupOffset { offset, .. }) in committed {
        if ends.get(partition).is_some_and(|end| offset > end) {
            warn!(
                "{} partition {}: the group had read up to {offset}, but the log ends before: the topic was made anew or cut off; read from its start",
                partition.topic, partition.partition
            );
        }
    }
}

fn key(partition: &TopicPartition, topic_id: Option<TopicId>) -> StreamKey {
    StreamKey {
        topic: partition.topic.clone(),
        partition: partition.partition,
        topic_id,
    }
}

fn gap(stream: &StreamKey, offsets: &Range<i64>) -> Gap {
    Gap {
        topic: stream.topic.clone(),
        partition: stream.partition,
        from: offsets.start,
        to: offsets.end,
        found_at: 0,
        acknowledged_at: None,
        topic_id: stream.topic_id,
        reason: GapReason::Retention,
    }
}

fn hole(stream: &Arc<StreamKey>, offsets: Range<i64>) -> ReadSpan {
    ReadSpan {
        stream: stream.clone(),
        from: offsets.start,
        to: offsets.end,
        holds_record: false,
        row: None,
    }
}
