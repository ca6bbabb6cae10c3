//! One pass over a type, for commands.

use std::time::{Duration, Instant};

use super::error::PublishError;
use super::message::{Order, pack};
use super::positions::{Claimed, Mode};
use super::status::State;
use super::work::{Next, TURN, Work, pages};
use crate::shutdown::Shutdown;

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Publish what is new.
    New,
    /// Look what would be published, and change nothing.
    Dry,
    /// Compare everything with what was published, and publish what is missing.
    Reconcile,
    /// Try again what the quarantine has that is marked for it.
    Replay,
    /// Remove the topic, forget the position, and fill the topic anew, or leave
    /// it paused.
    Rebuild { stay_paused: bool },
}

/// What became of a type in a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub schema_name: String,
    pub topic: String,
    /// Entities that are on Kafka now, or would be; of those late ones.
    pub published: u64,
    pub late: u64,
    /// Entities that are in the quarantine now, or would be.
    pub quarantined: u64,
    /// Why nothing was done, or not all.
    pub trouble: Option<String>,
}

/// How long a type that another instance has is waited for: it may just have
/// died.
const PATIENCE: Duration = Duration::from_secs(5);

impl Work {
    /// One pass, after which the type is given up.
    pub(super) fn once(&mut self, pass: Pass, shutdown: &Shutdown) -> Outcome {
        let mut quarantined = 0;
        let mut would = 0;
        let result = match pass {
            Pass::Dry => self.dry().map(|counts| (would, quarantined) = counts),
            pass => self.pass(pass, &mut quarantined, shutdown),
        };
        self.let_go();
        let status = self.board.status();
        Outcome {
            schema_name: status.schema_name.clone(),
            topic: status.topic.clone(),
            published: status.published + would,
            late: status.late,
            quarantined,
            trouble: result.err().map(|error| error.to_string()),
        }
    }

    fn pass(
        &mut self,
        pass: Pass,
        quarantined: &mut u64,
        shutdown: &Shutdown,
    ) -> Result<(), PublishError> {
        self.hold_soon(shutdown)?;
        self.follow_mode()?;
        if let Pass::Rebuild { stay_paused } = pass {
            self.order_rebuild()?;
            self.rebuild()?;
            if stay_paused {
                return Ok(());
            }
            let positions = &self.context.positions;
            if positions.change_mode(self.id(), None, &[Mode::Paused], Mode::Running)? {
                self.board.order(State::Normal);
            }
        }
        if !self.board.state().is_running() {
            let word = self.board.state().word();
            return Err(PublishError::Lost(format!("it is {word}: resume it first")));
        }
        let before = self.quarantined()?;
        match pass {
            Pass::Reconcile => self.reconcile(shutdown).map(drop)?,
            Pass::Replay => self.replay().map(drop)?,
            _ => while self.walk(TURN, shutdown)? == Next::AtOnce && !shutdown.is_due() {},
        }
        *quarantined = self.quarantined()?.saturating_sub(before);
        Ok(())
    }

    fn order_rebuild(&self) -> Result<(), PublishError> {
        let topic = self.board.status().topic.clone();
        if let Claimed::Taken(by) = self.context.positions.claim(self.id(), &topic)? {
            return Err(PublishError::TopicTaken { topic, by });
        }
        // One that is ordered already is the same.
        let from = [Mode::Running, Mode::Paused, Mode::Locked];
        let positions = &self.context.positions;
        positions.change_mode(self.id(), None, &from, Mode::Rebuilding)?;
        Ok(())
    }

    fn quarantined(&self) -> Result<u64, PublishError> {
        let counts = self.context.positions.quarantine_counts()?;
        Ok(counts.get(self.id()).copied().unwrap_or_default())
    }

    fn hold_soon(&mut self, shutdown: &Shutdown) -> Result<(), PublishError> {
        let deadline = Instant::now() + PATIENCE;
        while !self.hold()? {
            if Instant::now() > deadline || shutdown.is_due() {
                return Err(PublishError::Lost(
                    "another instance publishes it: it does this by itself, or stop it first"
                        .to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// How many entities would be published, and how many do not fit.
    fn dry(&mut self) -> Result<(u64, u64), PublishError> {
        let standing = self.context.positions.standing(self.id())?;
        let mut after = standing
            .map(|standing| standing.position)
            .unwrap_or_default();
        let bound = self.context.bound()?;
        let mut counts = (0, 0);
        loop {
            let page = pages(&self.context, self.id(), &after, &bound)?;
            let Some(last) = page.entities.last() else {
                return Ok(counts);
            };
            after = last.modified.clone();
            let packed = pack(&page.entities, Order::Following, self.writer()?)?;
            let misfits = packed.unsendable.len() as u64;
            counts.0 += page.entities.len() as u64 - misfits;
            counts.1 += misfits;
            if !page.more {
                return Ok(counts);
            }
        }
    }
}
