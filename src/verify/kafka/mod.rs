//! Kafka → catalogue: what Kafka still holds is archived.
//!
//! Kafka is read by [`SecondReader`], not by the client that archives: a defect
//! of one client is no defect of the other.

mod compare;
mod holes;
mod source;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::defect::{Defect, Kind};
use super::finding::Findings;
use super::logbook::Logbook;
use super::place::Place;
use super::{Result, Verifier};
use crate::catalogue::StreamKey;
use crate::kafka::{Admin, Cluster, KafkaFailure, Reading, SecondReader, TopicPartition};
use crate::record::{Record, TopicId};

pub use self::source::RecordClients;

/// A batch is closed by so many records, or so many bytes.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// What the archive is compared with.
#[derive(Clone)]
pub struct Stream {
    pub cluster: Arc<Cluster>,
    /// The group that archives. What it has not committed yet need not be
    /// archived yet; without a group, or before its first commit, everything
    /// must be.
    pub group: Option<String>,
    /// Which topics are archived.
    pub is_wanted: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Which topics anyone may read.
    pub is_public: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// What single records are read with.
    pub record_clients: RecordClients,
}

/// An open transaction is waited for this long after the start: the others end
/// within it.
const OPEN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
const OPEN_TRANSACTION_INTERVAL: Duration = Duration::from_secs(1);

/// What is compared of a topic: offsets a partition.
type Ranges = BTreeMap<i32, Range<i64>>;

/// Offsets from last stable offset to high watermark.
type Unstable = BTreeMap<TopicPartition, Range<i64>>;

/// What is compared.
struct Compared {
    topics: BTreeMap<String, Ranges>,
    /// Of partitions in which a transaction was open.
    unstable: Unstable,
    asked_at: Instant,
}

/// What the reading thread gives.
enum Part {
    /// All of one topic, which has this id.
    Records(Vec<Record>, Option<TopicId>),
    /// The topic is at its end.
    End {
        topic: String,
        topic_id: Option<TopicId>,
        /// The offsets that were read without a break.
        read: Ranges,
    },
}

impl Verifier {
    /// `after`: the topic to go on after.
    pub(super) async fn check_stream(
        &self,
        stream: &Stream,
        after: Option<String>,
        log: &mut Logbook,
        findings: &Findings,
    ) -> Result<()> {
        let Compared {
            topics,
            unstable,
            asked_at,
        } = self.ranges(stream.clone()).await?;
        let offsets = topics.values().flat_map(BTreeMap::values);
        let expected: i64 = offsets.map(|range| range.end - range.start).sum();
        self.progress
            .turn_to_kafka(u64::try_from(expected).unwrap_or_default());
        let is_left = move |topic: &String| after.as_ref().is_none_or(|after| topic > after);
        let (sender, mut parts) = mpsc::channel(2);
        let stream = stream.clone();
        let cluster = stream.cluster.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let left = topics.into_iter().filter(|(topic, _)| is_left(topic));
            read(&stream, left, &sender)
        });
        // Partitions of the topic: with records that are not archived as they are,
        // and with records that are archived only now.
        let (mut differing, mut repaired) = (HashSet::new(), HashSet::new());
        while let Some(part) = parts.recv().await {
            match part {
                Part::Records(batch, topic_id) => {
                    self.progress.records(batch.len());
                    let batch = self.selected(batch);
                    log.saved.records += batch.len() as u64;
                    let compared = self.compare_records(batch, topic_id, findings).await?;
                    differing.extend(compared.differing);
                    repaired.extend(compared.repaired);
                }
                Part::End {
                    topic,
                    topic_id,
                    read,
                } => {
                    for (partition, offsets) in read {
                        if differing.contains(&partition) || !self.is_selecting_whole_topics() {
                            continue;
                        }
                        let stream = StreamKey {
                            topic: topic.as_str().into(),
                            partition,
                            topic_id,
                        };
                        let is_repaired = repaired.contains(&partition);
                        self.confirm_holes(stream, offsets, is_repaired).await?;
                    }
                    differing.clear();
                    repaired.clear();
                    if self.is_save_due(log) {
                        let after = Some(topic);
                        self.save(log, findings, Place::Kafka { after }).await;
                    }
                }
            }
        }
        reading.await??;

        let unstable =
            tokio::task::spawn_blocking(move || still_unstable(&cluster, unstable, asked_at));
        for (partition, offsets) in unstable.await?? {
            let kind = Kind::UnstableRecords {
                partition: partition.partition,
                last_stable_offset: offsets.start,
                high_watermark: offsets.end,
                records: offsets.end - offsets.start,
            };
            let defect = Defect::of_topic(partition.topic.to_string(), kind);
            findings.tell(defect).await?;
        }
        Ok(())
    }

    /// What Kafka holds and the group has read, of the topics that are archived
    /// and the partitions that the subset has.
    async fn ranges(&self, stream: Stream) -> Result<Compared> {
        let subset = self.subset;
        let has = move |partition: &TopicPartition| {
            let name = format!("{}/{}", partition.topic, partition.partition);
            subset.is_none_or(|subset| subset.has_name(&name))
        };
        let asked = tokio::task::spawn_blocking(move || ranges(&stream, has));
        Ok(asked.await??)
    }

    fn selected(&self, mut batch: Vec<Record>) -> Vec<Record> {
        let (since, until) = (self.filter.since, self.filter.until);
        batch.retain(|record| {
            since.is_none_or(|since| record.timestamp >= since)
                && until.is_none_or(|until| record.timestamp < until)
        });
        batch
    }
}

impl Stream {
    fn group(&self) -> &str {
        self.group.as_deref().unwrap_or("archive_ingest")
    }
}

fn ranges(
    stream: &Stream,
    has: impl Fn(&TopicPartition) -> bool,
) -> std::result::Result<Compared, KafkaFailure> {
    let mut reader = SecondReader::open(&stream.cluster)?;
    let partitions: Vec<TopicPartition> = reader
        .topics()?
        .into_iter()
        .filter(|topic| (stream.is_wanted)(&topic.name))
        .flat_map(|topic| {
            let ids = topic.partitions.into_iter();
            ids.map(move |id| TopicPartition::new(&topic.name, id))
        })
        .filter(has)
        .collect();
    // Before the ends: what is committed meanwhile need not be compared.
    let committed = match stream.group {
        Some(_) => Admin::open(&stream.cluster, stream.group())?.committed(&partitions)?,
        None => BTreeMap::new(),
    };
    // Before the last stable offsets: what comes in between is in no transaction
    // that was open.
    let mut high_watermarks = reader.high_watermarks(&partitions)?;
    let mut topics: BTreeMap<String, Ranges> = BTreeMap::new();
    let mut unstable = BTreeMap::new();
    for (partition, at) in reader.offsets(&partitions)? {
        if let Some(high) = high_watermarks.remove(&partition)
            && at.end < high
        {
            unstable.insert(partition.clone(), at.end..high);
        }
        let end = committed
            .get(&partition)
            .map_or(at.end, |committed| at.end.min(*committed));
        let ranges = topics.entry(partition.topic.to_string()).or_default();
        ranges.insert(partition.partition, at.start..end.max(at.start));
    }
    Ok(Compared {
        topics,
        unstable,
        asked_at: Instant::now(),
    })
}

/// Those of the partitions whose transaction was open at the start and is open
/// still, a short one's time later.
fn still_unstable(
    cluster: &Cluster,
    mut unstable: Unstable,
    asked_at: Instant,
) -> std::result::Result<Unstable, KafkaFailure> {
    if unstable.is_empty() {
        return Ok(unstable);
    }
    let mut reader = SecondReader::open(cluster)?;
    loop {
        let is_last = asked_at.elapsed() >= OPEN_TRANSACTION_TIMEOUT;
        let partitions: Vec<TopicPartition> = unstable.keys().cloned().collect();
        let offsets = reader.offsets(&partitions)?;
        unstable.retain(|partition, range| {
            if let Some(at) = offsets.get(partition) {
                range.start = at.end;
            }
            !range.is_empty()
        });
        if is_last || unstable.is_empty() {
            return Ok(unstable);
        }
        std::thread::sleep(OPEN_TRANSACTION_INTERVAL);
    }
}

/// Reads topics, one after another, into batches.
fn read(
    stream: &Stream,
    topics: impl Iterator<Item = (String, Ranges)>,
    parts: &mpsc::Sender<Part>,
) -> std::result::Result<(), KafkaFailure> {
    let mut reader = SecondReader::open(&stream.cluster)?;
    let admin = Admin::open(&stream.cluster, stream.group())?;
    for (topic, ranges) in topics {
        let topic_id = admin.topic_id(&topic)?;
        let (mut batch, mut bytes) = (vec![], 0);
        // An id never comes back: if it is the same after a batch was read, all of
        // the batch is of that topic.
        let send = |batch: Vec<Record>| match admin.topic_id(&topic)? == topic_id {
            true => Ok(parts.blocking_send(Part::Records(batch, topic_id)).is_ok()),
            false => Err(KafkaFailure::Unavailable {
                cluster: stream.cluster.name().to_owned(),
                cause: format!(
                    "topic {topic} was deleted or created again while it was read: verify again"
                ),
            }),
        };
        let mut is_wanted = Ok(true);
        let read = reader.read(&topic, &ranges, |record| {
            bytes += record.bytes();
            batch.push(record);
            if batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
                return Reading::GoOn;
            }
            bytes = 0;
            is_wanted = send(std::mem::take(&mut batch));
            match is_wanted {
                Ok(true) => Reading::GoOn,
                _ => Reading::Stop,
            }
        })?;
        // Whoever compared may have failed, and says why.
        if !is_wanted? || !send(batch)? {
            return Ok(());
        }
        let end = Part::End {
            topic,
            topic_id,
            read,
        };
        if parts.blocking_send(end).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
