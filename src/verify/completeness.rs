//! Whether each stream is complete, from the catalogue alone: what was archived,
//! recorded as a gap, or read without holding a record covers everything from
//! its first to its next offset.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::defect::{Defect, Kind};
use super::finding::Findings;
use super::{Result, Verifier};
use crate::catalogue::{ArchivedCount, RowFilter, StreamFilter, StreamKey, StreamPosition};

/// Offsets whose rows are counted together.
const PAGE: i64 = 100_000;

/// What was proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Streams without a defect.
    pub partitions: u64,
    /// Their offsets.
    pub offsets: u64,
    /// Offsets of all streams that hold no record, as a second reader confirmed.
    pub holes_confirmed: u64,
    /// Those that only the archiver's client says so of.
    pub holes_unconfirmed: u64,
    /// Messages that belong to no stream: archived before positions were recorded,
    /// or before the first offset of their stream.
    pub not_recorded: u64,
}

impl Verifier {
    /// Looks at each stream that the filter selects.
    pub(super) async fn check_completeness(&self, findings: &Findings) -> Result<Completeness> {
        let mut proved = Completeness::default();
        // Before the rows are counted: what is added meanwhile has a stream.
        let filter = RowFilter {
            topics: self.filter.topics.clone(),
            ..RowFilter::default()
        };
        let topics = self
            .ask(move |catalogue| catalogue.count_by_topic(&filter))
            .await?;
        let mut rows: HashMap<Arc<str>, i64> = HashMap::new();
        let positions = self
            .ask(|catalogue| catalogue.positions().all_positions())
            .await?;
        for position in positions {
            if !self.is_selected(&position.key.topic) {
                continue;
            }
            let key = position.key.clone();
            let intervals = self
                .ask(move |catalogue| catalogue.positions().read_intervals(&key))
                .await?;
            let mut defects = Vec::new();
            for interval in &intervals {
                proved.holes_confirmed += interval.holes_confirmed.max(0) as u64;
                let unconfirmed = interval.holes() - interval.holes_confirmed;
                proved.holes_unconfirmed += unconfirmed.max(0) as u64;
                let offsets = interval.from..interval.to;
                let archived = self.count_archived(&position.key, offsets).await?;
                *rows.entry(position.key.topic.clone()).or_default() += archived.rows;
                let missing = interval.records - archived.offsets;
                if missing > 0 {
                    let offsets = interval.from..interval.to;
                    defects.push(unaccounted(&position, offsets, missing));
                }
            }
            let (key, expected) = (position.key.clone(), position.first..position.next);
            let unread = self
                .ask(move |catalogue| catalogue.positions().unread(&key, expected.clone()))
                .await?;
            for offsets in unread {
                let missing = offsets.end - offsets.start;
                defects.push(unaccounted(&position, offsets, missing));
            }
            if defects.is_empty() {
                proved.partitions += 1;
                proved.offsets += (position.next - position.first).max(0) as u64;
            } else {
                findings.tell_of(defects, None).await?;
            }
        }
        for topic in topics {
            let recorded = rows.get(topic.topic.as_str()).copied().unwrap_or_default();
            let mut left = topic.messages - recorded;
            if left > 0 {
                // Nothing but the number of direct uploads, which are on no stream.
                let nothing = StreamFilter {
                    topic: topic.topic.as_str().into(),
                    uuids: Some(Default::default()),
                    ..StreamFilter::default()
                };
                let extent = self
                    .ask(move |catalogue| catalogue.streams().extent(&nothing))
                    .await?;
                left -= i64::try_from(extent.direct_uploads).unwrap_or(i64::MAX);
            }
            proved.not_recorded += left.max(0) as u64;
        }
        Ok(proved)
    }

    /// What is archived of some offsets of a stream.
    pub(super) async fn count_archived(
        &self,
        stream: &StreamKey,
        offsets: Range<i64>,
    ) -> Result<ArchivedCount> {
        let mut archived = ArchivedCount::default();
        let mut from = offsets.start;
        while from < offsets.end {
            let to = offsets.end.min(from + PAGE);
            let key = stream.clone();
            let page = self
                .ask(move |catalogue| catalogue.positions().count_archived(&key, from..to))
                .await?;
            archived.offsets += page.offsets;
            archived.rows += page.rows;
            from = to;
        }
        Ok(archived)
    }
}

fn unaccounted(position: &StreamPosition, offsets: Range<i64>, missing: i64) -> Defect {
    let kind = Kind::Unaccounted {
        partition: position.key.partition,
        from: offsets.start,
        to: offsets.end,
        missing,
    };
    Defect::of_topic(position.key.topic.to_string(), kind)
}
