//! `topics`: what is on Kafka, and how far each topic is archived.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::entity_types;
use super::list_archive::print_topics;
use super::open::{self, NoArchive};
use super::output::{self, Stdout, or_dash};
use super::{Exit, UsageError, table};
use crate::catalogue::RowFilter;
use crate::cli::TopicsArgs;
use crate::config::{Config, GroupName, HopConfig, HopKind, TopicSelection, Verdict};
use crate::kafka::{Admin, Cluster, KafkaFailure, PartitionOffsets, TopicInfo, TopicPartition};

/// The reason of a topic that is to be archived and that the user may not read.
const NO_READ_ACCESS: &str = "no read access";

/// One topic of Kafka's.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    topic: String,
    partitions: usize,
    /// End less start over all partitions: an upper bound, as compaction and
    /// transactions leave offsets without a record.
    records: i64,
    /// Messages of it in the catalogue, ever.
    archived: i64,
    /// Offsets between what the group has committed and the end; null for a
    /// topic that is not archived, and for a group that is a new one at each
    /// start.
    lag: Option<i64>,
    /// Offsets between last stable offset and high watermark, over all
    /// partitions: nothing of them is archived while a transaction is open.
    unstable_records: i64,
    /// The partitions of which there are any.
    unstable: Vec<UnstablePartition>,
    is_archived: bool,
    /// Why not, where it is not.
    reason: Option<String>,
}

/// A partition in which a transaction is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct UnstablePartition {
    pub partition: i32,
    pub last_stable_offset: i64,
    pub high_watermark: i64,
    /// The difference: an upper bound, as it counts control records.
    pub records: i64,
}

/// `topics`: a line for each topic that the credential may see; with
/// `--archived` for each topic of the catalogue, without asking Kafka. Blocks.
pub fn list(config: &Config, args: &TopicsArgs, json: bool) -> anyhow::Result<Exit> {
    if args.entities {
        return entity_types::list(config, json);
    }
    let mut out = Stdout::new();
    if args.archived {
        let catalogue = open::catalogue_to_read(config)?;
        let topics = catalogue.count_by_topic(&RowFilter::default())?;
        print_topics(&topics, json, &mut out)?;
    } else {
        let hop = config.hop()?;
        if hop.kind == HopKind::Mock {
            return Err(UsageError(
                "the mock hop exists only while `run` runs: add --archived, or choose a broker with -H"
                    .to_owned(),
            )
            .into());
        }
        let archived = archived(config)?;
        print(&kafka_topics(&hop, &archived)?, json, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Clean)
}

/// Messages of each topic in the catalogue; none before there is an archive.
fn archived(config: &Config) -> anyhow::Result<BTreeMap<String, i64>> {
    let catalogue = match open::catalogue_to_read(config) {
        Err(error) if error.is::<NoArchive>() => {
            output::note(&error.to_string());
            return Ok(BTreeMap::new());
        }
        opened => opened?,
    };
    let topics = catalogue.count_by_topic(&RowFilter::default())?;
    let counts = topics
        .into_iter()
        .map(|topic| (topic.topic, topic.messages));
    Ok(counts.collect())
}

fn kafka_topics(
    hop: &HopConfig,
    archived: &BTreeMap<String, i64>,
) -> Result<Vec<Line>, KafkaFailure> {
    let cluster = Cluster::open(hop)?;
    // A random group has committed nothing, and has no lag.
    let group = match &hop.group {
        GroupName::Named(name) => Some(name.as_str()),
        GroupName::Random => None,
    };
    let admin = Admin::open(&cluster, group.unwrap_or("archive_ingest"))?;
    let topics = admin.topics()?;
    let partitions: Vec<TopicPartition> = topics.iter().flat_map(partitions_of).collect();
    // Before the last stable offsets: what comes in between is in no transaction
    // that was open.
    let high_watermarks = admin.high_watermarks(&partitions)?;
    let offsets = admin.offsets(&partitions)?;
    let wanted = topics
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| hop.topics.archives(name) == Verdict::Wanted);
    let unreadable = admin.unreadable(&wanted.collect::<Vec<&str>>())?;
    let committed = match group {
        Some(_) => Some(admin.committed(&partitions)?),
        None => None,
    };
    let line = |topic: &TopicInfo| {
        let partitions: Vec<(PartitionOffsets, Option<i64>)> = partitions_of(topic)
            .filter_map(|partition| {
                let committed = committed.as_ref().and_then(|c| c.get(&partition));
                Some((*offsets.get(&partition)?, committed.copied()))
            })
            .collect();
        let unstable: Vec<UnstablePartition> = partitions_of(topic)
            .filter_map(|partition| {
                let last_stable_offset = offsets.get(&partition)?.end;
                let high_watermark = *high_watermarks.get(&partition)?;
                let records = high_watermark - last_stable_offset;
                (records > 0).then_some(UnstablePartition {
                    partition: partition.partition,
                    last_stable_offset,
                    high_watermark,
                    records,
                })
            })
            .collect();
        let (is_archived, reason) = match unreadable.contains(topic.name.as_str()) {
            true => (false, Some(NO_READ_ACCESS.to_owned())),
            false => told(&hop.topics, &topic.name),
        };
        Line {
            topic: topic.name.clone(),
            partitions: topic.partitions.len(),
            records: partitions.iter().map(|(at, _)| at.end - at.start).sum(),
            archived: archived.get(&topic.name).copied().unwrap_or_default(),
            lag: group
                .filter(|_| is_archived)
                .map(|_| partitions.iter().map(lag).sum()),
            unstable_records: unstable.iter().map(|of| of.records).sum(),
            unstable,
            is_archived,
            reason,
        }
    };
    Ok(topics.iter().map(line).collect())
}

/// How far a topic is archived.
pub(super) struct TopicLag {
    /// Offsets that the group has not committed yet; `None` for a topic that is
    /// not archived.
    pub lag: Option<i64>,
    /// Partitions in which a transaction is open; none of a topic that is not
    /// archived.
    pub unstable: Vec<UnstablePartition>,
    /// Whether it is to be archived and the user may not read it.
    pub is_unreadable: bool,
}

/// How far each topic is archived.
pub(super) fn lags(hop: &HopConfig) -> Result<BTreeMap<String, TopicLag>, KafkaFailure> {
    let lines = kafka_topics(hop, &BTreeMap::new())?;
    Ok(lines
        .into_iter()
        .map(|line| {
            let unstable = match line.is_archived {
                true => line.unstable,
                false => vec![],
            };
            let one = TopicLag {
                lag: line.lag,
                unstable,
                is_unreadable: line.reason.as_deref() == Some(NO_READ_ACCESS),
            };
            (line.topic, one)
        })
        .collect())
}

/// An open transaction in a sentence.
pub(super) fn unstable_text(topic: &str, of: &UnstablePartition) -> String {
    format!(
        "{topic} partition {}: {} offsets from {} on are not archived until an open transaction ends",
        of.partition, of.records, of.last_stable_offset
    )
}

pub(super) fn partitions_of(topic: &TopicInfo) -> impl Iterator<Item = TopicPartition> {
    let ids = topic.partitions.iter();
    ids.map(|id| TopicPartition::new(&topic.name, *id))
}

/// What the group has still to read of a partition: from where it has
/// committed, or from the start where it has not, or where retention has gone
/// past it.
pub(super) fn lag((at, committed): &(PartitionOffsets, Option<i64>)) -> i64 {
    let from = committed.map_or(at.start, |committed| committed.max(at.start));
    (at.end - from).max(0)
}

fn told(topics: &TopicSelection, name: &str) -> (bool, Option<String>) {
    let reason = match topics.archives(name) {
        Verdict::Wanted => return (true, None),
        Verdict::Vetoed { by } => format!("vetoed by {by}"),
        Verdict::Internal => "the broker's own".to_owned(),
        Verdict::NotWanted => "not in hop-topics".to_owned(),
    };
    (false, Some(reason))
}

fn print(lines: &[Line], json: bool, out: &mut Stdout) -> io::Result<()> {
    if json {
        return lines.iter().try_for_each(|line| out.json_line(line));
    }
    let rows = lines.iter().map(|line| {
        [
            line.topic.clone(),
            line.partitions.to_string(),
            line.records.to_string(),
            line.archived.to_string(),
            or_dash(line.lag),
            line.unstable_records.to_string(),
            line.reason.clone().unwrap_or_else(|| "yes".to_owned()),
        ]
    });
    let columns = [
        "topic",
        "partitions",
        "records",
        "in archive",
        "lag",
        "unstable",
        "archived",
    ];
    out.write_all(table::render(columns, rows).as_bytes())?;
    for line in lines {
        for of in &line.unstable {
            writeln!(out, "{}", unstable_text(&line.topic, of))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_from_the_committed_offset_or_else_from_the_start() {
        let at = PartitionOffsets { start: 10, end: 30 };
        assert_eq!(lag(&(at, Some(25))), 5);
        assert_eq!(lag(&(at, None)), 20);
        assert_eq!(lag(&(at, Some(30))), 0);
    }

    #[test]
    fn lag_does_not_count_what_retention_removed_or_what_is_past_the_end() {
        let at = PartitionOffsets { start: 10, end: 30 };
        assert_eq!(lag(&(at, Some(3))), 20);
        assert_eq!(lag(&(at, Some(40))), 0);
    }
}
