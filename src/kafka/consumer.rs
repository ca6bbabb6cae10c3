//! The consumer group's member that reads records whole.

#![allow(
    unsafe_code,
    reason = "a record's parts can only be read exactly through the C interface"
)]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, Statistics, TopicPartitionList};
use rdkafka_sys as rd;
use tracing::warn;

use super::admin::{self, TopicInfo};
use super::client::{Cluster, Complaints, KafkaFailure};
use super::commits::{CommitQueue, Committed};
use super::headers;
use super::partition::{Offsets, TopicPartition};
use crate::record::{Record, TimestampType};

/// How often it is looked where the ends are.
const STATISTICS_INTERVAL_MS: &str = "200";

/// The last commit before partitions are given up may take this long.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the consumer tells its owner, from within [`RecordConsumer::poll`].
pub trait ConsumerEvents: Send + Sync + 'static {
    /// These partitions are read from now on.
    fn assigned(&self, partitions: &[TopicPartition]);

    /// These partitions are given up when this returns. The answer is
    /// committed for them before; nothing can be committed when the assignment
    /// was `lost`.
    fn revoked(&self, partitions: &[TopicPartition], lost: bool) -> Vec<(TopicPartition, i64)>;
}

/// What one [`RecordConsumer::poll`] brought.
pub enum Polled {
    Record(Record),
    /// Nothing within the time given, or an event that was handled.
    Nothing,
    /// The client goes on by itself; the owner may want to tell.
    Trouble(KafkaFailure),
    /// The client cannot go on.
    Fatal(KafkaFailure),
}

/// A member of the archiver's group: committed data only, offsets committed
/// only when told so, partitions moved one by one in a rebalance.
pub struct RecordConsumer<E: ConsumerEvents> {
    // Before the consumer, so that it is dropped before it.
    commits: CommitQueue,
    consumer: BaseConsumer<Context<E>>,
    complaints: Complaints,
    cluster: String,
    topic_names: HashSet<Arc<str>>,
}

struct Context<E> {
    events: Arc<E>,
    complaints: Complaints,
    /// Of the last statistics: next offset to fetch of each partition that has
    /// nothing fetched ahead.
    fetched_to: Mutex<Offsets>,
}

impl<E: ConsumerEvents> RecordConsumer<E> {
    /// `queue_bytes` is what the client may fetch ahead, over all partitions.
    /// `watch_ends` makes [`RecordConsumer::fetched_to`] work.
    pub fn open(
        cluster: &Cluster,
        group: &str,
        queue_bytes: usize,
        watch_ends: bool,
        events: Arc<E>,
    ) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let queue_kbytes = (queue_bytes / 1024).max(1).to_string();
        let fetch_bytes = (queue_bytes / 4).max(1 << 20).to_string();
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("partition.assignment.strategy", "cooperative-sticky");
        for (name, value) in [
            ("queued.max.messages.kbytes", &queue_kbytes),
            ("fetch.max.bytes", &fetch_bytes),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        if watch_ends {
            config.set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
        }
        let context = Context {
            events,
            complaints: complaints.clone(),
            fetched_to: Mutex::default(),
        };
        let consumer: BaseConsumer<Context<E>> = config
            .create_with_context(context)
            .map_err(|error| cluster.failure(error))?;
        Ok(Self {
            commits: CommitQueue::new(consumer.client().native_ptr()),
            consumer,
            complaints,
            cluster: cluster.name().to_owned(),
            topic_names: HashSet::new(),
        })
    }

    /// Every topic that the credential may see.
    pub fn topics(&self) -> Result<Vec<TopicInfo>, KafkaFailure> {
        self.explained(admin::topics(&self.consumer))
    }

    /// The first offset that each partition still has.
    pub fn starts(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        self.explained(admin::offsets_at(
            &self.consumer,
            partitions,
            Offset::Beginning,
        ))
    }

    /// The end (the last stable offset) of each partition.
    pub fn ends(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        self.explained(admin::offsets_at(&self.consumer, partitions, Offset::End))
    }

    /// What the group has committed, where it has.
    pub fn group_offsets(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        self.explained(admin::committed(&self.consumer, partitions))
    }

    /// Reads these topics from now on, and no others.
    pub fn subscribe(&self, topics: &[String]) -> Result<(), KafkaFailure> {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if topics.is_empty() {
            self.consumer.unsubscribe();
            return Ok(());
        }
        self.explained(self.consumer.subscribe(&topics))
    }

    /// The next record. Rebalances and commit results reach the events from
    /// within.
    pub fn poll(&mut self, timeout: Duration) -> Polled {
        let message = match self.consumer.poll(timeout) {
            None => return Polled::Nothing,
            Some(Err(error)) => return self.trouble(error),
            Some(Ok(message)) => message,
        };
        let topic = match self.topic_names.get(message.topic()) {
            Some(known) => known.clone(),
            None => {
                let name: Arc<str> = message.topic().into();
                self.topic_names.insert(name.clone());
                name
            }
        };
        Polled::Record(read_record(&message, topic))
    }

    fn trouble(&self, error: KafkaError) -> Polled {
        if let Some(refusal) = self.complaints.refusal(&self.cluster) {
            return Polled::Fatal(refusal);
        }
        match error {
            KafkaError::PartitionEOF(_) => Polled::Nothing,
            KafkaError::MessageConsumptionFatal(_) => {
                Polled::Fatal(self.complaints.explain(&self.cluster, error))
            }
            error => Polled::Trouble(super::client::failure(&self.cluster, &error, None)),
        }
    }

    /// For each assigned partition of which everything that was fetched has been
    /// given by [`RecordConsumer::poll`]: the next offset to fetch. Positions in
    /// the log, which count what no record stands for; as of the last
    /// statistics.
    pub fn fetched_to(&self) -> Offsets {
        let fetched = &self.consumer.context().fetched_to;
        fetched
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .clone()
    }

    /// Starts a commit; its result comes from [`RecordConsumer::committed`].
    pub fn commit(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), KafkaFailure> {
        let list = self.explained(offset_list(offsets))?;
        self.explained(self.commits.start(&list))
    }

    /// The result of a commit, if one has come.
    pub fn committed(&self) -> Option<Committed> {
        self.commits.next(Duration::ZERO)
    }

    /// Stops fetching from all assigned partitions; polling goes on, so that
    /// the group keeps this member.
    pub fn pause(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        self.explained(self.consumer.pause(&assignment))
    }

    /// Undoes [`RecordConsumer::pause`].
    pub fn resume(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        self.explained(self.consumer.resume(&assignment))
    }

    fn explained<T>(&self, result: KafkaResult<T>) -> Result<T, KafkaFailure> {
        result.map_err(|error| match error.rdkafka_error_code() {
            // Only a time-out hides its cause.
            Some(
                RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure,
            ) => self.complaints.explain(&self.cluster, error),
            _ => super::client::failure(&self.cluster, &error, None),
        })
    }
}

pub(super) fn read_record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    let raw = message.ptr();
    let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is alive as long as `message`; key and payload are
    // null or valid for their lengths.
    unsafe {
        let timestamp = rd::rd_kafka_message_timestamp(raw, &mut kind);
        Record {
            topic,
            partition: (*raw).partition,
            offset: (*raw).offset,
            timestamp,
            timestamp_type: timestamp_type(kind),
            key: headers::bytes((*raw).key, (*raw).key_len),
            value: headers::bytes((*raw).payload, (*raw).len),
            headers: headers::read(raw),
        }
    }
}

fn timestamp_type(kind: rd::rd_kafka_timestamp_type_t) -> TimestampType {
    use rd::rd_kafka_timestamp_type_t as kinds;
    match kind {
        kinds::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => TimestampType::None,
        kinds::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampType::Create,
        kinds::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimestampType::LogAppend,
    }
}

impl<E: ConsumerEvents> ClientContext for Context<E> {
    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let mut fetched = BTreeMap::new();
        for (topic, of_topic) in &statistics.topics {
            for (&number, partition) in &of_topic.partitions {
                if number >= 0 && partition.fetchq_cnt == 0 && partition.next_offset >= 0 {
                    fetched.insert(TopicPartition::new(topic, number), partition.next_offset);
                }
            }
        }
        *self
            .fetched_to
            .lock()
            .unwrap_or_else(|lock| lock.into_inner()) = fetched;
    }
}

impl<E: ConsumerEvents> ConsumerContext for Context<E> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else {
            return;
        };
        let lost = consumer.assignment_lost();
        let offsets = self.events.revoked(&partitions(list), lost);
        if lost || offsets.is_empty() {
            return;
        }
        let queue = CommitQueue::new(consumer.client().native_ptr());
        let result = match offset_list(&offsets).and_then(|list| queue.start(&list)) {
            Ok(()) => queue
                .next(LAST_COMMIT_TIMEOUT)
                .map_or(Some("no answer".to_owned()), |result| result.error),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = result {
            warn!("offsets were not committed ({error}): their records are read again");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.events.assigned(&partitions(list)),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => warn!(%error, "a rebalance failed; the client tries again"),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}

fn offset_list(offsets: &[(TopicPartition, i64)]) -> KafkaResult<TopicPartitionList> {
    admin::partition_list(
        offsets
            .iter()
            .map(|(partition, offset)| (partition, Offset::Offset(*offset))),
    )
}
