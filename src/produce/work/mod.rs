//! The work on one type: what its turn is for, and what it has for it.

mod deliver;
mod together;
mod tools;
mod walk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::container::ContainerWriter;
use super::context::{Context, Seat};
use super::error::PublishError;
use super::positions::{Mode, PositionsError};
use super::publish::Publisher;
use super::status::{Board, State};
use crate::entities::{EntityType, Position, TypeId, TypeLock};
use crate::shutdown::Shutdown;

pub(super) use deliver::{set_aside, too_large};
pub(super) use together::{TOGETHER, turn as turn_together};
pub(super) use walk::{TURN, pages};

/// What other instances and commands have asked for is looked for this often,
/// and whether a type that another instance has is free.
pub(super) const CONTROL_INTERVAL: Duration = Duration::from_secs(2);

/// A type that had something new is looked at again after this long.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// When a type is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more.
    AtOnce,
    /// The same, but not together with others.
    Alone,
    /// There was something, and may be more soon.
    Soon,
    /// There was nothing.
    Idle,
    After(Duration),
}

impl Next {
    /// `idle` is the pause after nothing.
    pub fn pause(self, idle: Duration) -> Duration {
        match self {
            Next::AtOnce | Next::Alone => Duration::ZERO,
            Next::Soon => BUSY_PAUSE.min(idle),
            Next::Idle => idle,
            Next::After(pause) => pause,
        }
    }
}

/// A type in the hands of one thread at a time.
pub(super) struct Work {
    pub entity_type: EntityType,
    pub board: Arc<Board>,
    pub(super) context: Arc<Context>,
    lock: Option<Box<dyn TypeLock>>,
    pub(super) publisher: Option<(Publisher, Seat)>,
    pub(super) writer: Option<ContainerWriter>,
    /// Nothing is left to read before it.
    cursor: Position,
    /// The cursor is to be read from the table before anything is published.
    is_unknown: bool,
    /// There was more when its last turn ended.
    is_behind: bool,
    /// It was too far ahead of others that are behind, and goes on by itself.
    is_apart: bool,
    pub(super) control_due: Instant,
    pub(super) look_back_due: Instant,
    pub(super) reconcile_due: Option<Instant>,
    definition_read: Instant,
    /// When it last published.
    pub used: Instant,
}

impl Work {
    pub fn new(entity_type: EntityType, board: Arc<Board>, context: Arc<Context>) -> Self {
        let now = Instant::now();
        // Types do not all have their turn at the same hour, nor does a start
        // begin with all of them.
        let spread = |interval: Duration| now + interval.mul_f64(rand::random());
        Self {
            entity_type,
            board,
            lock: None,
            publisher: None,
            writer: None,
            cursor: Position::start(),
            is_unknown: true,
            is_behind: false,
            is_apart: false,
            control_due: now,
            look_back_due: spread(context.config.look_back_interval),
            reconcile_due: context.config.reconcile_interval.map(spread),
            definition_read: now,
            used: now,
            context,
        }
    }

    pub(super) fn id(&self) -> &TypeId {
        &self.entity_type.id
    }

    /// Another definition of the same type, or another name.
    pub fn redefine(&mut self, entity_type: EntityType) {
        if self.entity_type.definition != entity_type.definition {
            info!(of = %entity_type.id, revision = entity_type.revision, "the schema has changed");
            self.writer = None;
        }
        if self.entity_type.schema_name != entity_type.schema_name {
            self.publisher = None;
            self.writer = None;
            let topics = &self.context.config.topic;
            let mut status = self.board.status();
            status.topic = topics.name(&entity_type.id.realm, &entity_type.schema_name);
            status.schema_name.clone_from(&entity_type.schema_name);
        }
        self.entity_type = entity_type;
    }

    /// One turn. What fails is told on the board and tried again.
    pub fn turn(&mut self, shutdown: &Shutdown) -> Next {
        let next = match self.try_turn(shutdown) {
            Ok(next) => {
                self.board.is_well();
                next
            }
            Err(error) => self.failed(&error),
        };
        self.is_behind = next == Next::AtOnce;
        self.is_apart &= self.is_behind;
        match self.is_apart {
            true => Next::Alone,
            false => next,
        }
    }

    fn failed(&mut self, failure: &PublishError) -> Next {
        let (of, topic) = (self.id().clone(), self.board.status().topic.clone());
        self.publisher = None;
        if failure.is_lost() {
            warn!(%of, topic, "{failure}");
            self.let_go();
            return Next::After(CONTROL_INTERVAL);
        }
        // Told once, as long as it stays the same.
        let cause = failure.to_string();
        let known = self.board.status().last_error.clone();
        let is_news = self.board.state() != State::Error || known.is_none_or(|k| k.cause != cause);
        match is_news {
            true => error!(%of, topic, "{cause}"),
            false => debug!(%of, topic, "{cause}"),
        }
        self.board.failed(cause, failure.is_kafkas());
        Next::After(self.context.config.retry_pause)
    }

    fn try_turn(&mut self, shutdown: &Shutdown) -> Result<Next, PublishError> {
        let is_own = self.hold()?;
        self.follow_mode()?;
        if !is_own {
            return Ok(Next::After(CONTROL_INTERVAL));
        }
        match self.board.state() {
            State::Rebuilding => {
                self.rebuild()?;
                Ok(Next::After(CONTROL_INTERVAL))
            }
            State::Paused | State::Locked => {
                self.publisher = None;
                Ok(Next::After(CONTROL_INTERVAL))
            }
            State::Initializing | State::Normal | State::Error => {
                // One that turns out to be behind may be so together with others.
                let time = if self.is_behind { TURN } else { Duration::ZERO };
                let found = self.walk(time, shutdown)?;
                self.look_after_late_ones(shutdown)?;
                Ok(found)
            }
        }
    }

    /// Whether the type is this instance's to publish.
    pub(super) fn hold(&mut self) -> Result<bool, PublishError> {
        if self.lock.as_ref().is_some_and(|lock| !lock.is_held()) {
            warn!(of = %self.id(), "the right to publish was lost with its connection");
            self.let_go();
        }
        if self.lock.is_none() {
            self.lock = self.context.source.lock(&self.entity_type.id)?;
            self.control_due = Instant::now();
            self.is_unknown = true;
        }
        self.board.status().is_own = self.lock.is_some();
        if self.is_unknown {
            self.reload()?;
        }
        Ok(self.lock.is_some())
    }

    /// Ends what this instance has of the type.
    pub fn let_go(&mut self) {
        self.publisher = None;
        self.lock = None;
        let mut status = self.board.status();
        status.is_own = false;
        if status.state.is_running() {
            status.state = State::Initializing;
        }
    }

    /// Back to the last entity that was published: what has turned up between
    /// that one and the bound is then read after all, and in order.
    pub(super) fn rewind(&mut self) {
        self.cursor = self.board.status().position.clone();
    }

    /// From the table, where another instance may have written meanwhile.
    fn reload(&mut self) -> Result<(), PositionsError> {
        let standing = self.context.positions.standing(self.id())?;
        self.go_to(standing.map(|one| one.position).unwrap_or_default());
        Ok(())
    }

    fn go_to(&mut self, position: Position) {
        self.board.status().position = position.clone();
        self.cursor = position;
        self.is_unknown = false;
    }

    /// Makes the state what the table says, on whichever instance: read when the
    /// type's lock is taken and every [`CONTROL_INTERVAL`].
    pub(super) fn follow_mode(&mut self) -> Result<(), PublishError> {
        if Instant::now() < self.control_due {
            return Ok(());
        }
        let orders = self.board.orders();
        let standing = self.context.positions.standing(self.id())?;
        let mode = standing.as_ref().map_or(Mode::Running, |one| one.mode);
        let mut status = self.board.status();
        if orders != self.board.orders() {
            // What was just ordered here is newer than what was read.
            return Ok(());
        }
        let before = status.state;
        status.state = match mode {
            // This instance knows how it goes.
            Mode::Running if self.lock.is_some() && before.is_running() => before,
            Mode::Running if self.lock.is_some() => State::Initializing,
            mode => State::of(mode),
        };
        let has_changed = status.state != before;
        drop(status);
        self.control_due = Instant::now() + CONTROL_INTERVAL;
        if has_changed || self.lock.is_none() {
            self.go_to(standing.map(|one| one.position).unwrap_or_default());
        }
        Ok(())
    }

    /// Carries out the rebuild that the table orders: removes the topic and
    /// forgets the position, or locks the type. One that another instance has
    /// carried out already is left alone: it belongs to the generation that it
    /// was ordered for.
    pub(super) fn rebuild(&mut self) -> Result<(), PublishError> {
        let of = self.entity_type.id.clone();
        let topic = self.board.status().topic.clone();
        self.publisher = None;
        self.control_due = Instant::now();
        let context = self.context.clone();
        let ordered = || -> Result<Option<i64>, PositionsError> {
            let standing = context.positions.standing(&of)?;
            let ordered = standing.filter(|one| one.mode == Mode::Rebuilding);
            Ok(ordered.map(|one| one.generation))
        };
        let Some(generation) = ordered()? else {
            return self.follow_mode();
        };
        info!(%of, topic, generation, "rebuild started, removing the topic");
        let rebuilt = context.outlet.fence(&of).map_err(PublishError::from);
        let rebuilt = rebuilt.and_then(|_fence| {
            // The fence may have waited for another instance that did it.
            self.make_sure_of_the_right()?;
            if ordered()? != Some(generation) {
                return Err(PositionsError::Superseded { of: of.clone() }.into());
            }
            context.outlet.remove_topic(&topic)?;
            Ok(context.positions.reset(&of, generation)?)
        });
        if let Err(failure) = rebuilt {
            if !failure.is_lost() {
                let from = [Mode::Rebuilding];
                let locked =
                    context
                        .positions
                        .change_mode(&of, Some(generation), &from, Mode::Locked);
                // Where that fails too, the order stays and is tried again.
                if matches!(locked, Ok(true)) {
                    self.board.status().state = State::Locked;
                }
            }
            return Err(failure);
        }
        self.follow_mode()?;
        info!(%of, topic, "rebuild finished, paused until it is resumed");
        Ok(())
    }
}

/// Ids with the positions at which they were seen.
pub(super) type Seen = Vec<(Uuid, Position)>;
