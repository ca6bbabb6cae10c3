//! Records of Kafka, to the agent.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::courier::{self, Courier};
use super::gate::Gate;
use super::pace::Pace;
use crate::kafka::{Cluster, Inbox, InboxConfig, KafkaFailure, Polled, TopicPartition};
use crate::record::Record;
use crate::shutdown::Shutdown;

const POLL: Duration = Duration::from_millis(100);

/// An agent that has not taken a record after this long is polled around: the
/// partitions are paused, and the group sees that this member lives.
const SOON: Duration = Duration::from_millis(500);

/// Between two messages about the same trouble.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The loop from Kafka to the agent.
pub struct Incoming {
    pub cluster: Arc<Cluster>,
    pub config: InboxConfig,
    pub courier: Arc<Courier>,
    pub gate: Arc<Gate>,
}

impl Incoming {
    /// Until `shutdown` is due. Blocks; deliveries run on `runtime`.
    pub fn run(&self, runtime: &Handle, shutdown: &Shutdown) {
        let mut pace = Pace::default();
        while !shutdown.is_due() {
            if !self.gate.is_open() {
                std::thread::sleep(POLL);
                continue;
            }
            match Inbox::open(&self.cluster, &self.config) {
                Ok(inbox) => {
                    info!(
                        "records of {} go to {}",
                        self.config.topics,
                        self.courier.agent.name()
                    );
                    let mut membership = Membership {
                        inbox,
                        held: VecDeque::new(),
                        is_paused: false,
                        told: None,
                    };
                    match self.read(&mut membership, runtime, shutdown) {
                        // Told to stop: the group is left, what was taken is
                        // committed.
                        Ok(()) => pace = Pace::default(),
                        Err(failure) => self.wait(&failure, &mut pace, shutdown),
                    }
                }
                Err(failure) => self.wait(&failure, &mut pace, shutdown),
            }
        }
    }

    fn goes_on(&self, shutdown: &Shutdown) -> bool {
        self.gate.is_open() && !shutdown.is_due()
    }

    fn wait(&self, failure: &KafkaFailure, pace: &mut Pace, shutdown: &Shutdown) {
        error!("{failure}; trying again");
        let until = Instant::now() + pace.next();
        while Instant::now() < until && !shutdown.is_due() {
            std::thread::sleep(POLL.min(until - Instant::now()));
        }
    }

    /// Record after record. Errors: the client cannot go on.
    fn read(
        &self,
        membership: &mut Membership,
        runtime: &Handle,
        shutdown: &Shutdown,
    ) -> Result<(), KafkaFailure> {
        while self.goes_on(shutdown) {
            if let Some(record) = membership.next()? {
                self.deliver(record, membership, runtime, shutdown)?;
            }
        }
        Ok(())
    }

    /// Waits until the record is done with, or is somebody else's, or it is
    /// time to stop; only the first is remembered. Errors: the client cannot go
    /// on; or the delivery ended without an end, so that the record has to be
    /// read again, before the next one.
    fn deliver(
        &self,
        record: Record,
        membership: &mut Membership,
        runtime: &Handle,
        shutdown: &Shutdown,
    ) -> Result<(), KafkaFailure> {
        let (done, is_done) = mpsc::channel();
        let (courier, letter) = (self.courier.clone(), record.clone());
        // Ends with this: the record may be given to the agent by somebody else
        // from then on.
        let mut delivery = JoinSet::new();
        let deliver = async move {
            courier.deliver(&letter).await;
            // Whoever waited may have given up.
            let _ = done.send(());
        };
        delivery.spawn_on(deliver, runtime);
        let partition = TopicPartition::new(&record.topic, record.partition);
        let mut patience = SOON;
        loop {
            match is_done.recv_timeout(patience) {
                Ok(()) => return membership.inbox.take(&record),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.unfinished(&record)),
            }
            patience = POLL;
            let is_revoked = membership.hold()?.contains(&partition);
            if is_revoked || !self.goes_on(shutdown) {
                return Ok(());
            }
        }
    }

    fn unfinished(&self, record: &Record) -> KafkaFailure {
        KafkaFailure::Unavailable {
            cluster: self.cluster.name().to_owned(),
            cause: format!(
                "record {} was not delivered to its end",
                courier::place(record)
            ),
        }
    }
}

/// A membership of the group.
struct Membership {
    inbox: Inbox,
    /// Read while the agent was waited for.
    held: VecDeque<Record>,
    is_paused: bool,
    told: Option<(String, Instant)>,
}

impl Membership {
    /// The next record, if one comes soon.
    fn next(&mut self) -> Result<Option<Record>, KafkaFailure> {
        self.drop_revoked();
        if let Some(record) = self.held.pop_front() {
            return Ok(Some(record));
        }
        if self.is_paused {
            self.inbox.resume()?;
            self.is_paused = false;
        }
        let polled = self.inbox.poll(POLL);
        // What was revoked in this poll went before the record in it.
        self.drop_revoked();
        self.polled(polled)
    }

    /// Fetches nothing more, and lets the group know of this member. Gives the
    /// partitions that were given up meanwhile.
    fn hold(&mut self) -> Result<HashSet<TopicPartition>, KafkaFailure> {
        // Again each time: partitions that were assigned since are not paused.
        self.inbox.pause()?;
        self.is_paused = true;
        let polled = self.inbox.poll(Duration::ZERO);
        let revoked = self.drop_revoked();
        if let Some(record) = self.polled(polled)? {
            self.held.push_back(record);
        }
        Ok(revoked)
    }

    fn drop_revoked(&mut self) -> HashSet<TopicPartition> {
        let revoked = self.inbox.revoked();
        if !revoked.is_empty() {
            self.held.retain(|record| {
                !revoked.contains(&TopicPartition::new(&record.topic, record.partition))
            });
        }
        revoked
    }

    fn polled(&mut self, polled: Polled) -> Result<Option<Record>, KafkaFailure> {
        match polled {
            Polled::Record(record) => Ok(Some(record)),
            Polled::Nothing | Polled::Stuck { .. } | Polled::OutOfRange { .. } => Ok(None),
            Polled::Fatal(failure) => Err(failure),
            Polled::Trouble(failure) => {
                self.tell(failure.to_string());
                Ok(None)
            }
        }
    }

    /// The same trouble is told once a minute.
    fn tell(&mut self, trouble: String) {
        let is_news = self
            .told
            .as_ref()
            .is_none_or(|(told, at)| *told != trouble || at.elapsed() > TELL_AGAIN);
        if is_news {
            warn!("{trouble}; the client goes on by itself");
            self.told = Some((trouble, Instant::now()));
        }
    }
}
