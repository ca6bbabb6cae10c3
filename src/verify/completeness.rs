//! Whether each stream is complete, from the catalogue alone: what was archived,
//! recorded as a gap, or read without holding a record covers everything from
//! its first to its next offset.

use std::ops::Range;

use super::defect::{Defect, Kind};
use super::finding::Findings;
use super::{Result, Verifier};
use crate::catalogue::{ReadInterval, StreamPosition};

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
}

impl Verifier {
    /// Looks at each stream that the filter selects. Offsets that were archived
    /// before positions were recorded belong to none.
    pub(super) async fn check_completeness(&self, findings: &Findings) -> Result<Completeness> {
        let mut proved = Completeness::default();
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
                let missing = interval.records - self.archived_of(&position, interval).await?;
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
        Ok(proved)
    }

    /// How many offsets of an interval are archived.
    async fn archived_of(&self, position: &StreamPosition, interval: &ReadInterval) -> Result<i64> {
        let mut archived = 0;
        let mut from = interval.from;
        while from < interval.to {
            let to = interval.to.min(from + PAGE);
            let key = position.key.clone();
            archived += self
                .ask(move |catalogue| catalogue.positions().count_archived(&key, from..to))
                .await?;
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
