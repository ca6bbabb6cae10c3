//! «The end»: the end offsets of the moment of asking, and whether everything
//! before them is archived.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::failure::ArchiveError;
use super::incarnation::made_anew;
use super::progress::Unread;
use super::stuck::StuckPartitions;
use super::topics::Topics;
use super::watermark::Watermarks;
use crate::catalogue::{Catalogue, StreamKey};
use crate::kafka::{
    ConsumerEvents, Offsets, RecordConsumer, TopicAnswers, TopicId, TopicIds, TopicPartition,
};

const LOOK_AGAIN: Duration = Duration::from_millis(100);
const ASK_ARCHIVE_AGAIN: Duration = Duration::from_secs(1);

/// A partition without a leader for this long is given up. An election takes
/// less.
const LEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// An open transaction is waited for this long after the start: the others end
/// within it.
const OPEN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// Nothing came for this long: what is still open may have nothing to give.
const QUIET: Duration = Duration::from_millis(300);

/// Between two looks into logs that gave nothing: from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// Partitions that are looked into at once.
const LOOKED_INTO: usize = 200;

/// The partitions whose end is not reached yet.
pub(super) struct UntilEnd {
    partitions: Vec<TopicPartition>,
    open: Offsets,
    /// The first offset of each that nobody has archived yet, as far as known.
    next: Offsets,
    catalogue: Arc<dyn Catalogue>,
    /// Partitions whose end is not known, or that no broker leads now, and since
    /// when.
    away: BTreeMap<TopicPartition, (String, Instant)>,
    /// The high watermark of partitions in which a transaction was open at the
    /// start.
    unstable: Offsets,
    started: Instant,
    asked_unstable: Instant,
    /// Offsets behind the last stable offset of partitions that are given up for
    /// that.
    unstable_records: BTreeMap<TopicPartition, i64>,
    /// What is given up: it cannot be read.
    unread: BTreeMap<TopicPartition, String>,
    /// Topics that the user may not read.
    unreadable: BTreeSet<Arc<str>>,
    /// Of which topics these are the ends.
    ids: TopicIds,
    looked: Instant,
    asked_archive: Option<Instant>,
    quiet: Quiet,
}

/// How long nothing has come, and when to look into the logs for why.
struct Quiet {
    received: u64,
    look: Instant,
    pause: Duration,
}

impl UntilEnd {
    /// Asks for the ends as they are now.
    pub fn ask<E: ConsumerEvents>(
        consumer: &RecordConsumer<E>,
        topics: &Topics,
        catalogue: Arc<dyn Catalogue>,
    ) -> Result<Self, ArchiveError> {
        let mut wanted = topics.wanted(consumer.topics()?);
        let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
        let TopicAnswers {
            ids, unreadable, ..
        } = consumer.describe(&names)?;
        wanted.retain(|topic| !unreadable.contains(topic.name.as_str()));
        let partitions: Vec<TopicPartition> = wanted
            .iter()
            .flat_map(|topic| {
                let name = topic.name.as_str();
                topic
                    .partitions
                    .iter()
                    .map(move |&p| TopicPartition::new(name, p))
            })
            .collect();
        let mut end = Self {
            partitions,
            open: Offsets::new(),
            next: Offsets::new(),
            catalogue,
            away: BTreeMap::new(),
            unstable: Offsets::new(),
            started: Instant::now(),
            asked_unstable: Instant::now(),
            unstable_records: BTreeMap::new(),
            unread: BTreeMap::new(),
            unreadable,
            ids,
            looked: Instant::now(),
            // Once it is known what is due of each partition.
            asked_archive: None,
            quiet: Quiet {
                received: 0,
                look: Instant::now() + QUIET,
                pause: FIRST_PAUSE,
            },
        };
        let asked = end.partitions.clone();
        // Before the ends: what comes in between is in no transaction that was
        // open.
        let high_watermarks = consumer.high_watermarks(&asked)?;
        let ends = end.ask_ends(consumer, &asked)?;
        end.unstable = high_watermarks;
        end.unstable
            .retain(|partition, high| ends.get(partition).is_some_and(|end| *end < *high));
        Ok(end)
    }

    /// All that were asked for.
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// Asks for the ends of these partitions; those that do not answer are away.
    fn ask_ends<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        partitions: &[TopicPartition],
    ) -> Result<Offsets, ArchiveError> {
        let starts = consumer.starts(partitions)?;
        let ends = consumer.ends(partitions)?;
        for partition in partitions {
            match (starts.get(partition), ends.get(partition)) {
                (Some(&start), Some(&end)) => {
                    self.away.remove(partition);
                    if start < end {
                        self.open.insert(partition.clone(), end);
                        self.next.entry(partition.clone()).or_insert(start);
                    }
                }
                _ => {
                    let why = "its leader did not tell where it ends".to_owned();
                    self.away
                        .entry(partition.clone())
                        .or_insert_with(|| (why, Instant::now()));
                }
            }
        }
        Ok(ends)
    }

    /// What was to be archived up to its end and cannot be read.
    pub fn unread(&self) -> Vec<Unread> {
        let topics = self.unreadable.iter().map(|topic| Unread {
            topic: topic.to_string(),
            partition: None,
            offset: None,
            unstable_records: None,
            cause: "no read access".to_owned(),
        });
        let partitions = self.unread.iter().map(|(partition, cause)| Unread {
            topic: partition.topic.to_string(),
            partition: Some(partition.partition),
            offset: self.next.get(partition).copied(),
            unstable_records: self.unstable_records.get(partition).copied(),
            cause: cause.clone(),
        });
        topics.chain(partitions).collect()
    }

    /// Whether everything before the ends is archived, by this process or by
    /// another member of the group, but for what cannot be read. `received`:
    /// records so far.
    pub fn is_reached<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        topics: &Topics,
        watermarks: &Watermarks,
        stuck: &StuckPartitions,
        received: u64,
    ) -> Result<bool, ArchiveError> {
        if self.is_empty() {
            return Ok(true);
        }
        if self.looked.elapsed() < LOOK_AGAIN {
            return Ok(false);
        }
        self.looked = Instant::now();
        // READ may be withdrawn while this runs.
        for topic in topics.unreadable() {
            if self.partitions.iter().any(|p| p.topic == *topic) {
                self.unreadable.insert(topic.clone());
            }
        }
        // A topic that was deleted meanwhile has no end to reach, whether it was
        // created again or not.
        let ids = &self.ids;
        let is_there = |partition: &TopicPartition| {
            let topic = &partition.topic;
            let asked_of = ids.get(topic).copied();
            topics.reads(topic) && made_anew(asked_of, topics.id(topic)).is_none()
        };
        self.open.retain(|partition, _| is_there(partition));
        self.unstable.retain(|partition, _| is_there(partition));
        self.away.retain(|partition, _| is_there(partition));
        self.unread.retain(|partition, _| is_there(partition));
        self.ask_watermarks(watermarks);
        if self
            .asked_archive
            .is_none_or(|asked| asked.elapsed() >= ASK_ARCHIVE_AGAIN)
        {
            passing(self.ask_archive(consumer))?;
            passing(self.ask_leaders(consumer))?;
            // After the answers: a broker answers behind a fetch that waits for
            // records, so they can take longer than the interval.
            self.asked_archive = Some(Instant::now());
        }
        self.close_reached();
        for partition in self.open.keys() {
            if let Some((offset, cause)) = stuck.find(partition) {
                if let Some(offset) = offset {
                    self.next.insert(partition.clone(), offset);
                }
                self.unread.insert(partition.clone(), cause.to_owned());
            }
        }
        let unread = &self.unread;
        self.open
            .retain(|partition, _| !unread.contains_key(partition));
        self.unstable
            .retain(|partition, _| !unread.contains_key(partition));
        if self.quiet.is_due(received) {
            let looked = self.look_into_logs(consumer, watermarks);
            passing(looked)?;
        }
        if self.open.is_empty() && !self.unstable.is_empty() {
            passing(self.ask_unstable(consumer))?;
        }
        Ok(self.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.away.is_empty() && self.unstable.is_empty()
    }

    /// Reads on where a transaction has ended that was open at the start, and
    /// gives up partitions whose transaction stays open.
    fn ask_unstable<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let is_over = self.started.elapsed() >= OPEN_TRANSACTION_TIMEOUT;
        if !is_over && self.asked_unstable.elapsed() < ASK_ARCHIVE_AGAIN {
            return Ok(());
        }
        self.asked_unstable = Instant::now();
        let partitions: Vec<TopicPartition> = self.unstable.keys().cloned().collect();
        let ends = consumer.ends(&partitions)?;
        for partition in partitions {
            let (Some(&high), end) = (self.unstable.get(&partition), ends.get(&partition)) else {
                continue;
            };
            match end {
                Some(&end) if end >= high => {
                    self.unstable.remove(&partition);
                    self.open.insert(partition, high);
                }
                Some(&end) if is_over => {
                    self.unstable.remove(&partition);
                    let cause = format!(
                        "a transaction is open, so {} offsets from the last stable offset {end} on cannot be read: find its producer with kafka-transactions.sh find-hanging",
                        high - end
                    );
                    self.next.insert(partition.clone(), end);
                    self.unstable_records.insert(partition.clone(), high - end);
                    self.unread.insert(partition, cause);
                }
                None if is_over => {
                    self.unstable.remove(&partition);
                    let why = "its leader did not tell where it ends".to_owned();
                    self.unread.insert(partition, why);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives up partitions that no broker has led for some time.
    fn ask_leaders<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let unknown: Vec<TopicPartition> = self
            .away
            .keys()
            .filter(|partition| !self.open.contains_key(partition))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            self.ask_ends(consumer, &unknown)?;
        }
        let open: Vec<TopicPartition> = self.open.keys().cloned().collect();
        let without_leader = consumer.without_leader(&open)?;
        for partition in open {
            match without_leader.get(&partition) {
                None => {
                    self.away.remove(&partition);
                }
                Some(why) => {
                    self.away
                        .entry(partition)
                        .or_insert_with(|| (why.clone(), Instant::now()));
                }
            }
        }
        let over: BTreeMap<TopicPartition, (String, Instant)> = self
            .away
            .extract_if(.., |_, (_, since)| since.elapsed() >= LEADER_TIMEOUT)
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        // Topics may have been deleted since they were last listed.
        let topics: BTreeSet<&str> = over.keys().map(|partition| &*partition.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let deleted = match consumer.describe(&topics) {
            Ok(answers) => answers.deleted,
            Err(error) => {
                self.away.extend(over);
                return Err(error.into());
            }
        };
        for (partition, (why, _)) in over {
            self.open.remove(&partition);
            if !deleted.contains(&partition.topic) {
                self.unread.insert(partition, why);
            }
        }
        Ok(())
    }

    /// What other members have archived, and this one before: what the group
    /// has committed, as far as the archive's own positions agree.
    fn ask_archive<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        let partitions: Vec<TopicPartition> = self.open.keys().cloned().collect();
        let committed = consumer.group_offsets(&partitions)?.offsets;
        let keys: Vec<StreamKey> = committed
            .keys()
            .map(|partition| StreamKey {
                topic: partition.topic.clone(),
                partition: partition.partition,
                topic_id: self.ids.get(&partition.topic).copied(),
            })
            .collect();
        let positions = self.catalogue.positions().positions(&keys)?;
        for at in positions {
            let partition = TopicPartition::new(&at.key.topic, at.key.partition);
            if let Some(committed) = committed.get(&partition)
                && self.is_of(&partition, committed.topic_id)
            {
                let archived = committed.offset.min(at.next);
                let next = self.next.entry(partition).or_insert(archived);
                *next = archived.max(*next);
            }
        }
        Ok(())
    }

    /// What this process has archived.
    fn ask_watermarks(&mut self, watermarks: &Watermarks) {
        let read_of = watermarks.read_of();
        for partition in self.open.keys() {
            let is_of_this = read_of
                .get(partition)
                .is_some_and(|&read| self.is_of(partition, read));
            if is_of_this && let Some(archived) = watermarks.settled_to(partition) {
                self.next.insert(partition.clone(), archived);
            }
        }
    }

    /// A log turned out to have been truncated, and is read again from `from`
    /// to the end that it has now.
    pub fn read_again<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        partition: TopicPartition,
        from: i64,
    ) -> Result<(), ArchiveError> {
        let ends = consumer.ends(std::slice::from_ref(&partition));
        self.next.insert(partition, from);
        passing(ends.map(|ends| self.open.extend(ends)).map_err(Into::into))
    }

    /// Whether an offset of that topic says something of the log whose end was
    /// asked for: one in a log that is no more does not.
    fn is_of(&self, partition: &TopicPartition, topic_id: Option<TopicId>) -> bool {
        let asked_of = self.ids.get(&partition.topic).copied();
        made_anew(topic_id, asked_of).is_none()
    }

    fn close_reached(&mut self) {
        self.open
            .retain(|partition, end| self.next.get(partition).is_none_or(|next| next < end));
    }

    /// A partition may end with control records, or with what compaction left
    /// out: no record says that its end is reached.
    fn look_into_logs<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        watermarks: &Watermarks,
    ) -> Result<(), ArchiveError> {
        let ranges: Vec<(TopicPartition, Range<i64>)> = self
            .open
            .iter()
            .filter(|(partition, _)| !watermarks.in_flight(partition))
            .filter_map(|(partition, &end)| {
                Some((partition.clone(), *self.next.get(partition)?..end))
            })
            .take(LOOKED_INTO)
            .collect();
        let empty = consumer.empty(&ranges)?;
        self.quiet.looked(!empty.is_empty());
        for partition in empty {
            self.open.remove(&partition);
        }
        Ok(())
    }
}

impl Quiet {
    fn is_due(&mut self, received: u64) -> bool {
        if self.received != received {
            self.received = received;
            self.look = Instant::now() + QUIET;
            self.pause = FIRST_PAUSE;
        }
        Instant::now() >= self.look
    }

    fn looked(&mut self, found: bool) {
        self.pause = match found {
            true => FIRST_PAUSE,
            false => (self.pause * 2).min(LAST_PAUSE),
        };
        self.look = Instant::now() + if found { Duration::ZERO } else { self.pause };
    }
}

/// An answer that did not come is asked for again.
fn passing(answer: Result<(), ArchiveError>) -> Result<(), ArchiveError> {
    match answer {
        Err(error) if error.is_passing() => {
            debug!("{error}; asked again");
            Ok(())
        }
        other => other,
    }
}
