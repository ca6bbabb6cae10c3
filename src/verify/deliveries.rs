//! Deliveries that have two rows, found along the index over (topic, partition,
//! offset): no row is read where an offset has one. Offsets of a truncated log
//! are left out: both branches were archived, which the log's gap reports.

use super::defect::{Defect, Kind};
use super::finding::{Findings, Repair};
use super::{Result, Verifier};
use crate::catalogue::{Doubled, GapReason, IndexPlace, RowFilter};

impl Verifier {
    /// Of the topics that the filter selects; each topic is in one subset.
    pub(super) async fn check_deliveries(&self, findings: &Findings) -> Result<()> {
        let filter = RowFilter {
            topics: self.filter.topics.clone(),
            ..RowFilter::default()
        };
        let topics = self
            .ask(move |catalogue| catalogue.count_by_topic(&filter))
            .await?;
        let mut truncated = self.ask(|catalogue| catalogue.gaps()).await?;
        truncated.retain(|gap| gap.reason == GapReason::Truncated);
        let is_of_subset = |topic: &str| self.subset.is_none_or(|subset| subset.has_name(topic));
        for topic in topics.into_iter().map(|of| of.topic) {
            if !is_of_subset(&topic) {
                continue;
            }
            let mut next = Some(IndexPlace::START);
            while let Some(after) = next {
                let name = topic.clone();
                let page = self
                    .ask(move |catalogue| catalogue.streams().doubled(&name, after))
                    .await?;
                next = page.next;
                for doubled in page.found {
                    let is_in_branches = truncated.iter().any(|gap| {
                        *gap.topic == *topic
                            && gap.partition == doubled.partition
                            && (gap.from..gap.to).contains(&doubled.offset)
                    });
                    if is_in_branches {
                        continue;
                    }
                    self.tell_of_doubled(&topic, doubled, findings).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_of_doubled(
        &self,
        topic: &str,
        doubled: Doubled,
        findings: &Findings,
    ) -> Result<()> {
        let kind = Kind::ArchivedTwice {
            partition: doubled.partition,
            offset: doubled.offset,
            topic_id: doubled.topic_id.map(|id| id.to_string()),
            first: doubled.first,
        };
        let defect = Defect::of_record(topic, doubled.second, kind);
        let why = "a row is never removed: compare both messages, and retract one of them";
        let repair = self.mending.as_ref().map(|_| Repair::impossible(why));
        findings.tell_of(vec![defect], repair).await
    }
}
