//! Questions about topics and offsets. All of them block.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataBroker;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::client::{Cluster, Complaints, KafkaFailure, REQUEST_TIMEOUT};
use super::group_offset;
use super::mock;
use super::partition::{Offsets, TopicPartition};
use super::topic_id::{self, TopicAnswers, TopicIds};
use crate::record::TopicId;

/// After this long without an answer it is looked whether the cluster refused.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

/// More events than gather during one question.
const EVENTS: usize = 100;

/// A topic that the credential may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: Vec<i32>,
    /// Those of them that no broker leads now.
    pub leaderless: Vec<i32>,
}

/// Where a partition begins and ends: [start, end), the end being the last
/// stable offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    pub start: i64,
    pub end: i64,
}

/// Partitions that have not answered a question, with the reason.
pub type Unanswered = BTreeMap<TopicPartition, String>;

/// A consumer group, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// In Kafka's words: Stable, Empty, PreparingRebalance, …
    pub state: String,
    pub members: usize,
}

impl ConsumerContext for Complaints {}

/// A connection that only asks.
pub struct Admin {
    consumer: BaseConsumer<Complaints>,
    config: ClientConfig,
    complaints: Complaints,
    cluster: String,
    is_mock: bool,
    group: String,
}

impl Admin {
    /// `group` is the consumer group whose offsets [`Admin::committed`] reads.
    pub fn open(cluster: &Cluster, group: &str) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed");
        Ok(Self {
            consumer: config
                .create_with_context(complaints.clone())
                .map_err(|error| cluster.failure(error))?,
            config,
            complaints,
            cluster: cluster.name().to_owned(),
            is_mock: cluster.is_mock(),
            group: group.to_owned(),
        })
    }

    /// Every topic that the credential may see, broker-internal ones included,
    /// ordered by name. A cluster that refuses is told as soon as it does.
    pub fn topics(&self) -> Result<Vec<TopicInfo>, KafkaFailure> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let answer = topics_within(&self.consumer, SHORT_TIMEOUT);
            let timed_out = answer.as_ref().err().and_then(|e| e.rdkafka_error_code())
                == Some(RDKafkaErrorCode::OperationTimedOut);
            let answer = self.explained(answer);
            match self.complaints.refusal(&self.cluster) {
                Some(refusal) if answer.is_err() => return Err(refusal),
                _ if timed_out && Instant::now() < deadline => {}
                _ => return answer,
            }
        }
    }

    /// The brokers that the cluster has now, as `host:port/id`, at least one:
    /// one question, answered within the time or not at all.
    pub fn brokers(&self, within: Duration) -> Result<Vec<String>, KafkaFailure> {
        // One topic, whether it is there or not: a cluster may have thousands.
        let answer = self.consumer.fetch_metadata(Some("archive_ingest"), within);
        let metadata = self.explained(answer)?;
        let name = |b: &MetadataBroker| format!("{}:{}/{}", b.host(), b.port(), b.id());
        match metadata.brokers() {
            // What a broker says that starts, or was out of touch.
            [] => Err(KafkaFailure::Unavailable {
                cluster: self.cluster.clone(),
                cause: "it tells of no broker that could be asked".to_owned(),
            }),
            brokers => Ok(brokers.iter().map(name).collect()),
        }
    }

    /// Begin and end of each partition, of those that answer.
    pub fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, PartitionOffsets>, KafkaFailure> {
        let (start, _) =
            self.explained(offsets_at(&self.consumer, partitions, Offset::Beginning))?;
        let (end, _) = self.explained(offsets_at(&self.consumer, partitions, Offset::End))?;
        Ok(start
            .into_iter()
            .filter_map(|(partition, start)| {
                let end = *end.get(&partition)?;
                Some((partition, PartitionOffsets { start, end }))
            })
            .collect())
    }

    /// The high watermark of each partition, of those that answer: where its log
    /// ends, records of open transactions included.
    pub fn high_watermarks(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        self.explained(high_watermarks(&self.config, &self.complaints, partitions))
    }

    /// The ids that these topics have now, each named once.
    pub fn topic_ids(&self, topics: &[&str]) -> Result<TopicIds, KafkaFailure> {
        Ok(self.describe(topics)?.ids)
    }

    /// The id of a topic, where the brokers give ids.
    pub fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, KafkaFailure> {
        Ok(self.topic_ids(&[topic])?.get(topic).copied())
    }

    /// The topics of these that the user may see and not read.
    pub fn unreadable(&self, topics: &[&str]) -> Result<BTreeSet<Arc<str>>, KafkaFailure> {
        Ok(self.describe(topics)?.unreadable)
    }

    fn describe(&self, topics: &[&str]) -> Result<TopicAnswers, KafkaFailure> {
        let answers = topic_id::describe(&self.consumer, topics, REQUEST_TIMEOUT);
        let mut answers = self.explained(answers)?;
        if self.is_mock {
            mock::forget_loaded(&mut answers.ids);
        }
        Ok(answers)
    }

    /// What the group has committed, where it has.
    pub fn committed(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        let committed = self.explained(group_offset::committed(
            &self.consumer,
            &self.group,
            partitions,
        ))?;
        Ok(committed
            .offsets
            .into_iter()
            .map(|(partition, committed)| (partition, committed.offset))
            .collect())
    }

    /// Whether the group is one of this cluster's: somebody is in it, or it has
    /// committed an offset of any topic.
    pub fn knows_group(&self, group: &str) -> Result<bool, KafkaFailure> {
        if self.group(group)?.members > 0 {
            return Ok(true);
        }
        let partitions = self.topics()?.into_iter().flat_map(|topic| {
            let name = topic.name;
            let of = move |partition| TopicPartition::new(&name, partition);
            topic.partitions.into_iter().map(of)
        });
        let partitions: Vec<TopicPartition> = partitions.collect();
        Ok(!self.committed(&partitions)?.is_empty())
    }

    /// Who is in a consumer group; nobody where the cluster knows none of that
    /// name.
    pub fn group(&self, name: &str) -> Result<Group, KafkaFailure> {
        let list = self.consumer.fetch_group_list(Some(name), REQUEST_TIMEOUT);
        let groups = self.explained(list)?;
        let known = groups.groups().iter().find(|group| group.name() == name);
        Ok(Group {
            state: known.map_or("Dead", |group| group.state()).to_owned(),
            members: known.map_or(0, |group| group.members().len()),
        })
    }

    fn explained<T>(&self, result: KafkaResult<T>) -> Result<T, KafkaFailure> {
        // What the client complains about reaches the context only while it is
        // polled, one event a poll.
        for _ in 0..EVENTS {
            self.consumer.poll(Duration::ZERO);
        }
        result.map_err(|error| self.complaints.explain(&self.cluster, error))
    }
}

pub(super) fn topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
) -> KafkaResult<Vec<TopicInfo>> {
    topics_within(consumer, REQUEST_TIMEOUT)
}

fn topics_within<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    timeout: Duration,
) -> KafkaResult<Vec<TopicInfo>> {
    let metadata = consumer.fetch_metadata(None, timeout)?;
    let mut topics: Vec<TopicInfo> = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none())
        .map(|topic| TopicInfo {
            name: topic.name().to_owned(),
            partitions: topic.partitions().iter().map(|p| p.id()).collect(),
            leaderless: topic
                .partitions()
                .iter()
                .filter(|partition| partition.leader() < 0)
                .map(|partition| partition.id())
                .collect(),
        })
        .collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(topics)
}

/// The offset at the beginning or the end of each partition, as the consumer's
/// isolation level sees it; one request a broker. A partition that has no leader,
/// or whose leader cannot say it, is among those that have not answered.
pub(super) fn offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    place: Offset,
) -> KafkaResult<(Offsets, Unanswered)> {
    let mut unanswered = without_leader(consumer, partitions)?;
    let mut offsets = Offsets::new();
    let asked: Vec<&TopicPartition> = partitions
        .iter()
        .filter(|partition| !unanswered.contains_key(partition))
        .collect();
    if asked.is_empty() {
        return Ok((offsets, unanswered));
    }
    let asked = partition_list(asked.into_iter().map(|p| (p, place)))?;
    let answer = consumer.offsets_for_times(asked, REQUEST_TIMEOUT)?;
    for element in answer.elements() {
        let partition = TopicPartition::new(element.topic(), element.partition());
        match (element.error(), element.offset()) {
            (Err(error), _) => {
                unanswered.insert(partition, error.to_string());
            }
            (Ok(()), Offset::Offset(offset)) => {
                offsets.insert(partition, offset);
            }
            (Ok(()), _) => {
                unanswered.insert(partition, "no offset was told".to_owned());
            }
        }
    }
    Ok((offsets, unanswered))
}

/// The high watermark of each partition, of those that answer. Opens a client for
/// the question, since a client has one isolation level.
pub(super) fn high_watermarks(
    config: &ClientConfig,
    complaints: &Complaints,
    partitions: &[TopicPartition],
) -> KafkaResult<Offsets> {
    let mut config = config.clone();
    config.set("isolation.level", "read_uncommitted");
    let consumer: BaseConsumer<Complaints> = config.create_with_context(complaints.clone())?;
    Ok(offsets_at(&consumer, partitions, Offset::End)?.0)
}

/// As [`offsets_at`]; a partition that has not answered is an error.
pub(super) fn all_offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    place: Offset,
) -> KafkaResult<Offsets> {
    match offsets_at(consumer, partitions, place)? {
        (offsets, unanswered) if unanswered.is_empty() => Ok(offsets),
        _ => Err(KafkaError::OffsetFetch(
            RDKafkaErrorCode::LeaderNotAvailable,
        )),
    }
}

/// Topics that are asked for one by one, so that a cluster with thousands of
/// them need not tell all.
const ASKED_BY_NAME: usize = 3;

/// The partitions that no broker leads now, or that do not exist. Without this
/// one of them makes the client wait for its time-out when it is asked for the
/// offsets of many.
pub(super) fn without_leader<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<Unanswered> {
    let topics: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
    let mut led = BTreeSet::new();
    let asked: Vec<Option<&str>> = match topics.len() {
        0 => return Ok(Unanswered::new()),
        1..=ASKED_BY_NAME => topics.into_iter().map(Some).collect(),
        _ => vec![None],
    };
    for topic in asked {
        let metadata = consumer.fetch_metadata(topic, REQUEST_TIMEOUT)?;
        for topic in metadata.topics() {
            let of_topic = topic.partitions().iter();
            led.extend(
                of_topic
                    .filter(|partition| partition.leader() >= 0)
                    .map(|partition| TopicPartition::new(topic.name(), partition.id())),
            );
        }
    }
    Ok(partitions
        .iter()
        .filter(|partition| !led.contains(partition))
        .map(|partition| (partition.clone(), "the partition has no leader".to_owned()))
        .collect())
}

/// The offset of the first record of a time (ms since 1970-01-01 UTC) or later,
/// of those partitions that have one.
pub(super) fn offsets_at_time<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    time: i64,
) -> KafkaResult<Offsets> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked = partition_list(partitions.iter().map(|p| (p, Offset::Offset(time))))?;
    let answer = concrete(&consumer.offsets_for_times(asked, REQUEST_TIMEOUT)?)?;
    Ok(answer
        .into_iter()
        .filter_map(|(partition, offset)| Some((partition, offset?)))
        .collect())
}

pub(super) fn partition_list<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    Ok(list)
}

/// Each partition's offset where the answer has a number; the first error that
/// the answer has for a partition otherwise.
fn concrete(list: &TopicPartitionList) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    list.elements()
        .iter()
        .map(|element| {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            Ok((
                TopicPartition::new(element.topic(), element.partition()),
                offset,
            ))
        })
        .collect()
}
