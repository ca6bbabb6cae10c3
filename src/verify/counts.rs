//! The table `topics` against the rows.

use std::collections::{BTreeMap, BTreeSet};

use super::defect::{Defect, Kind};
use super::finding::Findings;
use super::{Result, Verifier};
use crate::catalogue::{RowFilter, TopicSummary};

type Topics = BTreeMap<String, TopicSummary>;

impl Verifier {
    /// Compares the counts of each topic that the filter selects and gives how
    /// many topics that were.
    ///
    /// Rows are only ever added, and the table follows in the same transaction.
    /// So beside a running archiver the rows that are counted lie between what
    /// the table says before and after.
    pub(super) async fn check_counts(&self, findings: &Findings) -> Result<u64> {
        let told = RowFilter {
            topics: self.filter.topics.clone(),
            ..RowFilter::default()
        };
        // A time to start at, be it the first of all, makes it count rows.
        let counted = RowFilter {
            since: Some(i64::MIN),
            ..told.clone()
        };
        let before = self.topics(&told).await?;
        let rows = self.topics(&counted).await?;
        let after = self.topics(&told).await?;
        let names: BTreeSet<&String> = before.keys().chain(rows.keys()).collect();
        for name in &names {
            let of = |topics: &Topics| topics.get(*name).cloned();
            let kinds = wrong(of(&before), of(&rows), of(&after)).into_iter();
            let defects: Vec<Defect> = kinds
                .map(|kind| Defect::of_topic((*name).clone(), kind))
                .collect();
            if !defects.is_empty() {
                let repair = self.mend_counts(name).await?;
                findings.tell_of(defects, repair).await?;
            }
        }
        Ok(names.len() as u64)
    }

    async fn topics(&self, filter: &RowFilter) -> Result<Topics> {
        let filter = filter.clone();
        let topics = self
            .ask(move |catalogue| catalogue.count_by_topic(&filter))
            .await?;
        let named = topics.into_iter().map(|topic| (topic.topic.clone(), topic));
        Ok(named.collect())
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
