//! A member of a group that takes records one after another, of all topics
//! whose names match a pattern.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message};
use tracing::{info, warn};

use super::admin;
use super::client::{self, Cluster, Complaints, KafkaFailure};
use super::consumer::Polled;
use super::group_offset;
use super::message::MessageReader;
use super::partition::{Offsets, TopicPartition};
use crate::record::Record;

/// What librdkafka does unless the configuration says otherwise: new topics are
/// found within seconds, what was taken is committed soon.
const DEFAULTS: [(&str, &str); 3] = [
    ("topic.metadata.refresh.interval.ms", "5000"),
    ("auto.commit.interval.ms", "200"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

/// Which records.
#[derive(Clone, Debug)]
pub struct InboxConfig {
    pub group: String,
    /// A regular expression that begins with `^`; what a topic's name begins
    /// with must match it.
    pub topics: String,
    /// Whether a group that has never committed anything begins at the end of
    /// the topics that are there, and not at their beginning.
    pub from_end: bool,
    /// librdkafka's, for this client alone.
    pub properties: BTreeMap<String, String>,
}

/// Reads committed data only. What was not [taken](Inbox::take) is read again
/// by whoever owns the partition next.
pub struct Inbox {
    consumer: BaseConsumer<Context>,
    messages: MessageReader,
    cluster: String,
}

struct Context {
    complaints: Complaints,
    /// Partitions that were given up since the owner last asked.
    revoked: Mutex<HashSet<TopicPartition>>,
    /// Partitions that were assigned, and of which it is not known yet whether
    /// the group has committed anything.
    assigned: Mutex<HashSet<TopicPartition>>,
}

impl Inbox {
    /// Errors: the properties are wrong. Asks nobody.
    pub fn check(cluster: &Cluster, config: &InboxConfig) -> Result<(), KafkaFailure> {
        Self::of(cluster, config).map(drop)
    }

    /// Joins the group. Errors: the properties are wrong; the cluster does not
    /// answer, where the group's beginning has to be looked up.
    pub fn open(cluster: &Cluster, config: &InboxConfig) -> Result<Self, KafkaFailure> {
        let inbox = Self::of(cluster, config)?;
        if config.from_end {
            inbox.explained(inbox.begin_at_end(&config.topics))?;
        }
        inbox.explained(inbox.consumer.subscribe(&[&config.topics]))?;
        Ok(inbox)
    }

    /// Not in the group yet.
    fn of(cluster: &Cluster, config: &InboxConfig) -> Result<Self, KafkaFailure> {
        let context = Context {
            complaints: Complaints::default(),
            revoked: Mutex::default(),
            assigned: Mutex::default(),
        };
        let consumer = client_config(cluster, config).create_with_context(context);
        Ok(Self {
            consumer: consumer.map_err(|error| cluster.failure(error))?,
            messages: MessageReader::new(cluster),
            cluster: cluster.name().to_owned(),
        })
    }

    /// The next record. Rebalances happen within; see [`Inbox::revoked`].
    pub fn poll(&self, timeout: Duration) -> Polled {
        let polled = self.consumer.poll(timeout);
        self.remember_beginnings();
        match polled {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Polled::Nothing,
            Some(Ok(message)) => match self.messages.read(&message, message.topic().into()) {
                Ok(Some(record)) => Polled::Record(record),
                Ok(None) => Polled::Nothing,
                Err(failure) => Polled::Fatal(failure),
            },
            Some(Err(error)) => self.trouble(error),
        }
    }

    /// The record, and all before it of its partition, are done with. They are
    /// committed within `auto.commit.interval.ms`, and at the end.
    pub fn take(&self, record: &Record) -> Result<(), KafkaFailure> {
        let stored = self
            .consumer
            .store_offset(&record.topic, record.partition, record.offset);
        self.explained(stored)
    }

    /// Partitions that were given up since this was last asked: what is held of
    /// them belongs to somebody else.
    pub fn revoked(&self) -> HashSet<TopicPartition> {
        std::mem::take(&mut *lock(&self.consumer.context().revoked))
    }

    /// Stops fetching; polling goes on, so that the group keeps this member.
    pub fn pause(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        self.explained(self.consumer.pause(&assignment))
    }

    /// Undoes [`Inbox::pause`].
    pub fn resume(&self) -> Result<(), KafkaFailure> {
        let assignment = self.explained(self.consumer.assignment())?;
        self.explained(self.consumer.resume(&assignment))
    }

    /// Commits where the group begins with partitions that are new to it: a group
    /// that has committed nothing would begin at the end again when it comes
    /// back, and pass over what it had not taken.
    fn remember_beginnings(&self) {
        let assigned = std::mem::take(&mut *lock(&self.consumer.context().assigned));
        if assigned.is_empty() {
            return;
        }
        if let Err(error) = self.commit_beginnings(assigned.iter().cloned().collect()) {
            warn!("where the group begins was not committed ({error}); trying again");
            lock(&self.consumer.context().assigned).extend(assigned);
        }
    }

    fn commit_beginnings(&self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        let asked = admin::partition_list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        let committed = group_offset::fetch(&self.consumer, &asked)?;
        let new: Vec<TopicPartition> = committed
            .elements()
            .iter()
            .filter(|element| !is_known(element.offset()))
            .map(|element| TopicPartition::new(element.topic(), element.partition()))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let starts = admin::all_offsets_at(&self.consumer, &new, Offset::Beginning)?;
        self.consumer.commit(&offsets(&starts)?, CommitMode::Sync)
    }

    /// Commits the end of each topic that is there, where the group has never
    /// committed anything: from then on it is known what it has read.
    fn begin_at_end(&self, pattern: &str) -> KafkaResult<()> {
        let Ok(pattern) = regex::Regex::new(pattern) else {
            return Ok(());
        };
        let topics = admin::topics(&self.consumer)?;
        let partitions: Vec<TopicPartition> = topics
            .iter()
            .filter(|topic| pattern.is_match(&topic.name))
            .flat_map(|topic| {
                let of = |partition: &i32| TopicPartition::new(&topic.name, *partition);
                topic.partitions.iter().map(of).collect::<Vec<_>>()
            })
            .collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let asked = admin::partition_list(partitions.iter().map(|p| (p, Offset::Invalid)))?;
        let committed = group_offset::fetch(&self.consumer, &asked)?;
        if committed.elements().iter().any(|e| is_known(e.offset())) {
            return Ok(());
        }
        let ends = admin::all_offsets_at(&self.consumer, &partitions, Offset::End)?;
        match self.consumer.commit(&offsets(&ends)?, CommitMode::Sync) {
            Ok(()) => info!("a new group: it begins at the end of what is there"),
            // Others are in the group already, who know where they are.
            Err(error) => warn!("the group's beginning is left to its other members: {error}"),
        }
        Ok(())
    }

    fn trouble(&self, error: KafkaError) -> Polled {
        let complaints = &self.consumer.context().complaints;
        if let Some(refusal) = complaints.refusal(&self.cluster) {
            return Polled::Fatal(refusal);
        }
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                Polled::Fatal(complaints.explain(&self.cluster, error))
            }
            // No topic matches the pattern yet.
            error
                if error.rdkafka_error_code()
                    == Some(RDKafkaErrorCode::UnknownTopicOrPartition) =>
            {
                Polled::Nothing
            }
            error => Polled::Trouble(client::failure(&self.cluster, &error, None)),
        }
    }

    fn explained<T>(&self, result: KafkaResult<T>) -> Result<T, KafkaFailure> {
        let complaints = &self.consumer.context().complaints;
        result.map_err(|error| complaints.explain(&self.cluster, error))
    }
}

fn client_config(cluster: &Cluster, inbox: &InboxConfig) -> ClientConfig {
    let mut config = cluster.client_config();
    for (name, value) in DEFAULTS {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    for (name, value) in &inbox.properties {
        config.set(name, value);
    }
    config
        .set("group.id", &inbox.group)
        // What is committed is what was taken, and nothing else.
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        // A topic that turns up later is read from its beginning.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed");
    config
}

/// Whether it is an offset that was committed.
fn is_known(place: Offset) -> bool {
    matches!(place, Offset::Offset(_))
}

fn offsets(offsets: &Offsets) -> KafkaResult<TopicPartitionList> {
    let places = offsets
        .iter()
        .map(|(p, offset)| (p, Offset::Offset(*offset)));
    admin::partition_list(places)
}

fn lock(set: &Mutex<HashSet<TopicPartition>>) -> MutexGuard<'_, HashSet<TopicPartition>> {
    set.lock().unwrap_or_else(|lock| lock.into_inner())
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let given_up = partitions(list);
            lock(&self.assigned).retain(|partition| !given_up.contains(partition));
            lock(&self.revoked).extend(given_up);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            lock(&self.assigned).extend(partitions(list));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            warn!("offsets were not committed ({error}): their records may come again");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    elements
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}
