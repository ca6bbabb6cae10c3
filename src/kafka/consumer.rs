//! The consumer group's member that reads records whole.

#![allow(
    unsafe_code,
    reason = "what the client has seen of a log is only offered by the C interface"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use tracing::{debug, warn};

use super::admin::{self, TopicInfo, Unanswered};
use super::client::{Cluster, Complaints, KafkaFailure, REQUEST_TIMEOUT};
use super::client_events::{ClientError, ClientEvent, EventQueue};
use super::commits::{CommitQueue, Committed};
use super::fetch_memory;
use super::group_offset::{self, GroupAnswer, GroupEpochs, GroupOffset};
use super::leader_epochs::LeaderEpochs;
use super::message::MessageReader;
use super::mock;
use super::partition::{Offsets, TopicPartition};
use super::probe::Probe;
use super::second_reader::{EpochEnd, SecondReader};
use super::topic_id::{self, TopicAnswers, TopicIds};
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
    /// One partition cannot be read on. It is not fetched until
    /// [`RecordConsumer::retry`] or [`RecordConsumer::read_from`].
    Stuck {
        partition: TopicPartition,
        offset: i64,
        cause: String,
    },
    /// The offset that is due in a partition is not in its log. It is not
    /// fetched until [`RecordConsumer::read_from`].
    OutOfRange {
        partition: TopicPartition,
        /// What was asked for; `None` if the group has no offset.
        offset: Option<i64>,
    },
    /// The client goes on by itself; the owner may want to tell.
    Trouble(KafkaFailure),
    /// The client cannot go on.
    Fatal(KafkaFailure),
}

/// A member of the archiver's group: committed data only, offsets committed
/// only when told so, partitions moved one by one in a rebalance.
pub struct RecordConsumer<E: ConsumerEvents> {
    // Before the consumer, so that they are dropped before it.
    commits: CommitQueue,
    queue: EventQueue,
    consumer: BaseConsumer<Context<E>>,
    probe: Probe,
    messages: MessageReader,
    config: ClientConfig,
    complaints: Complaints,
    cluster: String,
    is_mock: bool,
    topic_names: HashSet<Arc<str>>,
    /// One past the last record of each assigned partition that gave one.
    next: RefCell<BTreeMap<TopicPartition, i64>>,
    /// Partitions that are paused until they are tried again.
    held: BTreeSet<TopicPartition>,
}

struct Context<E> {
    group: String,
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
        // Of one partition, in one response: others get their share of it.
        let partition_bytes = (queue_bytes / 16).clamp(64 << 10, 1 << 20).to_string();
        let mut config = cluster.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where to read on is decided here: a corrupt batch may lead the
            // client to an offset that does not exist.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("partition.assignment.strategy", "cooperative-sticky");
        for (name, value) in [
            ("queued.max.messages.kbytes", &queue_kbytes),
            ("fetch.max.bytes", &fetch_bytes),
            ("fetch.message.max.bytes", &partition_bytes),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        let context = Context {
            group: group.to_owned(),
            events,
            epochs: Arc::default(),
            complaints: complaints.clone(),
        };
        let consumer: BaseConsumer<Context<E>> = config
            .create_with_context(context)
            .map_err(|error| cluster.failure(error))?;
        Ok(Self {
            commits: CommitQueue::new(consumer.client().native_ptr()),
            queue: EventQueue::new(consumer.client().native_ptr()),
            consumer,
            probe: Probe::new(cluster, group),
            messages: MessageReader::new(cluster),
            config,
            complaints,
            cluster: cluster.name().to_owned(),
            is_mock: cluster.is_mock(),
            topic_names: HashSet::new(),
            next: RefCell::default(),
            held: BTreeSet::new(),
        })
    }

    /// Every topic that the credential may see.
    pub fn topics(&self) -> Result<Vec<TopicInfo>, KafkaFailure> {
        self.explained(admin::topics(&self.consumer))
    }

    /// The first offset that each partition still has, of those that answer.
    pub fn starts(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        Ok(self.offsets_at(partitions, Offset::Beginning)?.0)
    }

    /// The end (the last stable offset) of each partition, of those that answer.
    pub fn ends(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        Ok(self.offsets_at(partitions, Offset::End)?.0)
    }

    /// The high watermark of each partition, of those that answer: where its log
    /// ends, records of open transactions included. Opens a client for it.
    pub fn high_watermarks(&self, partitions: &[TopicPartition]) -> Result<Offsets, KafkaFailure> {
        self.explained(admin::high_watermarks(
            &self.config,
            &self.complaints,
            partitions,
        ))
    }

    /// The partitions that no broker leads now, or that do not exist.
    pub fn without_leader(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Unanswered, KafkaFailure> {
        self.explained(admin::without_leader(&self.consumer, partitions))
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        place: Offset,
    ) -> Result<(Offsets, Unanswered), KafkaFailure> {
        self.explained(admin::offsets_at(&self.consumer, partitions, place))
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
        let places = offsets.iter();
        let places = places.map(|(partition, offset)| (partition.clone(), *offset));
        self.next.borrow_mut().extend(places);
        Ok(true)
    }

    /// What the group has committed, where it has.
    pub fn group_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<GroupAnswer, KafkaFailure> {
        let group = &self.consumer.context().group;
        self.explained(group_offset::committed(&self.consumer, group, partitions))
    }

    /// What the group has committed where it has with a leader epoch, and that
    /// epoch.
    pub fn group_epochs(&self, partitions: &[TopicPartition]) -> Result<GroupEpochs, KafkaFailure> {
        let group = &self.consumer.context().group;
        self.explained(group_offset::committed_epochs(
            &self.consumer,
            group,
            partitions,
        ))
    }

    /// Where the log of each partition ends that has this leader epoch. Asked of
    /// those that have a leader, by a client of its own.
    pub fn epoch_ends(
        &self,
        epochs: &BTreeMap<TopicPartition, i32>,
    ) -> Result<BTreeMap<TopicPartition, EpochEnd>, KafkaFailure> {
        SecondReader::with_config(&self.config, &self.cluster)?.epoch_ends(epochs)
    }

    /// What the cluster tells of these topics, each named once.
    pub fn describe(&self, topics: &[&str]) -> Result<TopicAnswers, KafkaFailure> {
        let answers = topic_id::describe(&self.consumer, topics, REQUEST_TIMEOUT);
        let mut answers = self.explained(answers)?;
        if self.is_mock {
            mock::forget_loaded(&mut answers.ids);
        }
        Ok(answers)
    }

    /// The ids that these topics have now, each named once.
    pub fn topic_ids(&self, topics: &[&str]) -> Result<TopicIds, KafkaFailure> {
        Ok(self.describe(topics)?.ids)
    }

    /// Leaves the group, which gives up all partitions, and begins again as a
    /// client that knows nothing of any topic. To be subscribed anew.
    pub fn begin_again(&mut self) -> Result<(), KafkaFailure> {
        let context = Context {
            group: self.consumer.context().group.clone(),
            events: self.consumer.context().events.clone(),
            epochs: Arc::default(),
            complaints: self.complaints.clone(),
        };
        let consumer: BaseConsumer<Context<E>> =
            self.explained(self.config.create_with_context(context))?;
        self.commits = CommitQueue::new(consumer.client().native_ptr());
        self.queue = EventQueue::new(consumer.client().native_ptr());
        self.consumer = consumer;
        self.next.get_mut().clear();
        self.held.clear();
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
        let event = self
            .queue
            .poll(timeout, &self.messages, &mut self.topic_names);
        fetch_memory::polled(matches!(event, Ok(None)));
        match event {
            Err(error) => Polled::Fatal(super::client::failure(&self.cluster, &error, None)),
            Ok(None | Some(ClientEvent::Other)) => Polled::Nothing,
            Ok(Some(ClientEvent::Log {
                level,
                facility,
                message,
            })) => {
                self.complaints.log(level, &facility, &message);
                Polled::Nothing
            }
            Ok(Some(ClientEvent::Rebalance(code, mut list))) => {
                let context = self.consumer.context().clone();
                context.rebalance(&self.consumer, code, &mut list);
                let is_assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
                for element in list.elements() {
                    let partition = TopicPartition::new(element.topic(), element.partition());
                    self.held.remove(&partition);
                    match element.offset() {
                        Offset::Offset(begin) if is_assigned => {
                            self.next.get_mut().insert(partition, begin);
                        }
                        _ => {
                            self.next.get_mut().remove(&partition);
                        }
                    }
                }
                Polled::Nothing
            }
            Ok(Some(ClientEvent::Error(error))) => self.error(error),
            Ok(Some(ClientEvent::Record(record, leader_epoch))) => {
                self.record(record, leader_epoch)
            }
        }
    }

    /// A record whose offset the log cannot have is the sign of a corrupt batch:
    /// no checksum covers a batch's first offset.
    fn record(&mut self, record: Record, leader_epoch: i32) -> Polled {
        let partition = TopicPartition {
            topic: record.topic.clone(),
            partition: record.partition,
        };
        let due = self.next.borrow().get(&partition).copied();
        if due != Some(record.offset)
            && let Some(end) = self.known_end(&partition)
            && record.offset >= end
        {
            let offset = due.unwrap_or(record.offset);
            let cause = format!(
                "a batch says that its record has offset {}, but the log ends at {end}",
                record.offset
            );
            return self.stuck(partition, offset, cause);
        }
        let epochs = &self.consumer.context().epochs;
        epochs.note(&partition, record.offset, leader_epoch);
        self.next.get_mut().insert(partition, record.offset + 1);
        Polled::Record(record)
    }

    /// The high watermark that the last fetch of a partition told.
    fn known_end(&self, partition: &TopicPartition) -> Option<i64> {
        let known = super::client_events::known_end(
            self.consumer.client().native_ptr(),
            &partition.topic,
            partition.partition,
        );
        known.filter(|end| *end >= 0)
    }

    /// The next offset to read of a partition, as far as it is known: after its
    /// last record, or where its reading was begun.
    fn due(&self, partition: &TopicPartition) -> Option<i64> {
        if let Some(next) = self.next.borrow().get(partition) {
            return Some(*next);
        }
        let assignment = self.consumer.assignment().ok()?;
        let element = assignment.find_partition(&partition.topic, partition.partition)?;
        match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    fn error(&mut self, error: ClientError) -> Polled {
        use RDKafkaErrorCode as Code;
        self.complaints
            .error(KafkaError::Global(error.code), &error.reason);
        if let Some(refusal) = self.complaints.refusal(&self.cluster) {
            return Polled::Fatal(match error.code {
                Code::GroupAuthorizationFailed => self.at_group(refusal),
                _ => refusal,
            });
        }
        let global = KafkaError::MessageConsumption(error.code);
        if error.is_fatal {
            return Polled::Fatal(self.complaints.explain(&self.cluster, global));
        }
        let Some((partition, offset)) = error.place else {
            return Polled::Trouble(super::client::failure(&self.cluster, &global, None));
        };
        match error.code {
            Code::PartitionEOF => Polled::Nothing,
            Code::AutoOffsetReset => {
                let due = self.next.borrow().get(&partition).copied();
                match due.filter(|due| offset > *due) {
                    // A corrupt batch has led the client there.
                    Some(due) => {
                        let cause = format!(
                            "a batch leads to offset {offset}, which the log does not have"
                        );
                        match self.read_from(&partition, Some(due)) {
                            Ok(()) => self.stuck(partition, due, cause),
                            Err(failure) => Polled::Trouble(failure),
                        }
                    }
                    None => Polled::OutOfRange {
                        partition,
                        offset: (offset >= 0).then_some(offset),
                    },
                }
            }
            // The client asks for the topic or its leader again.
            Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::ReplicaNotAvailable
            | Code::RequestTimedOut
            | Code::OperationTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown => {
                Polled::Trouble(super::client::failure(&self.cluster, &global, None))
            }
            code => {
                let offset = offset.max(self.due(&partition).unwrap_or_default());
                let cause = match code {
                    Code::TopicAuthorizationFailed => {
                        "no read access: grant the user READ on the topic".to_owned()
                    }
                    code => format!("{code}: {}", error.reason),
                };
                self.stuck(partition, offset, cause)
            }
        }
    }

    /// Fetches no more of a partition. What was fetched after its last record is
    /// dropped: the client may have passed over what it could not read.
    fn stuck(&mut self, partition: TopicPartition, offset: i64, cause: String) -> Polled {
        let paused = one(&partition, Offset::Invalid)
            .and_then(|list| self.consumer.pause(&list))
            .and_then(|()| match self.next.borrow().get(&partition) {
                // The client's own position may be behind a record that was refused.
                Some(due) => one(&partition, Offset::Offset(*due))
                    .and_then(|list| self.consumer.seek_partitions(list, REQUEST_TIMEOUT))
                    .map(drop),
                None => Ok(()),
            });
        match self.explained(paused) {
            Ok(()) => {
                self.held.insert(partition.clone());
                Polled::Stuck {
                    partition,
                    offset,
                    cause,
                }
            }
            Err(failure) => Polled::Trouble(failure),
        }
    }

    /// Fetches a partition again that was stuck.
    pub fn retry(&mut self, partition: &TopicPartition) -> Result<(), KafkaFailure> {
        self.held.remove(partition);
        let list = self.explained(one(partition, Offset::Invalid))?;
        self.explained(self.consumer.resume(&list))
    }

    /// Reads an assigned partition from this offset on (`None`: from its start),
    /// also where the client has given up reading it. Nothing happens if it is not assigned any more.
    pub fn read_from(
        &mut self,
        partition: &TopicPartition,
        offset: Option<i64>,
    ) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        if !partitions(&assignment).contains(partition) {
            return Ok(());
        }
        self.held.remove(partition);
        match offset {
            Some(offset) => self.next.get_mut().insert(partition.clone(), offset),
            None => self.next.get_mut().remove(partition),
        };
        let begin = offset.map_or(Offset::Beginning, Offset::Offset);
        let list = self.explained(one(partition, begin))?;
        self.explained(self.consumer.incremental_unassign(&list))?;
        self.explained(self.consumer.incremental_assign(&list))?;
        // It stays paused over that, if it was.
        self.explained(self.consumer.resume(&list))
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

    /// Says whether the caller waits for memory before it polls again, so that less
    /// is decompressed meanwhile.
    pub fn wait_for_memory(&self, waits: bool) {
        fetch_memory::full(waits);
    }

    /// Stops fetching from all assigned partitions; polling goes on, so that
    /// the group keeps this member.
    pub fn pause(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        self.explained(self.consumer.pause(&assignment))
    }

    /// Undoes [`RecordConsumer::pause`]; what is stuck stays paused.
    pub fn resume(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        let assigned = partitions(&assignment);
        let resumed = assigned
            .iter()
            .filter(|partition| !self.held.contains(partition))
            .map(|partition| (partition, Offset::Invalid));
        let list = self.explained(admin::partition_list(resumed))?;
        self.explained(self.consumer.resume(&list))
    }

    fn explained<T>(&self, result: KafkaResult<T>) -> Result<T, KafkaFailure> {
        result.map_err(|error| match error.rdkafka_error_code() {
            // Only a time-out hides its cause.
            Some(
                RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure,
            ) => self.complaints.explain(&self.cluster, error),
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
                self.at_group(super::client::failure(&self.cluster, &error, None))
            }
            _ => super::client::failure(&self.cluster, &error, None),
        })
    }

    fn at_group(&self, failure: KafkaFailure) -> KafkaFailure {
        failure.at(&format!("group {:?}", self.consumer.context().group))
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
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assigns = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => true,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => false,
            code => {
                let error = KafkaError::Rebalance(code.into());
                warn!(%error, "rebalance failed, the client retries");
                return;
            }
        };
        let done = match assigns {
            true => {
                begin_at_committed(consumer, &self.group, list);
                // The client keeps a partition paused that was paused when it was
                // revoked.
                let assigned = consumer.incremental_assign(list);
                assigned.and_then(|()| consumer.resume(list))
            }
            false => {
                self.pre_rebalance(consumer, &Rebalance::Revoke(list));
                consumer.incremental_unassign(list)
            }
        };
        if let Err(error) = done {
            warn!(%error, assigns, "rebalance failed, the client retries");
        }
        if assigns {
            self.post_rebalance(consumer, &Rebalance::Assign(list));
        }
    }

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
            Rebalance::Error(_) => {}
        }
    }
}

/// Where reading begins: at the group's offset, or at the start of the log if it
/// has none. A partition whose offset is not told now is asked for by the client.
fn begin_at_committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    list: &mut TopicPartitionList,
) {
    let answer = match group_offset::committed(consumer, group, &partitions(list)) {
        Ok(answer) => answer,
        Err(error) => return debug!(%error, "group offsets not read on assignment"),
    };
    for partition in partitions(list) {
        let begin = match answer.offsets.get(&partition) {
            Some(committed) => Offset::Offset(committed.offset),
            None if answer.unanswered.contains_key(&partition) => continue,
            None => Offset::Beginning,
        };
        if let Err(error) = list.set_partition_offset(&partition.topic, partition.partition, begin)
        {
            debug!(%error, "first offset not set on assignment");
        }
    }
}

fn one(partition: &TopicPartition, offset: Offset) -> KafkaResult<TopicPartitionList> {
    admin::partition_list(std::iter::once((partition, offset)))
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
