//! One type's way onto its topic: transactions, and the position after each.
//!
//! The order of effects is: what cannot be sent is in the quarantine, the
//! transaction is committed, the position is written. Whoever comes after a
//! crash between the last two finds in the messages' headers what the table
//! misses; the transactional id keeps whoever came before from committing more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use uuid::Uuid;

use super::error::PublishError;
use super::message::{self, Message};
use super::positions::{Claimed, Mark, Positions, Progress, Sent, Standing};
use crate::config::{TopicConfig, is_topic_name};
use crate::entities::{EntityType, Position, TypeId};
use crate::kafka::{
    Cluster, Extent, KafkaFailure, TailReader, TopicAdmin, TransactionFailure,
    TransactionalProducer,
};
use crate::record::Record;

/// A new topic has its leaders within a second or two.
const LEADER_TRIES: usize = 10;
const LEADER_PAUSE: Duration = Duration::from_millis(200);

/// The Kafka side of all types.
pub(super) struct Outlet {
    cluster: Arc<Cluster>,
    tails: TailReader,
    topics: TopicAdmin,
}

impl Outlet {
    pub fn open(cluster: &Arc<Cluster>) -> Result<Self, KafkaFailure> {
        Ok(Self {
            cluster: cluster.clone(),
            tails: TailReader::open(cluster)?,
            topics: TopicAdmin::open(cluster)?,
        })
    }

    /// The topic's partitions; made where it is missing.
    pub fn partitions(&self, topic: &str, new: &TopicConfig) -> Result<Vec<i32>, KafkaFailure> {
        let mut made = false;
        loop {
            match self.tails.partitions(topic)? {
                Some(partitions) if !partitions.is_empty() => return Ok(partitions),
                _ if made => std::thread::sleep(Duration::from_millis(50)),
                _ => {
                    if self.topics.create(topic, new)? {
                        info!(topic, partitions = new.partitions, "topic made");
                    }
                    made = true;
                }
            }
        }
    }

    /// Takes the type over: nobody who published it before can commit anything
    /// more.
    pub fn fence(&self, of: &TypeId) -> Result<TransactionalProducer, KafkaFailure> {
        TransactionalProducer::open(&self.cluster, &transactional_id(of))
    }

    /// Removes a topic, if it exists.
    pub fn remove_topic(&self, topic: &str) -> Result<(), KafkaFailure> {
        self.topics.delete(topic)
    }
}

/// One for each type, whoever publishes it.
fn transactional_id(of: &TypeId) -> String {
    format!("archive_ingest.producer.{}.{}", of.realm, of.schema_id)
}

/// The right to write to a type's topic, until somebody else takes it.
pub(super) struct Publisher {
    producer: TransactionalProducer,
    of: TypeId,
    pub topic: String,
    partitions: Vec<i32>,
    next: usize,
    pub standing: Standing,
}

impl Publisher {
    /// Takes the type over: whoever published it before can commit nothing any
    /// more, and the position is the later one of the table and the topic.
    pub fn open(
        outlet: &Outlet,
        positions: &dyn Positions,
        entity_type: &EntityType,
        config: &TopicConfig,
    ) -> Result<Self, PublishError> {
        let of = entity_type.id.clone();
        let topic = config.name(&of.realm, &entity_type.schema_name);
        if !is_topic_name(&topic) {
            return Err(PublishError::TopicName(topic));
        }
        let standing = match positions.claim(&of, &topic)? {
            Claimed::Standing(standing) => standing,
            Claimed::Taken(by) => return Err(PublishError::TopicTaken { topic, by }),
        };
        let producer = TransactionalProducer::open(&outlet.cluster, &transactional_id(&of))?;
        let mut publisher = Self {
            producer,
            of,
            partitions: outlet.partitions(&topic, config)?,
            topic,
            next: 0,
            standing,
        };
        publisher.recover_patiently(outlet, positions)?;
        Ok(publisher)
    }

    /// [`Publisher::recover`], again while the leaders of a topic that was made
    /// just now are not known everywhere.
    fn recover_patiently(
        &mut self,
        outlet: &Outlet,
        positions: &dyn Positions,
    ) -> Result<(), PublishError> {
        for _ in 0..LEADER_TRIES {
            match self.recover(outlet, positions) {
                Err(PublishError::Kafka(KafkaFailure::Unavailable { cause, .. })) => {
                    debug!(topic = self.topic, "its end is not known yet: {cause}");
                    std::thread::sleep(LEADER_PAUSE);
                }
                ended => return ended,
            }
        }
        self.recover(outlet, positions)
    }

    /// Counts in what is on the topic and not in the table.
    fn recover(&mut self, outlet: &Outlet, positions: &dyn Positions) -> Result<(), PublishError> {
        let extents = outlet.tails.settled(&self.topic, &self.partitions)?;
        let mut found = Found::default();
        for (partition, extent) in &extents {
            self.recover_partition(outlet, *partition, *extent, &mut found)?;
        }
        let ahead = found.position > self.standing.position;
        if ahead || !found.sent.is_empty() {
            info!(
                topic = self.topic, position = %found.position, messages = found.sent.len(),
                "what the topic holds beyond the table is counted in"
            );
        }
        let released = self.replayed(&found, positions)?;
        let progress = Progress {
            known_from: (found.is_partial && ahead).then(|| found.position.clone()),
            position: found.position.max(self.standing.position.clone()),
            log_ends: extents.iter().map(|(p, extent)| (*p, extent.end)).collect(),
            sent: found.sent,
            released,
        };
        if ahead || !progress.sent.is_empty() || progress.log_ends != self.standing.log_ends {
            self.record(positions, progress)?;
        }
        Ok(())
    }

    /// What the topic holds is not to be tried again, though the quarantine may
    /// not know of it.
    fn replayed(
        &self,
        found: &Found,
        positions: &dyn Positions,
    ) -> Result<Vec<(Uuid, Position)>, PublishError> {
        if found.sent.is_empty() {
            return Ok(vec![]);
        }
        let sent: HashSet<Mark> = found
            .sent
            .iter()
            .flat_map(|sent| sent.marks.clone())
            .collect();
        let asked = positions.to_replay(&self.of, usize::MAX >> 1)?;
        Ok(asked
            .into_iter()
            .filter(|one| sent.contains(&Mark::of(&one.id, &one.modified)))
            .map(|one| (one.id, one.modified))
            .collect())
    }

    fn recover_partition(
        &self,
        outlet: &Outlet,
        partition: i32,
        extent: Extent,
        found: &mut Found,
    ) -> Result<(), PublishError> {
        match self.standing.log_ends.get(&partition) {
            Some(&counted) if counted <= extent.end => {
                found.is_partial |= counted < extent.start;
                let receive = &mut |record: Record| found.add(&record);
                outlet
                    .tails
                    .read(&self.topic, partition, counted, extent, receive)?;
            }
            counted => {
                if counted.is_some() {
                    warn!(topic = self.topic, position = %self.standing.position,
                        "the topic was made anew; the position stays where it was");
                }
                found.is_partial = true;
                let last = outlet.tails.last(&self.topic, partition, extent)?;
                if let Some((position, _)) = last.as_ref().and_then(message::read) {
                    found.position = std::mem::take(&mut found.position).max(position);
                }
            }
        }
        Ok(())
    }

    /// Publishes messages in one transaction and writes the position, which is
    /// `after` where the messages do not say so themselves. [`TransactionFailure::TooLarge`]
    /// leaves the publisher of use; after any other error it is of none.
    pub fn publish(
        &mut self,
        positions: &dyn Positions,
        messages: &[Message],
        after: &Position,
        released: Vec<(Uuid, Position)>,
    ) -> Result<Published, PublishError> {
        let mut progress = Progress {
            position: after.clone(),
            sent: joined(messages),
            released,
            ..Progress::default()
        };
        if !messages.is_empty() {
            let outgoing: Vec<_> = messages
                .iter()
                .map(|one| one.to(self.partition()))
                .collect();
            progress.log_ends = match self.producer.publish(&self.topic, &outgoing) {
                Err(TransactionFailure::TooLarge { .. }) => return Ok(Published::TooLarge),
                ended => ended?,
            };
        }
        self.record(positions, progress)?;
        Ok(Published::Committed)
    }

    /// Each message goes to the next partition.
    fn partition(&mut self) -> i32 {
        let partition = self.partitions[self.next % self.partitions.len()];
        self.next = self.next.wrapping_add(1);
        partition
    }

    fn record(
        &mut self,
        positions: &dyn Positions,
        progress: Progress,
    ) -> Result<(), PublishError> {
        positions.record(&self.of, self.standing.generation, &progress)?;
        let standing = &mut self.standing;
        standing.position = progress
            .position
            .max(std::mem::take(&mut standing.position));
        if let Some(from) = progress.known_from {
            standing.known_from = from.max(std::mem::take(&mut standing.known_from));
        }
        standing.log_ends.extend(progress.log_ends);
        Ok(())
    }
}

/// What became of a transaction that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    Committed,
    /// Nothing was published: a message is larger than the topic takes.
    TooLarge,
}

/// What the topic holds beyond the table.
#[derive(Default)]
struct Found {
    position: Position,
    sent: Vec<Sent>,
    /// Not all that was sent beyond the table could be seen.
    is_partial: bool,
}

impl Found {
    fn add(&mut self, record: &Record) {
        if let Some((position, sent)) = message::read(record) {
            self.position = std::mem::take(&mut self.position).max(position);
            self.sent.push(sent);
        }
    }
}

/// What follows each other is remembered as one.
fn joined(messages: &[Message]) -> Vec<Sent> {
    let mut joined: Vec<Sent> = Vec::new();
    for message in messages {
        let sent = message.sent.clone();
        match joined.last_mut() {
            Some(before) if before.is_in_order && sent.is_in_order => {
                before.last = sent.last;
                before.marks.extend(sent.marks);
            }
            _ => joined.push(sent),
        }
    }
    joined
}
