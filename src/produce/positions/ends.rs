//! Ends of a topic's partitions as one text: `0:4711,1:4713`.

use std::collections::BTreeMap;

pub(super) fn to_text(ends: &BTreeMap<i32, i64>) -> String {
    let words: Vec<String> = ends
        .iter()
        .map(|(partition, end)| format!("{partition}:{end}"))
        .collect();
    words.join(",")
}

/// What is no end is left out: the log's end is then looked for.
pub(super) fn parse(text: &str) -> BTreeMap<i32, i64> {
    let end = |word: &str| {
        let (partition, end) = word.split_once(':')?;
        Some((partition.parse().ok()?, end.parse().ok()?))
    };
    text.split(',').filter_map(end).collect()
}

/// The later end of each partition.
pub(super) fn merge(
    mut ends: BTreeMap<i32, i64>,
    others: &BTreeMap<i32, i64>,
) -> BTreeMap<i32, i64> {
    for (partition, other) in others {
        let end = ends.entry(*partition).or_insert(*other);
        *end = (*end).max(*other);
    }
    ends
}
