//! The thread that reads Kafka: hands records on, commits what is archived,
//! follows the topics, and knows when the end is reached.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, info, warn};

use super::batch::Item;
use super::budget::{Budget, Taken};
use super::events::Events;
use super::failure::ArchiveError;
use super::gaps::GapWatch;
use super::progress::Progress;
use super::stuck::{Retry, StuckPartitions};
use super::stuck_list::StuckList;
use super::topics::Topics;
use super::truncation::TruncationWatch;
use super::until_end::UntilEnd;
use super::watermark::Watermarks;
use crate::kafka::{Polled, RecordConsumer, TopicId, TopicPartition};
use crate::record::Record;
use crate::shutdown::Shutdown;

const POLL: Duration = Duration::from_millis(100);
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Between two tries to find out what is due.
const SETTLE_INTERVAL: Duration = Duration::from_millis(200);

/// A full budget is waited for this long without polling; after that the
/// partitions are paused, and polling goes on so that the group keeps us.
const PATIENCE: Duration = Duration::from_secs(1);

/// When to stop reading.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// At the end of what is there now.
    pub until_eos: bool,
    /// After so many records.
    pub max_messages: Option<u64>,
    /// Consume no more after so many records, but stay.
    pub rest_after: Option<u64>,
    /// What is in flight may take this long once the end is decided.
    pub drain: Duration,
}

pub(super) struct Reader {
    pub consumer: RecordConsumer<Events>,
    pub events: Arc<Events>,
    pub topics: Topics,
    pub bounds: Bounds,
    pub watermarks: Arc<Watermarks>,
    pub gaps: GapWatch,
    pub truncation: TruncationWatch,
    pub stuck: StuckPartitions,
    pub stuck_list: StuckList,
    /// Partitions that wait for a first offset, with the one that was due.
    pub out_of_range: Vec<(TopicPartition, Option<i64>)>,
    pub progress: Arc<Progress>,
    pub budget: Budget,
    pub runtime: Handle,
    pub shutdown: Shutdown,
    /// Records that came while the budget was full.
    pub held: VecDeque<Record>,
    pub received: u64,
    /// What is to be read from its start, see `incarnation`.
    pub made_anew: BTreeMap<TopicPartition, TopicId>,
    /// When it is time to commit again.
    pub commit_at: Instant,
    pub commit_under_way: bool,
    /// Whether the client had nothing to give when it was last asked, with no
    /// partition paused.
    pub is_quiet: bool,
}

/// Why a reader stopped reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Told,
    EndReached,
    EnoughRead,
}

impl Reader {
    /// Reads until it is time to end, then waits for what is in flight and
    /// commits it. Whether everything was archived and committed.
    pub fn run(mut self, out: UnboundedSender<Item>) -> Result<bool, ArchiveError> {
        let mut end = None;
        if self.bounds.until_eos {
            self.set_back_truncated()?;
            let catalogue = self.gaps.catalogue();
            let asked = UntilEnd::ask(&self.consumer, &self.topics, catalogue)?;
            // Also of partitions that have nothing left to give.
            for partition in asked.partitions() {
                self.gaps.look_at(partition.clone());
            }
            end = Some(asked);
        }
        let reason = self.read(&out, &mut end)?;
        if let Some(end) = &end {
            self.progress.set_unread(end.unread());
        }
        drop(out);
        debug!(?reason, "reading has ended");
        self.is_quiet = false;
        let is_end_reached = reason == Reason::EndReached;
        let patience = match reason {
            Reason::Told => {
                self.watermarks.let_go(None);
                Some(self.bounds.drain)
            }
            // Nobody is waiting for the process to go.
            Reason::EndReached | Reason::EnoughRead => None,
        };
        self.drain(patience, is_end_reached)
    }

    fn read(
        &mut self,
        out: &UnboundedSender<Item>,
        end: &mut Option<UntilEnd>,
    ) -> Result<Reason, ArchiveError> {
        loop {
            if self.shutdown.is_due() {
                return Ok(Reason::Told);
            }
            if self
                .bounds
                .max_messages
                .is_some_and(|max| self.received >= max)
            {
                return Ok(Reason::EnoughRead);
            }
            if self
                .bounds
                .rest_after
                .is_some_and(|max| self.received >= max)
            {
                return self.rest();
            }
            if self.topics.follow(&self.consumer)? {
                self.gaps.look_again(|topic| self.topics.reads(topic));
                self.find_made_anew();
                if self.made_anew.is_empty()
                    && let Some(why) = self.topics.want_new_client()
                {
                    warn!("{why}: going on with a new client");
                    self.begin_again()?;
                }
            }
            if self.held.is_empty() {
                // What does not come cannot wait beside what takes all room.
                if self.room_of(1)?.is_none() {
                    return Ok(Reason::Told);
                }
                self.poll(POLL)?;
                self.is_quiet = self.held.is_empty();
            }
            // First: what came of new partitions counts once they are looked at.
            if self.commit_when_due()? {
                self.stuck_list.follow()?;
                self.begin_made_anew()?;
                self.reread_truncated(end)?;
                // Records of a partition that wait here come before what is
                // skipped of it.
                if self.held.is_empty() {
                    self.retry_stuck()?;
                }
            }
            if !self.hand_on_first(out)? {
                return Ok(Reason::Told);
            }
            if let Some(end) = end
                && self.held.is_empty()
                && self.truncation.is_settled()
                && end.is_reached(
                    &self.consumer,
                    &self.topics,
                    &self.watermarks,
                    &self.stuck,
                    self.received,
                )?
            {
                return Ok(Reason::EndReached);
            }
        }
    }

    fn poll(&mut self, timeout: Duration) -> Result<(), ArchiveError> {
        match self.consumer.poll(timeout) {
            Polled::Record(record) => {
                self.stuck.received(&TopicPartition {
                    topic: record.topic.clone(),
                    partition: record.partition,
                });
                self.held.push_back(record);
            }
            Polled::Nothing => {}
            Polled::Stuck {
                partition,
                offset,
                cause,
            } => self.stuck.failed(partition, offset, cause),
            Polled::OutOfRange { partition, offset } => self.begin_in_range(partition, offset),
            Polled::Trouble(trouble) => info!("{trouble}; the client goes on by itself"),
            Polled::Fatal(failure) => return Err(failure.into()),
        }
        self.take_in_rebalance();
        Ok(())
    }

    /// Reads a partition on whose log does not have the offset that is due: from
    /// its start, as retention has removed what was due, or the log was
    /// truncated.
    fn begin_in_range(&mut self, partition: TopicPartition, due: Option<i64>) {
        let (topic, number) = (&*partition.topic, partition.partition);
        let begun = match due {
            None => self.consumer.read_from(&partition, None),
            Some(due) => {
                let one = std::slice::from_ref(&partition);
                let range = self
                    .consumer
                    .starts(one)
                    .and_then(|starts| Ok((starts, self.consumer.ends(one)?)));
                match range {
                    Ok((starts, ends)) => match (starts.get(&partition), ends.get(&partition)) {
                        (Some(&start), Some(&end)) => {
                            let begin = match (start..=end).contains(&due) {
                                true => due,
                                false => start,
                            };
                            info!(
                                topic,
                                partition = number,
                                due,
                                start,
                                end,
                                begin,
                                "offset out of range"
                            );
                            self.consumer.read_from(&partition, Some(begin))
                        }
                        // Asked again by the client, as it begins where it was.
                        _ => self.consumer.read_from(&partition, Some(due)),
                    },
                    Err(error) => Err(error),
                }
            }
        };
        if let Err(error) = begun {
            info!(%error, topic, partition = number, "offset out of range, the log's start is not known yet");
            self.out_of_range.push((partition, due));
        }
    }

    /// Tries partitions again that failed some time ago.
    fn retry_stuck(&mut self) -> Result<(), ArchiveError> {
        let mut silent = self.gaps.silent();
        for partition in self.topics.leaderless() {
            if self.gaps.is_reading(partition) {
                silent.insert(partition.clone(), "the partition has no leader".to_owned());
            }
        }
        self.stuck.set_silent(silent);
        for (partition, offset) in self.stuck.retried() {
            if self.consumer.high_watermark_seen(&partition) == Some(offset) {
                self.stuck.received(&partition);
            }
        }
        for (partition, due) in std::mem::take(&mut self.out_of_range) {
            self.begin_in_range(partition, due);
        }
        let due = match self.stuck.due() {
            Err(error) if error.is_passing() => {
                debug!(%error, "stuck partitions not retried, the catalogue is away");
                return Ok(());
            }
            due => due?,
        };
        for retry in due {
            let done = match &retry {
                Retry::Again(partition) => self.consumer.retry(partition),
                Retry::SkipTo(partition, to) => {
                    self.gaps.skip_to(partition, *to);
                    self.watermarks.skip_to(partition, *to);
                    self.consumer.read_from(partition, Some(*to))
                }
            };
            if let Err(error) = done {
                info!(%error, "stuck partition not retried");
            }
        }
        Ok(())
    }

    /// Leaves the group and joins it again, as a client that knows nothing.
    pub(super) fn begin_again(&mut self) -> Result<(), ArchiveError> {
        self.consumer.begin_again()?;
        self.commit_under_way = false;
        self.take_in_rebalance();
        self.topics.subscribe_again(&self.consumer)
    }

    /// Forgets partitions that were given up, begins with those that came.
    pub(super) fn take_in_rebalance(&mut self) {
        let given_up = self.events.take_given_up();
        self.gaps.end(&given_up);
        self.truncation.end(&given_up);
        self.stuck.end(&given_up);
        for lost in given_up {
            let is_gone = !self.topics.reads(&lost.topic);
            self.stuck_list.end(&lost, is_gone);
            self.held
                .retain(|r| r.partition != lost.partition || r.topic != lost.topic);
        }
        let begun = self.events.take_begun();
        if !begun.is_empty() {
            // They are looked at before more than a little is read of them.
            self.commit_at = Instant::now();
        }
        self.stuck_list.begin(&begun);
        for partition in begun {
            let topic_id = self.topics.id(&partition.topic);
            self.truncation.begin(partition.clone());
            self.gaps.begin(partition, topic_id);
        }
    }

    /// Hands on the first record that is held, if there is one. `false` when it
    /// is time to end.
    fn hand_on_first(&mut self, out: &UnboundedSender<Item>) -> Result<bool, ArchiveError> {
        let Some(first) = self.held.front() else {
            return Ok(true);
        };
        let units = self.budget.units_of(first);
        let Some(room) = self.room_of(units)? else {
            return Ok(false);
        };
        // While it waited its partition may have been given up, and the record
        // with it: then the room is for whichever needs as much.
        let fits = |record: &Record| self.budget.units_of(record) == units;
        if self.held.front().is_some_and(fits)
            && let Some(record) = self.held.pop_front()
        {
            self.hand_on(record, room, out)?;
        }
        Ok(true)
    }

    /// Room in the budget; `None` when it is time to end. While there is none
    /// the partitions pause, and what still comes is held.
    fn room_of(&mut self, units: u32) -> Result<Option<Taken>, ArchiveError> {
        let mut paused = false;
        let room = loop {
            self.consumer.wait_for_memory(true);
            let room = self.budget.take(units, PATIENCE, &self.runtime);
            self.consumer.wait_for_memory(false);
            if room.is_some() {
                break room;
            }
            if self.shutdown.is_due() {
                break None;
            }
            if !paused {
                debug!("the byte budget is full: partitions pause");
            }
            self.is_quiet = false;
            // Again each time: a rebalance brings partitions that are not.
            paused = true;
            self.consumer.pause()?;
            self.poll(Duration::ZERO)?;
            self.commit_when_due()?;
        };
        if paused {
            self.consumer.resume()?;
        }
        Ok(room)
    }

    fn hand_on(
        &mut self,
        record: Record,
        room: Taken,
        out: &UnboundedSender<Item>,
    ) -> Result<(), ArchiveError> {
        let partition = TopicPartition {
            topic: record.topic.clone(),
            partition: record.partition,
        };
        let received = self
            .gaps
            .received(&partition, record.offset, &self.consumer);
        let Some((stream, from)) = received else {
            return Ok(());
        };
        let ticket = self.watermarks.received(&partition, record.offset);
        self.received += 1;
        out.send(Item {
            record,
            stream,
            from,
            ticket,
            room,
        })
        .map_err(|_| ArchiveError::Broken {
            part: "batcher",
            cause: "it takes no records any more".into(),
        })
    }

    /// Whether it was.
    fn commit_when_due(&mut self) -> Result<bool, ArchiveError> {
        let is_due = Instant::now() >= self.commit_at;
        if is_due {
            let interval = self.commit();
            // After the answers, for what is asked in it may be long in coming,
            // and the client is to be polled meanwhile.
            self.commit_at = Instant::now() + COMMIT_INTERVAL;
            let interval = interval?;
            self.commit_at = Instant::now() + interval;
        }
        Ok(is_due)
    }

    /// One commit at a time, so that an older one can never come after a newer
    /// one. The answer is when the next one is due.
    fn commit(&mut self) -> Result<Duration, ArchiveError> {
        if let Some(result) = self.consumer.committed() {
            self.commit_under_way = false;
            self.watermarks.committed(&result.offsets);
            if let Some(error) = result.error {
                warn!("offsets were not committed ({error}); they will be again");
            }
        }
        self.truncation.settle(&self.consumer)?;
        match self.gaps.settle(&self.consumer, self.is_quiet) {
            Ok(settled) => {
                self.made_anew.extend(settled.made_anew);
                for sought in settled.sought {
                    self.held
                        .retain(|r| r.partition != sought.partition || r.topic != sought.topic);
                }
            }
            Err(error) if error.is_passing() => {
                info!(
                    "{error}: it cannot be told yet whether records were lost; nothing is committed meanwhile"
                );
                return Ok(COMMIT_INTERVAL);
            }
            Err(error) => return Err(error),
        }
        if self.is_quiet
            && let Err(error) = self.gaps.pass_tails(&self.consumer, false)
        {
            match error.is_passing() {
                true => debug!("{error}: the ends of logs are looked at again later"),
                false => return Err(error),
            }
        }
        let interval = match self.gaps.is_settled() {
            true => COMMIT_INTERVAL,
            false => SETTLE_INTERVAL,
        };
        let mut offsets = self.watermarks.uncommitted();
        offsets.retain(|(partition, _)| !self.truncation.holds(partition));
        if self.commit_under_way || offsets.is_empty() {
            return Ok(interval);
        }
        match self.consumer.commit(&offsets) {
            Ok(()) => self.commit_under_way = true,
            Err(error) => warn!("{error}: offsets were not committed; they will be again"),
        }
        Ok(interval)
    }

    /// Reads no more but stays in the group, until it is time to end.
    fn rest(&mut self) -> Result<Reason, ArchiveError> {
        info!("{} records are read; no more will be", self.received);
        while !self.shutdown.is_due() {
            self.consumer.pause()?;
            self.poll(POLL)?;
            self.held.clear();
            self.commit_when_due()?;
        }
        Ok(Reason::Told)
    }

    /// Waits until all that is in flight is archived and committed, at most
    /// `patience`; without it, until told to end and the drain time after that.
    /// When half of it is over, what is begun ends in the middle.
    ///
    /// With `pass_tails` it is committed to the ends of the logs.
    fn drain(
        mut self,
        patience: Option<Duration>,
        mut pass_tails: bool,
    ) -> Result<bool, ArchiveError> {
        // Whoever reads them next finds it again.
        self.truncation.settle(&self.consumer)?;
        let unvalidated = self.truncation.take_held();
        self.watermarks.give_up(&unvalidated);
        let mut deadline = patience.map(|patience| Instant::now() + patience);
        let mut is_hurried = false;
        loop {
            self.consumer.pause()?;
            self.poll(Duration::from_millis(10))?;
            self.held.clear();
            let idle = self.watermarks.wait_idle(None, Duration::from_millis(10));
            // What cannot be told of a few partitions is in the summary.
            self.commit()?;
            if idle && self.gaps.is_settled() && self.watermarks.uncommitted().is_empty() {
                if !std::mem::take(&mut pass_tails) {
                    self.stuck_list.update()?;
                    // What waits for an object is read again by the next run.
                    return Ok(!self.watermarks.has_waiting());
                }
                if let Err(error) = self.gaps.pass_tails(&self.consumer, true)
                    && !error.is_passing()
                {
                    return Err(error);
                }
                continue;
            }
            if deadline.is_none() && self.shutdown.is_due() {
                deadline = Some(Instant::now() + self.bounds.drain);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !is_hurried && left.is_some_and(|left| left <= self.bounds.drain / 2) {
                is_hurried = true;
                self.watermarks.hurry();
            }
            if left.is_some_and(|left| left.is_zero()) {
                self.stuck_list.update()?;
                // The end of the consumer gives its partitions up.
                self.events.leave();
                return Ok(false);
            }
        }
    }
}
