//! The archive's own positions: what of each partition is archived or accounted
//! for.
//!
//! A stream is a topic's partition in one life of the topic. Its `next` offset
//! is the contiguous low watermark: everything in [first, next) was read, or is
//! a recorded gap. What was read is kept as intervals that merge where they
//! adjoin, with the number of records that they held.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::{CatalogueError, Gap, GapReason};
use crate::record::TopicId;

/// Names a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    pub topic: Arc<str>,
    pub partition: i32,
    /// `None` where the broker gives no topic ids.
    pub topic_id: Option<TopicId>,
}

impl StreamKey {
    /// The topic id as the table holds it; nil stands for "unknown".
    pub(super) fn id_column(&self) -> Uuid {
        self.topic_id.map_or(Uuid::nil(), TopicId::as_uuid)
    }
}

/// A stream's position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    pub key: StreamKey,
    /// Where the archive began: offsets before it are not expected.
    pub first: i64,
    /// Everything in [first, next) is archived or accounted for.
    pub next: i64,
}

/// Where a stream begins. What is archived from `first` on counts as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStart {
    pub key: StreamKey,
    pub first: i64,
    /// Whether rows without a topic id are of this life of the topic.
    pub has_rows_without_id: bool,
}

/// What rows and retries say of a partition of which no position is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchivedExtent {
    /// One past the greatest offset of this life of the topic.
    pub with_id: Option<i64>,
    /// One past the greatest offset of rows that have no topic id.
    pub without_id: Option<i64>,
    /// Whether the topic has rows without offsets, as archive-core writes them.
    pub has_foreign_rows: bool,
}

/// Offsets [from, to) that were read: no record, or one at `to - 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadSpan {
    pub stream: Arc<StreamKey>,
    pub from: i64,
    pub to: i64,
    pub holds_record: bool,
    /// Counts only if this call adds the row of this UUID.
    pub row: Option<Uuid>,
}

/// Offsets [from, to) of a stream that were read, without a break. Either all of
/// its offsets without a record are confirmed or none: what is read later does not
/// merge with confirmed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadInterval {
    pub from: i64,
    pub to: i64,
    /// How many of the offsets held a record.
    pub records: i64,
    /// How many of the others a second reader has found to hold none.
    pub holes_confirmed: i64,
}

/// What is archived of some offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchivedCount {
    /// Offsets that have a row, or a retry.
    pub offsets: i64,
    pub rows: i64,
}

impl ReadInterval {
    /// Offsets without a record.
    pub fn holes(&self) -> i64 {
        self.to - self.from - self.records
    }

    /// Whether a second reader has found no record in any of them.
    pub fn is_confirmed(&self) -> bool {
        self.holes() == self.holes_confirmed
    }
}

/// The calls that keep positions. Each is one transaction and durable on `Ok`.
pub trait Positions: Send + Sync {
    /// The positions of those of these streams that have one.
    fn positions(&self, streams: &[StreamKey]) -> Result<Vec<StreamPosition>, CatalogueError>;

    /// All positions, ordered by topic, partition and topic id.
    fn all_positions(&self) -> Result<Vec<StreamPosition>, CatalogueError>;

    /// What is archived of a stream that may have no position yet.
    fn archived_extent(&self, stream: &StreamKey) -> Result<ArchivedExtent, CatalogueError>;

    /// Begins streams where they have no position, and gives their positions.
    fn begin_streams(&self, streams: &[StreamStart])
    -> Result<Vec<StreamPosition>, CatalogueError>;

    /// The parts of `offsets` that were neither read nor recorded as a gap.
    fn unread(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<Vec<Range<i64>>, CatalogueError>;

    /// What is archived of these offsets.
    fn count_archived(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<ArchivedCount, CatalogueError>;

    /// The intervals of a stream, ordered by offset.
    fn read_intervals(&self, stream: &StreamKey) -> Result<Vec<ReadInterval>, CatalogueError>;

    /// Notes what a second reader has confirmed: replaces intervals of a stream by
    /// others over the same offsets. Changes nothing if one of them is not as it
    /// was; whether they were.
    fn confirm_holes(
        &self,
        stream: &StreamKey,
        before: &[ReadInterval],
        after: &[ReadInterval],
    ) -> Result<bool, CatalogueError>;
}

/// What the catalogue holds of a stream around some spans.
pub(super) struct Recorded {
    pub next: i64,
    /// Ordered, disjoint.
    pub intervals: Vec<ReadInterval>,
    /// Recorded gaps that end after `next` or after the first span.
    pub gaps: Vec<RecordedGap>,
}

/// A gap of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordedGap {
    pub offsets: Range<i64>,
    pub reason: GapReason,
}

/// A gap of which a part was archived after it was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShrunkGap {
    /// As it is recorded.
    pub recorded: Range<i64>,
    /// What is still missing.
    pub missing: Vec<Range<i64>>,
}

/// What is to be written of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub next: i64,
    /// `from` of intervals that are part of others now.
    pub removed: Vec<i64>,
    pub written: Vec<ReadInterval>,
    pub shrunk: Vec<ShrunkGap>,
}

impl Change {
    /// Offsets that were recorded as a gap and are archived now.
    pub fn offsets_recovered(&self) -> u64 {
        let length = |range: &Range<i64>| range.end - range.start;
        let of =
            |gap: &ShrunkGap| length(&gap.recorded) - gap.missing.iter().map(length).sum::<i64>();
        self.shrunk.iter().map(of).sum::<i64>() as u64
    }
}

/// Adds `spans` (from, to, whether it holds a record) to what is recorded. What
/// was read before is not counted again.
///
/// A worker that lost a partition may still archive what it has in memory, after
/// its successor found that the log no longer has it and recorded a gap: the gap
/// keeps only what is missing. A truncated log is another matter: its gap is
/// about a lost branch, whose records may well be archived.
pub(super) fn advance(recorded: &Recorded, spans: &mut [(i64, i64, bool)]) -> Change {
    let before: BTreeMap<i64, ReadInterval> =
        recorded.intervals.iter().map(|i| (i.from, *i)).collect();
    let mut all = before.clone();
    spans.sort_unstable();
    for &(from, to, holds_record) in spans.iter() {
        let is_new = !is_read(&all, to - 1);
        for part in uncovered(&all, from..to) {
            let records = i64::from(holds_record && is_new && part.end == to);
            insert(&mut all, part, records);
        }
    }
    let mut next = recorded.next;
    while let Some(end) = end_of(&all, &recorded.gaps, next) {
        next = end;
    }
    let read: Vec<Range<i64>> = spans.iter().map(|&(from, to, _)| from..to).collect();
    let shrunk = recorded
        .gaps
        .iter()
        .filter(|gap| gap.reason != GapReason::Truncated)
        .map(|gap| ShrunkGap {
            recorded: gap.offsets.clone(),
            missing: subtract(gap.offsets.clone(), &read),
        })
        .filter(|gap| gap.missing != std::slice::from_ref(&gap.recorded))
        .collect();
    Change {
        next,
        shrunk,
        removed: before
            .keys()
            .filter(|from| !all.contains_key(from))
            .copied()
            .collect(),
        written: all
            .values()
            .filter(|interval| before.get(&interval.from) != Some(interval))
            .copied()
            .collect(),
    }
}

/// What replaces intervals by others over the same offsets.
pub(super) fn replacement(next: i64, before: &[ReadInterval], after: &[ReadInterval]) -> Change {
    let is_kept = |from: i64| after.iter().any(|one| one.from == from);
    let froms = before.iter().map(|one| one.from);
    Change {
        next,
        removed: froms.filter(|from| !is_kept(*from)).collect(),
        written: after.to_vec(),
        shrunk: vec![],
    }
}

/// The end of what begins at or before `next` and goes beyond it.
fn end_of(all: &BTreeMap<i64, ReadInterval>, gaps: &[RecordedGap], next: i64) -> Option<i64> {
    let read = all.range(..=next).next_back().map(|(_, i)| i.to);
    let gaps = gaps.iter().map(|gap| &gap.offsets);
    let lost = gaps.filter(|g| g.start <= next).map(|g| g.end).max();
    read.into_iter().chain(lost).max().filter(|&end| end > next)
}

fn is_read(all: &BTreeMap<i64, ReadInterval>, offset: i64) -> bool {
    all.range(..=offset)
        .next_back()
        .is_some_and(|(_, interval)| interval.to > offset)
}

/// The parts of `offsets` that no interval covers, in order.
fn uncovered(all: &BTreeMap<i64, ReadInterval>, offsets: Range<i64>) -> Vec<Range<i64>> {
    let mut parts = Vec::new();
    let mut at = offsets.start;
    if let Some((_, interval)) = all.range(..=at).next_back() {
        at = at.max(interval.to);
    }
    for (&from, interval) in all.range(offsets.start..offsets.end) {
        if from > at {
            parts.push(at..from);
        }
        at = at.max(interval.to);
    }
    if at < offsets.end {
        parts.push(at..offsets.end);
    }
    parts
}

/// Inserts a part that nothing covers, merged with what adjoins it and is not
/// confirmed either.
fn insert(all: &mut BTreeMap<i64, ReadInterval>, part: Range<i64>, records: i64) {
    let mut new = ReadInterval {
        from: part.start,
        to: part.end,
        records,
        holes_confirmed: 0,
    };
    if let Some(after) = all.get(&new.to)
        && after.holes_confirmed == 0
    {
        let (at, to) = (new.to, after.to);
        new.to = to;
        new.records += after.records;
        all.remove(&at);
    }
    if let Some((_, before)) = all.range_mut(..new.from).next_back()
        && before.to == new.from
        && before.holes_confirmed == 0
    {
        before.to = new.to;
        before.records += new.records;
        return;
    }
    all.insert(new.from, new);
}

/// The parts of `offsets` that neither intervals nor gaps cover.
pub(super) fn unread(recorded: &Recorded, offsets: Range<i64>) -> Vec<Range<i64>> {
    let mut covered: Vec<Range<i64>> = recorded.intervals.iter().map(|i| i.from..i.to).collect();
    covered.extend(recorded.gaps.iter().map(|gap| gap.offsets.clone()));
    covered.sort_unstable_by_key(|range| range.start);
    subtract(offsets, &covered)
}

/// The parts of `offsets` that no range in `covered` has; those are ordered by
/// their starts.
fn subtract(offsets: Range<i64>, covered: &[Range<i64>]) -> Vec<Range<i64>> {
    let mut parts = Vec::new();
    let mut at = offsets.start;
    for range in covered {
        if range.start >= offsets.end {
            break;
        }
        if range.start > at {
            parts.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < offsets.end {
        parts.push(at..offsets.end);
    }
    parts
}

/// The parts of a gap that are to be recorded. Of what retention removed that is
/// what nobody archived; what an operator skips or a truncation lost is recorded
/// whole.
pub(super) fn parts_to_record(gap: &Gap, recorded: &Recorded) -> Vec<Gap> {
    match gap.reason {
        GapReason::Skipped | GapReason::Truncated => vec![gap.clone()],
        GapReason::Retention => unread(recorded, gap.from..gap.to)
            .into_iter()
            .map(|part| Gap {
                from: part.start,
                to: part.end,
                ..gap.clone()
            })
            .collect(),
    }
}

/// Spans that count, by stream: those whose row was added, or that need none.
pub(super) fn by_stream<'a>(
    spans: &'a [ReadSpan],
    added: &[Uuid],
) -> BTreeMap<&'a StreamKey, Vec<(i64, i64, bool)>> {
    let added: std::collections::HashSet<&Uuid> = added.iter().collect();
    let mut by_stream: BTreeMap<&StreamKey, Vec<(i64, i64, bool)>> = BTreeMap::new();
    for span in spans {
        if span.row.as_ref().is_none_or(|uuid| added.contains(uuid)) {
            by_stream.entry(&span.stream).or_default().push((
                span.from,
                span.to,
                span.holds_record,
            ));
        }
    }
    by_stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn recorded(next: i64) -> Recorded {
        Recorded {
            next,
            intervals: vec![],
            gaps: vec![],
        }
    }

    fn apply(recorded: &mut Recorded, spans: &[(i64, i64, bool)]) {
        let change = advance(recorded, &mut spans.to_vec());
        let changed = |from: &i64| change.written.iter().any(|w| w.from == *from);
        recorded
            .intervals
            .retain(|i| !change.removed.contains(&i.from) && !changed(&i.from));
        recorded.intervals.extend(&change.written);
        recorded.intervals.sort_by_key(|i| i.from);
        for gap in change.shrunk {
            recorded.gaps.retain(|of| of.offsets != gap.recorded);
            let missing = gap.missing.into_iter().map(retention_gap);
            recorded.gaps.extend(missing);
        }
        recorded.next = change.next;
    }

    fn retention_gap(offsets: Range<i64>) -> RecordedGap {
        let reason = GapReason::Retention;
        RecordedGap { offsets, reason }
    }

    #[test]
    fn next_offset_waits_for_the_batch_before() {
        let mut stream = recorded(0);
        apply(&mut stream, &[(5, 6, true), (6, 9, true)]);
        assert_eq!((stream.next, stream.intervals.len()), (0, 1));
        apply(&mut stream, &[(0, 5, true)]);
        assert_eq!((stream.next, stream.intervals.len()), (9, 1));
        assert_eq!(stream.intervals[0].records, 3);
    }

    #[test]
    fn next_offset_passes_recorded_gaps() {
        let mut stream = recorded(0);
        stream.gaps.push(retention_gap(4..10));
        apply(&mut stream, &[(10, 11, true)]);
        assert_eq!(stream.next, 0);
        apply(&mut stream, &[(0, 4, true)]);
        assert_eq!(stream.next, 11);
        assert_eq!(unread(&stream, 2..20), vec![11..20]);
    }

    #[test]
    fn gap_of_a_truncated_log_stays_whole() {
        let mut stream = recorded(10);
        stream.gaps.push(RecordedGap {
            offsets: 4..10,
            reason: GapReason::Truncated,
        });
        let change = advance(&stream, &mut [(4, 5, true), (5, 6, true)]);
        assert_eq!(change.shrunk, []);
    }

    #[test]
    fn what_is_read_later_does_not_merge_with_confirmed_offsets() {
        let confirmed = ReadInterval {
            from: 0,
            to: 10,
            records: 7,
            holes_confirmed: 3,
        };
        let mut stream = recorded(10);
        stream.intervals.push(confirmed);
        apply(&mut stream, &[(10, 12, true)]);
        apply(&mut stream, &[(12, 14, true)]);
        let later = ReadInterval {
            from: 10,
            to: 14,
            records: 2,
            holes_confirmed: 0,
        };
        assert_eq!(stream.intervals, [confirmed, later]);
        assert_eq!(stream.next, 14);
    }

    proptest! {
        /// Gaps and records are noted in any order. An offset is archived or in a
        /// gap, never both, and the next offset is the first one that is neither.
        #[test]
        fn gaps_hold_what_is_missing(
            notes in prop::collection::vec((any::<bool>(), 0i64..40, 1i64..12), 1..30),
        ) {
            let mut stream = recorded(0);
            let (mut read, mut lost) = (BTreeSet::new(), BTreeSet::new());
            for (is_gap, from, length) in notes {
                let offsets = from..from + length;
                if is_gap {
                    let gap = Gap {
                        topic: "t".into(),
                        partition: 0,
                        from: offsets.start,
                        to: offsets.end,
                        found_at: 0,
                        acknowledged_at: None,
                        topic_id: None,
                        reason: GapReason::Retention,
                    };
                    for part in parts_to_record(&gap, &stream) {
                        stream.gaps.push(retention_gap(part.from..part.to));
                    }
                    lost.extend(offsets.filter(|offset| !read.contains(offset)));
                    apply(&mut stream, &[]);
                } else {
                    let spans: Vec<_> = offsets.clone().map(|at| (at, at + 1, true)).collect();
                    apply(&mut stream, &spans);
                    lost.retain(|offset| !offsets.contains(offset));
                    read.extend(offsets);
                }
                let recorded: Vec<i64> =
                    stream.gaps.iter().flat_map(|gap| gap.offsets.clone()).collect();
                prop_assert_eq!(recorded.len(), lost.len(), "gaps overlap");
                prop_assert_eq!(&recorded.into_iter().collect::<BTreeSet<_>>(), &lost);
                let next = (0..).find(|at| !read.contains(at) && !lost.contains(at));
                prop_assert_eq!(Some(stream.next), next);
            }
        }

        /// Records at some offsets, read in pieces of any order, some twice.
        #[test]
        fn intervals_say_what_was_read(
            steps in prop::collection::vec(1i64..4, 1..60),
            order in prop::collection::vec((any::<prop::sample::Index>(), 1usize..8), 1..40),
        ) {
            let mut at = 0;
            let spans: Vec<(i64, i64, bool)> = steps
                .iter()
                .map(|step| { let from = at; at += step; (from, at, true) })
                .collect();
            let mut stream = recorded(0);
            let (mut read, mut records) = (BTreeSet::new(), BTreeSet::new());
            for (start, length) in order {
                let start = start.index(spans.len());
                let batch = &spans[start..(start + length).min(spans.len())];
                apply(&mut stream, batch);
                for &(from, to, _) in batch {
                    read.extend(from..to);
                    records.insert(to - 1);
                }
            }
            let told: BTreeSet<i64> =
                stream.intervals.iter().flat_map(|i| i.from..i.to).collect();
            prop_assert_eq!(&told, &read);
            let next = (0..).find(|offset| !read.contains(offset)).unwrap_or(0);
            prop_assert_eq!(stream.next, next);
            for (index, interval) in stream.intervals.iter().enumerate() {
                let held = records.range(interval.from..interval.to).count() as i64;
                prop_assert_eq!(interval.records, held);
                if let Some(after) = stream.intervals.get(index + 1) {
                    prop_assert!(interval.to < after.from);
                }
            }
        }
    }
}
