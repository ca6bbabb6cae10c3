//! The records of a topic, each handed on before its offset is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::kafka::{
    Cluster, ConsumerEvents, GroupOffset, KafkaFailure, Offsets, Polled, RecordConsumer,
    TopicPartition,
};
use crate::record::Record;
use crate::registry::RegistryError;
use crate::shutdown::Shutdown;

/// Bytes that the client may fetch ahead.
const QUEUE_BYTES: usize = 16 << 20;

const POLL: Duration = Duration::from_millis(100);

/// A record that cannot be read is tried so often.
const MAX_FAILURES: u32 = 5;

/// Records that are printed and not committed yet, and how long ago the first
/// of them was: what is repeated after a kill.
const MOST_PENDING: usize = 500;
const LONGEST_PENDING: Duration = Duration::from_secs(1);

/// The same trouble is told again after this long.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// Where a partition begins of which the group has committed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    End,
    /// The first record of this time or later, ms since 1970-01-01 UTC.
    Time(i64),
}

/// What is to be consumed.
#[derive(Clone, Debug)]
pub struct Asked {
    pub topic: String,
    /// Without a group everything is read alone, and nothing is committed.
    pub group: Option<String>,
    pub start: Start,
    /// Records after which it ends.
    pub count: Option<u64>,
}

/// Who gets the records.
pub trait Receiver {
    /// When this returns, the record is out of the process's hands.
    fn receive(&mut self, record: &Record) -> Result<(), ConsumeError>;
}

#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    #[error("there is no topic {topic} on {cluster}: correct --topic, or produce to it first")]
    NoTopic { topic: String, cluster: String },
    /// The record that needed it is not committed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("events cannot be printed")]
    Output(#[source] io::Error),
}

/// Hands records on until told to end, or until there were as many as asked
/// for; how many. What was handed on is committed at the end, also after an
/// error of the receiver.
pub fn consume(
    cluster: &Cluster,
    asked: &Asked,
    shutdown: &Shutdown,
    receiver: &mut dyn Receiver,
) -> Result<u64, ConsumeError> {
    let mut consuming = Consuming::open(cluster, asked)?;
    let ended = consuming.run(shutdown, receiver);
    consuming.commit();
    ended.map(|()| consuming.count)
}

struct Consuming<'a> {
    /// Its name.
    cluster: String,
    /// Failures to read one offset, in a row.
    failures: u32,
    consumer: RecordConsumer<Held>,
    held: Arc<Held>,
    asked: &'a Asked,
    count: u64,
    told: Option<(String, Instant)>,
    /// Whether it was said that it has begun.
    is_begun: bool,
}

impl<'a> Consuming<'a> {
    fn open(cluster: &Cluster, asked: &'a Asked) -> Result<Self, ConsumeError> {
        let held = Arc::new(Held {
            has_group: asked.group.is_some(),
            state: Mutex::default(),
        });
        let alone = || format!("archive_ingest.event.{:016x}", rand::random::<u64>());
        let group = asked.group.clone().unwrap_or_else(alone);
        let consumer = RecordConsumer::open(cluster, &group, QUEUE_BYTES, held.clone())?;
        let topics = consumer.topics()?;
        if !topics.iter().any(|topic| topic.name == asked.topic) {
            return Err(ConsumeError::NoTopic {
                topic: asked.topic.clone(),
                cluster: cluster.name().to_owned(),
            });
        }
        consumer.subscribe(std::slice::from_ref(&asked.topic))?;
        Ok(Self {
            cluster: cluster.name().to_owned(),
            failures: 0,
            consumer,
            held,
            asked,
            count: 0,
            told: None,
            is_begun: false,
        })
    }

    fn run(
        &mut self,
        shutdown: &Shutdown,
        receiver: &mut dyn Receiver,
    ) -> Result<(), ConsumeError> {
        while !shutdown.is_due() && self.asked.count.is_none_or(|most| self.count < most) {
            let polled = self.consumer.poll(POLL);
            self.place()?;
            match polled {
                Polled::Record(record) => {
                    self.failures = 0;
                    let partition = TopicPartition::new(&record.topic, record.partition);
                    let next = record.offset + 1;
                    let before = self.held.state().start_after(&partition, &record);
                    if let Some(starts) = before {
                        self.consumer.seek(&starts)?;
                        continue;
                    }
                    receiver.receive(&record)?;
                    self.count += 1;
                    self.held.state().done(partition, next);
                }
                Polled::Nothing => self.commit(),
                Polled::OutOfRange { partition, .. } => {
                    self.consumer.read_from(&partition, None)?;
                }
                Polled::Stuck {
                    partition,
                    offset,
                    cause,
                } => {
                    self.failures += 1;
                    if self.failures < MAX_FAILURES {
                        self.consumer.retry(&partition)?;
                        continue;
                    }
                    return Err(KafkaFailure::Unavailable {
                        cluster: self.cluster.clone(),
                        cause: format!(
                            "{} partition {} offset {offset}: {cause}",
                            partition.topic, partition.partition
                        ),
                    }
                    .into());
                }
                Polled::Trouble(trouble) => self.tell(&trouble),
                Polled::Fatal(failure) => return Err(failure.into()),
            }
            if self.held.state().is_commit_due() {
                self.commit();
            }
        }
        Ok(())
    }

    /// Puts partitions that are new here, and of which nothing is committed, to
    /// where they are to begin. The group knows at once, so that whoever has
    /// them next begins there too.
    fn place(&mut self) -> Result<(), ConsumeError> {
        let new = std::mem::take(&mut self.held.state().new);
        if new.is_empty() {
            return Ok(());
        }
        if self.asked.start != Start::Beginning {
            let starts = self.starts(new)?;
            self.held.state().begin_at(&starts);
            self.commit();
            // Where it cannot go there yet, the first record that is too early
            // sends it.
            self.consumer.seek(&starts)?;
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            let (topic, count) = (&self.asked.topic, self.held.state().assigned);
            info!("consuming {topic}, {count} of its partitions at first");
        }
        Ok(())
    }

    /// Where those of them begin of which the group has committed nothing.
    fn starts(&self, new: Vec<TopicPartition>) -> Result<Offsets, ConsumeError> {
        let committed = match self.asked.group {
            Some(_) => self.consumer.group_offsets(&new)?.offsets,
            None => BTreeMap::new(),
        };
        let fresh: Vec<TopicPartition> = new
            .into_iter()
            .filter(|partition| !committed.contains_key(partition))
            .collect();
        Ok(match self.asked.start {
            Start::Time(time) => self.consumer.at_time(&fresh, time)?,
            _ => self.consumer.ends(&fresh)?,
        })
    }

    /// Commits what was handed on. What fails is tried again with the next.
    fn commit(&mut self) {
        let pending = self.held.state().pending();
        if pending.is_empty() {
            return;
        }
        let committed = match self.asked.group {
            Some(_) => self.consumer.commit_now(&pending),
            None => Ok(()),
        };
        match committed {
            Ok(()) => self.held.state().committed(&pending),
            Err(error) => {
                self.held.state().put_off();
                warn!("offsets were not committed yet: {error}");
            }
        }
    }

    fn tell(&mut self, trouble: &KafkaFailure) {
        let text = trouble.to_string();
        let is_told =
            |(told, when): &(String, Instant)| *told == text && when.elapsed() < TOLD_AGAIN;
        if !self.told.as_ref().is_some_and(is_told) {
            warn!("{text}; trying on");
            self.told = Some((text, Instant::now()));
        }
    }
}

/// The partitions that are read here.
struct Held {
    /// Whether anything is committed at all.
    has_group: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Assigned and not looked at yet.
    new: Vec<TopicPartition>,
    assigned: usize,
    /// Where those began that were put to a place: the client, which begins by
    /// itself too, may bring something before it.
    starts: Offsets,
    /// The offset after the last record that was handed on.
    next: Offsets,
    /// Those of them that are not committed.
    uncommitted: BTreeSet<TopicPartition>,
    records: usize,
    since: Option<Instant>,
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin_at(&mut self, starts: &Offsets) {
        for (partition, start) in starts {
            self.starts.insert(partition.clone(), *start);
            self.done(partition.clone(), *start);
        }
    }

    /// Where to go on, if the record lies before its partition's start.
    fn start_after(&self, partition: &TopicPartition, record: &Record) -> Option<Offsets> {
        let start = *self.starts.get(partition)?;
        (record.offset < start).then(|| Offsets::from([(partition.clone(), start)]))
    }

    fn done(&mut self, partition: TopicPartition, next: i64) {
        self.uncommitted.insert(partition.clone());
        self.next.insert(partition, next);
        self.records += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_commit_due(&self) -> bool {
        let is_old = |since: &Instant| since.elapsed() >= LONGEST_PENDING;
        self.records >= MOST_PENDING || self.since.as_ref().is_some_and(is_old)
    }

    fn pending(&self) -> Vec<(TopicPartition, GroupOffset)> {
        self.offsets(self.uncommitted.iter())
    }

    fn offsets<'p>(
        &self,
        partitions: impl Iterator<Item = &'p TopicPartition>,
    ) -> Vec<(TopicPartition, GroupOffset)> {
        let offset = |partition: &TopicPartition| {
            let offset = GroupOffset {
                offset: *self.next.get(partition)?,
                topic_id: None,
            };
            Some((partition.clone(), offset))
        };
        partitions.filter_map(offset).collect()
    }

    fn committed(&mut self, offsets: &[(TopicPartition, GroupOffset)]) {
        for (partition, committed) in offsets {
            if self.next.get(partition) == Some(&committed.offset) {
                self.uncommitted.remove(partition);
            }
        }
        self.records = 0;
        self.since = None;
    }

    /// They are tried again when as many more, or as much time, have passed.
    fn put_off(&mut self) {
        self.records = 0;
        self.since = Some(Instant::now());
    }
}

impl ConsumerEvents for Held {
    fn assigned(&self, partitions: &[TopicPartition]) {
        let mut state = self.state();
        state.new.extend_from_slice(partitions);
        state.assigned += partitions.len();
    }

    fn revoked(
        &self,
        partitions: &[TopicPartition],
        _lost: bool,
    ) -> Vec<(TopicPartition, GroupOffset)> {
        let mut state = self.state();
        state.assigned = state.assigned.saturating_sub(partitions.len());
        let pending: Vec<_> = partitions
            .iter()
            .filter(|partition| state.uncommitted.contains(partition))
            .collect();
        let offsets = match self.has_group {
            true => state.offsets(pending.into_iter()),
            false => vec![],
        };
        for partition in partitions {
            state.uncommitted.remove(partition);
            state.next.remove(partition);
            state.starts.remove(partition);
            state.new.retain(|new| new != partition);
        }
        offsets
    }
}
