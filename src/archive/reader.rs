//! The thread that reads Kafka: hands records on, commits what is archived,
//! follows the topics, and knows when the end is reached.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, info, warn};

use super::batch::Item;
use super::budget::{Budget, Taken};
use super::failure::ArchiveError;
use super::gaps::GapWatch;
use super::topics::Topics;
use super::until_end::UntilEnd;
use super::watermark::Watermarks;
use crate::kafka::{ConsumerEvents, Polled, RecordConsumer, TopicPartition};
use crate::record::Record;
use crate::shutdown::Shutdown;

const POLL: Duration = Duration::from_millis(100);
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// A full budget is waited for this long without polling; after that the
/// partitions are paused, and polling goes on so that the group keeps us.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is begun of a partition that is given up may take this long to finish. Below the time that the group waits for a member in a rebalance.
const REVOKE_PATIENCE: Duration = Duration::from_secs(20);

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

/// What the consumer tells from within a poll.
pub(super) struct Events {
    watermarks: Arc<Watermarks>,
    begun: Mutex<Vec<TopicPartition>>,
    given_up: Mutex<Vec<TopicPartition>>,
    /// The time for what is in flight is over.
    leaving: AtomicBool,
}

pub(super) struct Reader {
    pub consumer: RecordConsumer<Events>,
    pub events: Arc<Events>,
    pub topics: Topics,
    pub bounds: Bounds,
    pub watermarks: Arc<Watermarks>,
    pub gaps: GapWatch,
    pub budget: Budget,
    pub runtime: Handle,
    pub shutdown: Shutdown,
    /// Records that came while the budget was full.
    pub held: VecDeque<Record>,
    pub received: u64,
    pub last_commit: Instant,
    pub commit_under_way: bool,
}

/// Why a reader stopped reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Told,
    EndReached,
    EnoughRead,
}

impl Events {
    pub fn new(watermarks: Arc<Watermarks>) -> Arc<Self> {
        Arc::new(Self {
            watermarks,
            begun: Mutex::default(),
            given_up: Mutex::default(),
            leaving: AtomicBool::new(false),
        })
    }

    /// From now on nothing in flight is waited for.
    fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether nothing of these partitions is in flight, at the latest after
    /// the patience that there is.
    fn is_idle(&self, partitions: &[TopicPartition]) -> bool {
        let patience = if self.leaving.load(Ordering::Acquire) {
            Duration::ZERO
        } else {
            REVOKE_PATIENCE
        };
        self.watermarks.wait_idle(Some(partitions), patience)
    }
}

impl ConsumerEvents for Events {
    fn assigned(&self, partitions: &[TopicPartition]) {
        info!("reading {} partitions more", partitions.len());
        let mut begun = self.begun.lock().unwrap_or_else(|lock| lock.into_inner());
        begun.extend_from_slice(partitions);
    }

    fn revoked(&self, partitions: &[TopicPartition], lost: bool) -> Vec<(TopicPartition, i64)> {
        info!(lost, "giving up {} partitions", partitions.len());
        self.watermarks.let_go(Some(partitions));
        if !lost && !self.is_idle(partitions) {
            warn!(
                "records of partitions that are given up are still in flight: left to whoever reads them next"
            );
        }
        let mut given_up = self
            .given_up
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        given_up.extend_from_slice(partitions);
        self.watermarks.give_up(partitions)
    }
}

impl Reader {
    /// Reads until it is time to end, then waits for what is in flight and
    /// commits it. Whether everything was archived and committed.
    pub fn run(mut self, out: UnboundedSender<Item>) -> Result<bool, ArchiveError> {
        let mut end = None;
        if self.bounds.until_eos {
            let asked = UntilEnd::ask(&self.consumer, &self.topics)?;
            // Also of partitions that have nothing left to give.
            self.gaps.begin(asked.partitions().iter().cloned());
            end = Some(asked);
        }
        let reason = self.read(&out, &mut end)?;
        drop(out);
        debug!(?reason, "reading has ended");
        let patience = match reason {
            Reason::Told => {
                self.watermarks.let_go(None);
                Some(self.bounds.drain)
            }
            // Nobody is waiting for the process to go.
            Reason::EndReached | Reason::EnoughRead => None,
        };
        self.drain(patience)
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
            self.topics.follow(&self.consumer)?;
            if self.held.is_empty() {
                self.poll(POLL)?;
            }
            if !self.hand_on_first(out)? {
                return Ok(Reason::Told);
            }
            self.commit_when_due()?;
            if let Some(end) = end
                && self.held.is_empty()
                && end.is_reached(
                    &self.consumer,
                    &self.topics,
                    &self.watermarks,
                    self.received,
                )?
            {
                return Ok(Reason::EndReached);
            }
        }
    }

    fn poll(&mut self, timeout: Duration) -> Result<(), ArchiveError> {
        match self.consumer.poll(timeout) {
            Polled::Record(record) => self.held.push_back(record),
            Polled::Nothing => {}
            Polled::Trouble(trouble) => info!("{trouble}; the client goes on by itself"),
            Polled::Fatal(failure) => return Err(failure.into()),
        }
        let mut given_up = self
            .events
            .given_up
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        self.gaps.end(&given_up);
        for lost in given_up.drain(..) {
            self.held
                .retain(|r| r.partition != lost.partition || r.topic != lost.topic);
        }
        let mut begun = self
            .events
            .begun
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        self.gaps.begin(begun.drain(..));
        Ok(())
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
            if let Some(room) = self.budget.take(units, PATIENCE, &self.runtime) {
                break Some(room);
            }
            if self.shutdown.is_due() {
                break None;
            }
            if !paused {
                debug!("the byte budget is full: partitions pause");
            }
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
        self.gaps.received(&partition, record.offset);
        let ticket = self.watermarks.received(&partition, record.offset);
        self.received += 1;
        out.send(Item {
            record,
            ticket,
            room,
        })
        .map_err(|_| ArchiveError::Broken {
            part: "batcher",
            cause: "it takes no records any more".into(),
        })
    }

    fn commit_when_due(&mut self) -> Result<(), ArchiveError> {
        if self.last_commit.elapsed() >= COMMIT_INTERVAL {
            self.commit()?;
        }
        Ok(())
    }

    /// One commit at a time, so that an older one can never come after a newer
    /// one.
    fn commit(&mut self) -> Result<(), ArchiveError> {
        self.last_commit = Instant::now();
        if let Some(result) = self.consumer.committed() {
            self.commit_under_way = false;
            self.watermarks.committed(&result.offsets);
            if let Some(error) = result.error {
                warn!("offsets were not committed ({error}); they will be again");
            }
        }
        match self.gaps.settle(&self.consumer) {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                info!(
                    "{error}: it cannot be told yet whether records were lost; nothing is committed meanwhile"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let offsets = self.watermarks.uncommitted();
        if self.commit_under_way || offsets.is_empty() {
            return Ok(());
        }
        match self.consumer.commit(&offsets) {
            Ok(()) => self.commit_under_way = true,
            Err(error) => warn!("{error}: offsets were not committed; they will be again"),
        }
        Ok(())
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
    fn drain(mut self, patience: Option<Duration>) -> Result<bool, ArchiveError> {
        let mut deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            self.consumer.pause()?;
            self.poll(Duration::from_millis(10))?;
            self.held.clear();
            let idle = self.watermarks.wait_idle(None, Duration::from_millis(10));
            self.commit()?;
            if idle && self.gaps.is_settled() && self.watermarks.uncommitted().is_empty() {
                return Ok(true);
            }
            if deadline.is_none() && self.shutdown.is_due() {
                deadline = Some(Instant::now() + self.bounds.drain);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // The end of the consumer gives its partitions up.
                self.events.leave();
                return Ok(false);
            }
        }
    }
}
