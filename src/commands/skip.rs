//! `skip`: leaves out records that cannot be read, with a recorded gap.

use std::ops::Range;

use super::{Exit, UsageError, open, output};
use crate::catalogue::{Gap, GapReason};
use crate::cli::SkipArgs;
use crate::config::{Config, GroupName, HopKind};
use crate::kafka::{Admin, Cluster, TopicPartition};

/// Records the gap; the archiver that reads the partition looks for it. Exit 0
/// when it is recorded. Blocks.
pub fn skip(config: &Config, args: &SkipArgs, json: bool) -> anyhow::Result<Exit> {
    let offsets = parse(&args.offsets)?;
    let hop = config.hop()?;
    if hop.kind == HopKind::Mock {
        return Err(usage(
            "choose the cluster with -H: the mock hop has no partition to skip",
        ));
    }
    let catalogue = open::catalogue_to_read(config)?;
    let cluster = Cluster::open(&hop)?;
    let group = match &hop.group {
        GroupName::Named(name) => name.as_str(),
        GroupName::Random => "archive_ingest",
    };
    let admin = Admin::open(&cluster, group)?;
    let topics = admin.topics()?;
    let partition = TopicPartition::new(&args.topic, args.partition);
    let is_there = topics
        .iter()
        .any(|topic| topic.name == args.topic && topic.partitions.contains(&args.partition));
    if !is_there {
        return Err(usage(&format!(
            "there is no partition {} of topic {} on {}",
            args.partition,
            args.topic,
            cluster.name()
        )));
    }
    let one = std::slice::from_ref(&partition);
    let known = admin.offsets(one)?.get(&partition).copied();
    let known = known.ok_or_else(|| {
        anyhow::anyhow!(
            "the end of the partition is not known, as its leader does not answer: try again"
        )
    })?;
    if offsets.end > known.end {
        return Err(usage(&format!(
            "the partition ends at offset {}: what is written later cannot be skipped before it is there",
            known.end
        )));
    }
    let committed = admin.committed(one)?.get(&partition).copied();
    if let Some(committed) = committed.filter(|committed| offsets.start < *committed) {
        return Err(usage(&format!(
            "offsets before {committed} are archived: begin at {committed} or later"
        )));
    }
    let new = catalogue.add_gaps(&[Gap {
        topic: partition.topic.clone(),
        partition: partition.partition,
        from: offsets.start,
        to: offsets.end,
        found_at: 0,
        acknowledged_at: None,
        topic_id: admin.topic_id(&args.topic)?,
        reason: GapReason::Skipped,
    }])?;
    let text = match json {
        true => format!("{}\n", serde_json::json!({ "recorded": new.len() })),
        false if new.is_empty() => "this gap was recorded before\n".to_owned(),
        false => format!(
            "recorded: offsets {} to {} of {} partition {} are left out\n",
            offsets.start,
            offsets.end - 1,
            args.topic,
            args.partition
        ),
    };
    output::print(&text)?;
    Ok(Exit::Clean)
}

fn parse(text: &str) -> anyhow::Result<Range<i64>> {
    let range = text.split_once("..").and_then(|(from, to)| {
        Some(from.trim().parse::<i64>().ok()?..to.trim().parse::<i64>().ok()?)
    });
    match range {
        Some(range) if range.start >= 0 && !range.is_empty() => Ok(range),
        _ => Err(usage(&format!(
            "{text:?} is no range of offsets: write FROM..TO, where TO is the first offset to read again"
        ))),
    }
}

fn usage(why: &str) -> anyhow::Error {
    UsageError(why.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_range_that_is_not_empty_is_accepted() {
        assert_eq!(parse("3..7").unwrap(), 3..7);
        for wrong in ["", "3", "7..3", "3..3", "-1..3", "a..b", "3..=4"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
