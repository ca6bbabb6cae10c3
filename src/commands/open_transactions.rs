//! Transactions that stay open: what is in them and behind them is archived only
//! when they end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::kafka::{Offsets, PartitionOffsets, TopicPartition};

/// Between two warnings about one partition.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The partitions in which a transaction is open. A last stable offset that moves
/// is another transaction's.
pub(super) struct OpenTransactions {
    warn_after: Duration,
    open: BTreeMap<TopicPartition, Open>,
}

struct Open {
    last_stable: i64,
    high_watermark: i64,
    since: Instant,
    reported: Option<Instant>,
}

/// A partition with an open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unstable {
    pub partition: TopicPartition,
    /// Offsets between last stable offset and high watermark.
    pub records: i64,
    /// Whether it is open for longer than is expected.
    pub is_hanging: bool,
}

impl OpenTransactions {
    /// Warns of transactions that are open for longer than `warn_after`.
    pub fn new(warn_after: Duration) -> Self {
        Self {
            warn_after,
            open: BTreeMap::new(),
        }
    }

    /// Takes in what Kafka answered at `now`, of all partitions. One whose leader
    /// has not answered is forgotten, and begins again when it does.
    pub fn update(
        &mut self,
        offsets: &BTreeMap<TopicPartition, PartitionOffsets>,
        high_watermarks: &Offsets,
        now: Instant,
    ) {
        let mut before = std::mem::take(&mut self.open);
        for (partition, &high_watermark) in high_watermarks {
            let Some(last_stable) = offsets.get(partition).map(|at| at.end) else {
                continue;
            };
            let known = before.remove(partition);
            let same = known.filter(|open| {
                let is_same = open.last_stable == last_stable && last_stable < high_watermark;
                if !is_same && open.reported.is_some() {
                    info!(
                        topic = &*partition.topic,
                        partition = partition.partition,
                        seconds = now.duration_since(open.since).as_secs(),
                        "open transaction ended"
                    );
                }
                is_same
            });
            if last_stable >= high_watermark {
                continue;
            }
            let mut open = same.unwrap_or(Open {
                last_stable,
                high_watermark,
                since: now,
                reported: None,
            });
            open.high_watermark = high_watermark;
            let age = now.duration_since(open.since);
            let is_report_due = open
                .reported
                .is_none_or(|at| now.duration_since(at) >= REPORT_INTERVAL);
            if age >= self.warn_after && is_report_due {
                open.reported = Some(now);
                warn!(
                    topic = &*partition.topic,
                    partition = partition.partition,
                    last_stable_offset = last_stable,
                    unstable_records = high_watermark - last_stable,
                    seconds = age.as_secs(),
                    "transaction stays open, records behind it are not archived"
                );
            }
            self.open.insert(partition.clone(), open);
        }
    }

    /// The partitions with an open transaction.
    pub fn unstable(&self, now: Instant) -> Vec<Unstable> {
        let open = self.open.iter();
        open.map(|(partition, open)| Unstable {
            partition: partition.clone(),
            records: open.high_watermark - open.last_stable,
            is_hanging: now.duration_since(open.since) >= self.warn_after,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARN_AFTER: Duration = Duration::from_secs(300);

    fn at(open: &mut OpenTransactions, last_stable: i64, high_watermark: i64, now: Instant) {
        let partition = TopicPartition::new("t", 0);
        let end = last_stable;
        let offsets = BTreeMap::from([(partition.clone(), PartitionOffsets { start: 0, end })]);
        open.update(&offsets, &Offsets::from([(partition, high_watermark)]), now);
    }

    fn seen(open: &OpenTransactions, now: Instant) -> Option<(i64, bool)> {
        let unstable = open.unstable(now);
        assert!(unstable.len() <= 1);
        unstable.first().map(|of| (of.records, of.is_hanging))
    }

    #[test]
    fn transaction_hangs_when_its_last_stable_offset_does_not_move() {
        let (start, mut open) = (Instant::now(), OpenTransactions::new(WARN_AFTER));
        at(&mut open, 3, 4, start);
        let later = start + WARN_AFTER;
        at(&mut open, 3, 9, later);
        assert_eq!(seen(&open, later), Some((6, true)));
        at(&mut open, 9, 9, later);
        assert_eq!(seen(&open, later), None);
    }

    #[test]
    fn short_transactions_one_after_another_do_not_hang() {
        let (start, mut open) = (Instant::now(), OpenTransactions::new(WARN_AFTER));
        for step in 0..20 {
            let now = start + Duration::from_secs(60) * step;
            at(&mut open, i64::from(step), i64::from(step) + 2, now);
            assert_eq!(seen(&open, now), Some((2, false)));
        }
    }
}
