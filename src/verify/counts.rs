//! The table `topics` against the rows.

use std::collections::BTreeSet;

use super::defect::{Defect, Kind};
use super::finding::Findings;
use super::{Result, Verifier};
use crate::catalogue::{RowFilter, TopicSummary};

impl Verifier {
    /// Compares the counts of each topic that the filter selects and gives how
    /// many topics that were.
    ///
    /// Rows are only ever added, and the table follows in the same transaction.
    /// So beside a running archiver the rows that are counted lie between what
    /// the table says before and after. They are counted page by page; a row that
    /// a repair moves meanwhile may be counted twice or not at all, so what is
    /// wrong is looked at once more.
    pub(super) async fn check_counts(&self, findings: &Findings) -> Result<u64> {
        let mut topics = 0;
        for name in self.topic_names().await? {
            let mut compared = self.compare_counts(&name).await?;
            if compared.as_ref().is_some_and(|kinds| !kinds.is_empty()) {
                compared = self.compare_counts(&name).await?;
            }
            let Some(kinds) = compared else { continue };
            topics += 1;
            let kinds = kinds.into_iter();
            let defects: Vec<Defect> = kinds
                .map(|kind| Defect::of_topic(name.clone(), kind))
                .collect();
            if !defects.is_empty() {
                let repair = self.mend_counts(&name).await?;
                findings.tell_of(defects, repair).await?;
            }
        }
        Ok(topics)
    }

    /// Topics that the filter selects: in the table, or with rows.
    async fn topic_names(&self) -> Result<BTreeSet<String>> {
        if let Some(topics) = &self.filter.topics {
            return Ok(topics.iter().cloned().collect());
        }
        let all = RowFilter::default();
        let told = self.ask(move |catalogue| catalogue.count_by_topic(&all));
        let mut names: BTreeSet<String> = told.await?.into_iter().map(|of| of.topic).collect();
        let mut last: Option<String> = None;
        loop {
            let after = last.clone();
            let next = self.ask(move |catalogue| catalogue.upkeep().topic_after(after.as_deref()));
            let Some(name) = next.await? else {
                return Ok(names);
            };
            names.insert(name.clone());
            last = Some(name);
        }
    }

    /// What is wrong with the counts of a topic; `None` where it is unknown.
    async fn compare_counts(&self, name: &str) -> Result<Option<Vec<Kind>>> {
        let before = self.told(name).await?;
        let rows = self.count_rows(name).await?;
        let after = self.told(name).await?;
        let is_known = before.is_some() || rows.is_some();
        Ok(is_known.then(|| wrong(before, rows, after)))
    }

    /// What the table says.
    async fn told(&self, name: &str) -> Result<Option<TopicSummary>> {
        let filter = RowFilter {
            topics: Some(vec![name.to_owned()]),
            ..RowFilter::default()
        };
        let told = self.ask(move |catalogue| catalogue.count_by_topic(&filter));
        Ok(told.await?.pop())
    }

    /// What the rows say.
    async fn count_rows(&self, name: &str) -> Result<Option<TopicSummary>> {
        let mut counted: Option<TopicSummary> = None;
        let mut next = Some(None);
        while let Some(after) = next {
            let topic = name.to_owned();
            let page = self.ask(move |catalogue| catalogue.upkeep().count_page(&topic, after));
            let page = page.await?;
            next = page.next.map(Some);
            if page.messages == 0 {
                break;
            }
            let counted = counted.get_or_insert(TopicSummary {
                topic: name.to_owned(),
                messages: 0,
                earliest: page.earliest,
                latest: page.latest,
            });
            counted.messages += page.messages;
            counted.latest = page.latest;
        }
        Ok(counted)
    }
}

/// What is wrong with a topic of which the table says this before and after
/// the rows are counted.
fn wrong(
    before: Option<TopicSummary>,
    rows: Option<TopicSummary>,
    after: Option<TopicSummary>,
) -> Vec<Kind> {
    let messages = |topic: &Option<TopicSummary>| topic.as_ref().map_or(0, |t| t.messages);
    let (least, counted, most) = (messages(&before), messages(&rows), messages(&after));
    let mut found = vec![];
    if !(least..=most).contains(&counted) {
        found.push(Kind::WrongCount {
            rows: counted,
            topics: most,
        });
    }
    // Without a row there are no times.
    if let (Some(before), Some(rows), Some(after)) = (before, rows, after)
        && least > 0
    {
        let is_right = (after.earliest..=before.earliest).contains(&rows.earliest)
            && (before.latest..=after.latest).contains(&rows.latest);
        if !is_right {
            found.push(Kind::WrongTimes {
                rows: (rows.earliest, rows.latest),
                topics: (after.earliest, after.latest),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(messages: i64, earliest: i64, latest: i64) -> Option<TopicSummary> {
        Some(TopicSummary {
            topic: "t".to_owned(),
            messages,
            earliest,
            latest,
        })
    }

    #[test]
    fn rows_that_come_while_they_are_counted_are_no_defect() {
        assert_eq!(
            wrong(topic(5, 10, 20), topic(6, 9, 20), topic(8, 9, 25)),
            []
        );
        assert_eq!(wrong(None, topic(1, 1, 1), topic(1, 1, 1)), []);
        assert_eq!(wrong(topic(0, 0, 0), None, topic(0, 0, 0)), []);
    }

    #[test]
    fn a_count_that_the_rows_never_had_is_a_defect() {
        let table = || topic(5, 10, 20);
        let kinds = wrong(table(), topic(4, 10, 20), table());
        assert_eq!(kinds, [Kind::WrongCount { rows: 4, topics: 5 }]);
        let kinds = wrong(None, topic(1, 1, 1), None);
        assert_eq!(kinds, [Kind::WrongCount { rows: 1, topics: 0 }]);
        let kinds = wrong(table(), None, table());
        assert_eq!(kinds, [Kind::WrongCount { rows: 0, topics: 5 }]);
    }

    #[test]
    fn times_that_the_rows_never_had_are_a_defect() {
        let table = || topic(5, 10, 20);
        let kinds = wrong(table(), topic(5, 11, 20), table());
        let expected = Kind::WrongTimes {
            rows: (11, 20),
            topics: (10, 20),
        };
        assert_eq!(kinds, [expected]);
    }
}
