//! Questions about topics and offsets. All of them block.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataBroker;
use rdkafka::topic_partition_list::Offset;

use super::client::{Cluster, Complaints, KafkaFailure, REQUEST_TIMEOUT};
use super::group_offset;
use super::partition::{Offsets, TopicPartition};
use super::topic_id::{self, TopicIds};

/// After this long without an answer it is looked whether the cluster refused.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

/// More events than gather during one question.
const EVENTS: usize = 100;

/// A topic that the credential may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// Where a partition begins and ends: [start, end), the end being the last
/// stable offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    pub start: i64,
    pub end: i64,
}

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
    complaints: Complaints,
    cluster: String,
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
            complaints,
            cluster: cluster.name().to_owned(),
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

    /// Begin and end of each partition.
    pub fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, PartitionOffsets>, KafkaFailure> {
        let start = self.explained(offsets_at(&self.consumer, partitions, Offset::Beginning))?;
        let end = self.explained(offsets_at(&self.consumer, partitions, Offset::End))?;
        Ok(start
            .into_iter()
            .filter_map(|(partition, start)| {
                let end = *end.get(&partition)?;
                Some((partition, PartitionOffsets { start, end }))
            })
            .collect())
    }

    /// The ids that these topics have now, each named once.
    pub fn topic_ids(&self, topics: &[&str]) -> Result<TopicIds, KafkaFailure> {
        self.explained(topic_id::ask(&self.consumer, topics, REQUEST_TIMEOUT))
    }

    /// What the group has committed, where it has.
    pub fn committed(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        let committed = self.explained(group_offset::committed(&self.consumer, partitions))?;
        Ok(committed
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
        })
        .collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(topics)
}

/// The offset at the beginning or the end of each partition, as the consumer's
/// isolation level sees it; one request a broker. A partition whose leader
/// cannot say it is an error.
pub(super) fn offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    place: Offset,
) -> KafkaResult<Offsets> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked = partition_list(partitions.iter().map(|p| (p, place)))?;
    let answer = consumer.offsets_for_times(asked, REQUEST_TIMEOUT)?;
    concrete(&answer)?
        .into_iter()
        .map(|(partition, offset)| match offset {
            Some(offset) => Ok((partition, offset)),
            None => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
        })
        .collect()
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
