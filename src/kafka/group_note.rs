//! A note that a group keeps: the string which a commit may carry beside an
//! offset. Within a transaction it is there if and only if the records are.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::admin::partition_list;
use super::client::{Cluster, Complaints, KafkaFailure};
use super::group_offset;
use super::partition::TopicPartition;

/// What a group that nobody is a member of has noted about a topic. It stands
/// with partition 0, whose committed offset means nothing.
///
/// Brokers forget it some time after the last commit
/// (`offsets.retention.minutes`, a week by default). At most 4,096 bytes
/// (`offset.metadata.max.bytes`).
pub struct GroupNote {
    consumer: BaseConsumer<Complaints>,
    partition: TopicPartition,
    complaints: Complaints,
    cluster: String,
}

impl GroupNote {
    /// Reads what was committed last, also while a later transaction is open.
    /// Connects to nothing yet.
    pub fn open_to_look(cluster: &Cluster, group: &str, topic: &str) -> Result<Self, KafkaFailure> {
        Self::open_with(cluster, group, topic, "read_uncommitted")
    }

    /// Reads only once no transaction with this note is open (KIP-447): its
    /// records may be visible before the note is. Open the producer of its
    /// transactional id first, which ends a transaction whose process died.
    /// Connects to nothing yet.
    pub fn open(cluster: &Cluster, group: &str, topic: &str) -> Result<Self, KafkaFailure> {
        Self::open_with(cluster, group, topic, "read_committed")
    }

    fn open_with(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        isolation_level: &str,
    ) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation_level);
        Ok(Self {
            consumer: config
                .create_with_context(complaints.clone())
                .map_err(|error| cluster.failure(error))?,
            partition: TopicPartition::new(topic, 0),
            complaints,
            cluster: cluster.name().to_owned(),
        })
    }

    /// What was noted last, if anything was. Blocks.
    pub fn read(&self) -> Result<Option<String>, KafkaFailure> {
        self.try_read()
            .map_err(|error| self.complaints.explain(&self.cluster, error))
    }

    fn try_read(&self) -> Result<Option<String>, KafkaError> {
        let asked = partition_list([(&self.partition, Offset::Invalid)].into_iter())?;
        let answer = group_offset::fetch(&self.consumer, &asked)?;
        let text = group_offset::metadata(&answer).into_iter().next().flatten();
        Ok(text
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .filter(|text| !text.is_empty()))
    }

    /// What a transaction takes to note `text`.
    pub(super) fn to_commit(
        &self,
        text: &str,
    ) -> Result<(TopicPartitionList, ConsumerGroupMetadata), KafkaError> {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.partition.topic, self.partition.partition);
        element.set_offset(Offset::Offset(0))?;
        element.set_metadata(text);
        let group = self
            .consumer
            .group_metadata()
            .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownGroup))?;
        Ok((list, group))
    }
}
