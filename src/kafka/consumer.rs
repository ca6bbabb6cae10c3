//! The consumer group's member that reads records whole.

#![allow(
    unsafe_code,
    reason = "what the client has seen of a log is only offered by the C interface"
)]

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use tracing::warn;

use super::admin::{self, TopicInfo};
use super::client::{Cluster, Complaints, KafkaFailure, REQUEST_TIMEOUT};
use super::commits::{CommitQueue, Committed};
use super::fetch_memory;
use super::group_offset::{self, GroupOffset, GroupOffsets};
use super::leader_epochs::LeaderEpochs;
use super::message::MessageReader;
use super::partition::{Offsets, TopicPartition};
use super::probe::Probe;
use super::second_reader::{EpochEnd, SecondReader};
use super::topic_id::{self, TopicIds};
use crate::record::Record;

/// A commit that is waited for may take this long.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the consumer tells its owner, from within [`RecordConsumer::poll`].
pub trait ConsumerEvents: Send + Sync + 'static {
    /// These partitions are read from now on.
    fn assigned(&self, partitions: &[TopicPartition]);

    /// These partitions are given up when this returns. The answer is
    /// committed for them before; nothing can be committed when the assignment
    /// was `lost`.
    fn revoked(
        &self,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Vec<(TopicPartition, GroupOffset)>;
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
    probe: Probe,
    messages: MessageReader,
    config: ClientConfig,
    complaints: Complaints,
    cluster: String,
    topic_names: HashSet<Arc<str>>,
}

struct Context<E> {
    events: Arc<E>,
    epochs: Arc<LeaderEpochs>,
    complaints: Complaints,
}

impl<E: ConsumerEvents> RecordConsumer<E> {
    /// `queue_bytes` is what the client may fetch ahead, over all partitions.
    pub fn open(
        cluster: &Cluster,
        group: &str,
        queue_bytes: usize,
        events: Arc<E>,
    ) -> Result<Self, KafkaFailure> {
        // Four times as much is held in all; the rest is what a process is besides.
        fetch_memory::bound(queue_bytes.saturating_mul(4).saturating_add(32 << 20));
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
        let context = Context {
            events,
            epochs: Arc::default(),
            complaints: complaints.clone(),
        };
        let consumer: BaseConsumer<Context<E>> = config
            .create_with_context(context)
            .map_err(|error| cluster.failure(error))?;
        Ok(Self {
            commits: CommitQueue::new(consumer.client().native_ptr()),
            consumer,
            probe: Probe::new(cluster, group),
            messages: MessageReader::new(cluster),
            config,
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

    /// The offset of the first record of a time or later, ms since 1970-01-01
    /// UTC, in each partition; its end where there is none.
    pub fn at_time(
        &self,
        partitions: &[TopicPartition],
        time: i64,
    ) -> Result<Offsets, KafkaFailure> {
        let mut offsets = self.ends(partitions)?;
        let found = self.explained(admin::offsets_at_time(&self.consumer, partitions, time))?;
        offsets.extend(found);
        Ok(offsets)
    }

    /// Goes on reading assigned partitions from these offsets; whatever was
    /// fetched of them before is forgotten. `false`: not all of them, as the
    /// client has not begun with one yet.
    pub fn seek(&self, offsets: &Offsets) -> Result<bool, KafkaFailure> {
        if offsets.is_empty() {
            return Ok(true);
        }
        let places = offsets
            .iter()
            .map(|(partition, offset)| (partition, Offset::Offset(*offset)));
        let sought = admin::partition_list(places)
            .and_then(|list| self.consumer.seek_partitions(list, REQUEST_TIMEOUT));
        for element in self.explained(sought)?.elements() {
            match element.error() {
                Err(error) if is_too_early(&error) => return Ok(false),
                sought => self.explained(sought)?,
            }
        }
        Ok(true)
    }

    /// What the group has committed, where it has.
    pub fn group_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<GroupOffsets, KafkaFailure> {
        self.explained(group_offset::committed(&self.consumer, partitions))
    }

    /// What the group has committed where it has with a leader epoch, and that
    /// epoch.
    pub fn group_epochs(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, (GroupOffset, i32)>, KafkaFailure> {
        self.explained(group_offset::committed_epochs(&self.consumer, partitions))
    }

    /// Where the log of each partition ends that has this leader epoch. Asked of
    /// those that have a leader, by a client of its own.
    pub fn epoch_ends(
        &self,
        epochs: &BTreeMap<TopicPartition, i32>,
    ) -> Result<BTreeMap<TopicPartition, EpochEnd>, KafkaFailure> {
        SecondReader::with_config(&self.config, &self.cluster)?.epoch_ends(epochs)
    }

    /// The ids that these topics have now, each named once.
    pub fn topic_ids(&self, topics: &[&str]) -> Result<TopicIds, KafkaFailure> {
        self.explained(topic_id::ask(&self.consumer, topics, REQUEST_TIMEOUT))
    }

    /// Leaves the group, which gives up all partitions, and begins again as a
    /// client that knows nothing of any topic. To be subscribed anew.
    pub fn begin_again(&mut self) -> Result<(), KafkaFailure> {
        let context = Context {
            events: self.consumer.context().events.clone(),
            epochs: Arc::default(),
            complaints: self.complaints.clone(),
        };
        let consumer: BaseConsumer<Context<E>> =
            self.explained(self.config.create_with_context(context))?;
        self.commits = CommitQueue::new(consumer.client().native_ptr());
        self.consumer = consumer;
        Ok(())
    }

    /// The log start of a partition that is read, as the last fetch response
    /// said; asks nobody.
    pub fn log_start_seen(&self, partition: &TopicPartition) -> Option<i64> {
        // SAFETY: the client lives as long as the consumer.
        unsafe { super::log_start::last_seen(self.consumer.client().native_ptr(), partition).0 }
    }

    /// As [`RecordConsumer::log_start_seen`], the high watermark.
    pub fn high_watermark_seen(&self, partition: &TopicPartition) -> Option<i64> {
        // SAFETY: the client lives as long as the consumer.
        unsafe { super::log_start::last_seen(self.consumer.client().native_ptr(), partition).1 }
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
        let polled = self.consumer.poll(timeout);
        fetch_memory::polled(polled.is_none());
        let message = match polled {
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
        let partition = TopicPartition {
            topic: topic.clone(),
            partition: message.partition(),
        };
        self.consumer.context().epochs.read(&message, &partition);
        match self.messages.read(&message, topic) {
            Ok(Some(record)) => Polled::Record(record),
            Ok(None) => Polled::Nothing,
            Err(failure) => Polled::Fatal(failure),
        }
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

    /// Those of the partitions whose range of offsets holds no record to read:
    /// nothing but control records, or what compaction left out.
    pub fn empty(
        &self,
        ranges: &[(TopicPartition, Range<i64>)],
    ) -> Result<Vec<TopicPartition>, KafkaFailure> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        self.explained(self.probe.empty(ranges))
    }

    /// Starts a commit; its result comes from [`RecordConsumer::committed`].
    pub fn commit(&self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<(), KafkaFailure> {
        let list = self.explained(group_offset::to_commit(offsets))?;
        self.consumer.context().epochs.add_to(&list);
        self.explained(self.commits.start(&list))
    }

    /// Commits, and waits for the result. The error is why not.
    pub fn commit_now(&self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<(), String> {
        commit_now(&self.consumer, offsets)
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

impl<E: ConsumerEvents> ClientContext for Context<E> {
    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
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
        if let Err(error) = commit_now(consumer, &offsets) {
            warn!("offsets were not committed ({error}): their records are read again");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let assigned = partitions(list);
                self.epochs.forget(&assigned);
                self.events.assigned(&assigned);
            }
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

/// The client has not begun with a partition, or is just about to.
fn is_too_early(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::Outdated)
    )
}

fn commit_now<E: ConsumerEvents>(
    consumer: &BaseConsumer<Context<E>>,
    offsets: &[(TopicPartition, GroupOffset)],
) -> Result<(), String> {
    let queue = CommitQueue::new(consumer.client().native_ptr());
    group_offset::to_commit(offsets)
        .and_then(|list| {
            consumer.context().epochs.add_to(&list);
            queue.start(&list)
        })
        .map_err(|error| error.to_string())?;
    match queue.next(COMMIT_TIMEOUT) {
        None => Err("no answer".to_owned()),
        Some(result) => result.error.map_or(Ok(()), Err),
    }
}
