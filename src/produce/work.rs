//! The work on one type: from where it stands to the bound, page after page.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::container::{Codec, ContainerWriter, Limits};
use super::context::{Context, Seat};
use super::error::PublishError;
use super::message::{Order, Packed, pack, unsendable};
use super::positions::{Mode, Positions, PositionsError};
use super::publish::{Published, Publisher};
use super::status::{Board, State};
use super::time;
use crate::config::ContainerCompression;
use crate::entities::{Bound, Entity, EntityType, Page, Position, SourceError, TypeId, TypeLock};
use crate::registry::wire;
use crate::shutdown::Shutdown;

/// How long one type is worked on before others have their turn.
const TURN: Duration = Duration::from_secs(1);

/// What other instances and commands have asked for is looked for this often,
/// and whether a type that another instance has is free.
pub(super) const CONTROL_INTERVAL: Duration = Duration::from_secs(2);

/// A type that had something new is looked at again after this long.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Entities of a transaction, about: its commit and the position's cost as much
/// as some hundred entities.
const TRANSACTION_ENTITIES: usize = 5000;

/// A schema is as old as this at most when something does not fit it.
const DEFINITION_AGE: Duration = Duration::from_secs(2);

/// When a type is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more.
    AtOnce,
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
            Next::AtOnce => Duration::ZERO,
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

    /// Looks whether the schema is still the one that is registered, when
    /// something of an entity does not fit it. Whether it is another one now.
    fn is_redefined(&mut self, packed: &Packed) -> Result<bool, PublishError> {
        let fits = packed.left_out == 0 && packed.unsendable.is_empty();
        if fits || self.definition_read.elapsed() < DEFINITION_AGE {
            return Ok(false);
        }
        self.definition_read = Instant::now();
        let types = self.context.source.types()?;
        let Some(now) = types.into_iter().find(|one| one.id == self.entity_type.id) else {
            return Ok(false);
        };
        let is_other = now.definition != self.entity_type.definition;
        if is_other {
            self.redefine(now);
        }
        Ok(is_other)
    }

    /// One turn. What fails is told on the board and tried again.
    pub fn turn(&mut self, shutdown: &Shutdown) -> Next {
        match self.try_turn(shutdown) {
            Ok(next) => {
                self.board.is_well();
                next
            }
            Err(error) => self.failed(&error),
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
        if !self.hold()? {
            return Ok(Next::After(CONTROL_INTERVAL));
        }
        self.follow_mode()?;
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
                let found = self.walk(shutdown)?;
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
            self.reload()?;
        }
        self.board.status().is_own = self.lock.is_some();
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
        self.cursor = standing
            .map(|standing| standing.position)
            .unwrap_or_default();
        self.board.status().position = self.cursor.clone();
        Ok(())
    }

    /// What the table says that the type is to do, whoever asked for it.
    pub(super) fn follow_mode(&mut self) -> Result<(), PublishError> {
        if Instant::now() < self.control_due {
            return Ok(());
        }
        let orders = self.board.orders();
        let mode = match self.context.positions.standing(self.id())? {
            Some(standing) => standing.mode,
            None => Mode::Running,
        };
        let mut status = self.board.status();
        if orders != self.board.orders() {
            // What was just ordered here is newer than what was read.
            return Ok(());
        }
        let state = status.state;
        status.state = match mode {
            Mode::Paused if state.is_running() => State::Paused,
            Mode::Running if !state.is_running() => State::Initializing,
            // One that failed is not tried again by itself.
            Mode::Rebuilding if state != State::Locked => State::Rebuilding,
            _ => state,
        };
        let changed = status.state != state;
        drop(status);
        self.control_due = Instant::now() + CONTROL_INTERVAL;
        if changed {
            self.reload()?;
        }
        Ok(())
    }

    pub(super) fn walk(&mut self, shutdown: &Shutdown) -> Result<Next, PublishError> {
        let bound = self.context.bound()?;
        let mut page = pages(&self.context, self.id(), &self.cursor, &bound)?;
        if page.entities.is_empty() {
            if !page.more {
                self.cursor = std::mem::take(&mut self.cursor).max(bound.below);
            }
            self.board.status().behind = None;
            return Ok(Next::Idle);
        }
        if self.open()? {
            page = pages(&self.context, self.id(), &self.cursor, &bound)?;
        }
        let end = Instant::now() + TURN;
        while let Some(last) = page.entities.last().map(|entity| entity.modified.clone()) {
            let goes_on = page.more && Instant::now() < end && !shutdown.is_due();
            let (delivered, ahead) =
                self.deliver_beside(&page.entities, goes_on.then_some((&last, &bound)));
            delivered?;
            self.board.status().behind = page
                .more
                .then(|| time::between(&last, &bound.below))
                .flatten();
            self.cursor = last;
            page = match ahead {
                Some(ahead) if self.board.state().is_running() => ahead?,
                _ if page.more => return Ok(Next::AtOnce),
                _ => return Ok(Next::Soon),
            };
        }
        Ok(Next::Soon)
    }

    /// Publishes entities while the next page is read.
    fn deliver_beside(
        &mut self,
        entities: &[Entity],
        next: Option<(&Position, &Bound)>,
    ) -> (Result<(), PublishError>, Option<Result<Page, SourceError>>) {
        let (context, of) = (self.context.clone(), self.entity_type.id.clone());
        thread::scope(|scope| {
            let ahead = next.map(|(after, bound)| {
                let (context, of) = (&context, &of);
                scope.spawn(move || pages(context, of, after, bound))
            });
            let delivered = self.deliver(entities);
            let ahead = ahead.map(|thread| {
                thread.join().unwrap_or_else(|_| {
                    Err(SourceError::Interrupted(
                        "reading the next page panicked".to_owned(),
                    ))
                })
            });
            (delivered, ahead)
        })
    }

    /// Makes sure of the publisher. Whether the cursor has moved, because more
    /// is published than this instance knew.
    pub(super) fn open(&mut self) -> Result<bool, PublishError> {
        self.used = Instant::now();
        if self.publisher.is_some() {
            return Ok(false);
        }
        let seat = self.context.seat();
        let context = &self.context;
        let open = || {
            let topics = &context.config.topic;
            Publisher::open(
                &context.outlet,
                &*context.positions,
                &self.entity_type,
                topics,
            )
        };
        let publisher = match open() {
            // The type that had the topic is registered no more.
            Err(PublishError::TopicTaken { by, .. }) if !context.is_registered(&by) => {
                context.positions.release_topic(&by)?;
                open()?
            }
            opened => opened?,
        };
        let position = publisher.standing.position.clone();
        info!(of = %self.id(), topic = publisher.topic, %position, "publishing");
        self.publisher = Some((publisher, seat));
        self.board.status().position = position.clone();
        let has_moved = position > self.cursor;
        self.cursor = std::mem::take(&mut self.cursor).max(position);
        Ok(has_moved)
    }

    /// Of the schema as it is registered now.
    pub(super) fn writer(&mut self) -> Result<&mut ContainerWriter, PublishError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.new_writer()?,
        };
        Ok(self.writer.insert(writer))
    }

    /// The schema is the registry's, where there is one, before anything is
    /// written with it.
    fn new_writer(&self) -> Result<ContainerWriter, PublishError> {
        let (of, config) = (&self.entity_type, &self.context.config);
        if let Some(registry) = &self.context.registry {
            let topic = config.topic.name(&of.id.realm, &of.schema_name);
            let id = registry.register(&format!("{topic}-value"), &of.definition)?;
            return Ok(ContainerWriter::bare(
                &of.definition,
                wire::join(id, vec![]),
            )?);
        }
        let container = &config.container;
        let limits = Limits {
            entities: container.entities,
            bytes: container.bytes,
        };
        let codec = codec(container.compression);
        Ok(ContainerWriter::new(&of.definition, codec, limits)?)
    }

    /// The publisher and the writer, made where they are missing.
    pub(super) fn tools(&mut self) -> Result<(&mut Publisher, &mut ContainerWriter), PublishError> {
        self.open()?;
        self.writer()?;
        match (&mut self.publisher, &mut self.writer) {
            (Some((publisher, _)), Some(writer)) => Ok((publisher, writer)),
            _ => Err(PublishError::Lost("the producer was closed".to_owned())),
        }
    }

    /// Publishes entities that follow what was published, in one transaction,
    /// or in several where one of them is too large.
    fn deliver(&mut self, entities: &[Entity]) -> Result<(), PublishError> {
        let Some(last) = entities.last().map(|entity| entity.modified.clone()) else {
            return Ok(());
        };
        let positions = self.context.positions.clone();
        let of = self.entity_type.id.clone();
        let (_, writer) = self.tools()?;
        let mut packed = pack(entities, Order::Following, writer)?;
        if self.is_redefined(&packed)? {
            packed = pack(entities, Order::Following, self.writer()?)?;
        }
        let (publisher, _) = self.tools()?;
        set_aside(&*positions, &of, &packed)?;
        match publisher.publish(&*positions, &packed.messages, &last, vec![])? {
            Published::Committed => {
                let failed = packed.unsendable.len() as u64;
                let succeeded = entities.len() as u64 - failed;
                self.board.changed(succeeded, failed, packed.left_out);
                self.board.status().position = last;
                Ok(())
            }
            Published::TooLarge => match entities {
                [entity] => self.set_aside_as_too_large(entity, &packed),
                _ => {
                    let (first, second) = entities.split_at(entities.len() / 2);
                    self.deliver(first)?;
                    self.deliver(second)
                }
            },
        }
    }

    fn set_aside_as_too_large(
        &mut self,
        entity: &Entity,
        packed: &Packed,
    ) -> Result<(), PublishError> {
        let positions = self.context.positions.clone();
        let of = self.entity_type.id.clone();
        positions.quarantine(&of, &[unsendable(entity, too_large(packed))])?;
        let (publisher, _) = self.tools()?;
        publisher.publish(&*positions, &[], &entity.modified, vec![])?;
        self.board.changed(0, 1, 0);
        self.board.status().position = entity.modified.clone();
        Ok(())
    }

    /// Removes the topic and forgets the position; both, or it is told and
    /// stays locked.
    pub(super) fn rebuild(&mut self) -> Result<(), PublishError> {
        let of = self.entity_type.id.clone();
        let topic = self.board.status().topic.clone();
        self.publisher = None;
        info!(%of, topic, "rebuilding: the topic is removed, the position forgotten");
        let removed = self
            .context
            .outlet
            .remove_topic(&of, &topic)
            .map_err(PublishError::from);
        let reset = removed.and_then(|()| Ok(self.context.positions.reset(&of)?));
        let state = match &reset {
            Ok(()) => State::Paused,
            Err(_) => State::Locked,
        };
        self.board.status().state = state;
        reset?;
        self.reload()?;
        info!(%of, topic, "rebuilt: paused; resume it to fill the topic");
        Ok(())
    }
}

/// As much as goes into one transaction, however little a query may read.
pub(super) fn pages(
    context: &Context,
    of: &TypeId,
    after: &Position,
    bound: &Bound,
) -> Result<Page, SourceError> {
    let (limit, bytes) = (context.config.fetch_size, context.config.fetch_bytes);
    let mut pages = context.source.page(of, after, bound, limit, bytes)?;
    let mut size: usize = pages
        .entities
        .iter()
        .map(|entity| entity.payload.len())
        .sum();
    while pages.more && pages.entities.len() < TRANSACTION_ENTITIES && size < bytes {
        let Some(last) = pages.entities.last() else {
            break;
        };
        let next = context
            .source
            .page(of, &last.modified, bound, limit, bytes - size)?;
        size += next
            .entities
            .iter()
            .map(|entity| entity.payload.len())
            .sum::<usize>();
        pages.entities.extend(next.entities);
        pages.more = next.more;
    }
    Ok(pages)
}

/// What cannot be sent is in the quarantine before anything after it is sent.
pub(super) fn set_aside(
    positions: &dyn Positions,
    of: &TypeId,
    packed: &Packed,
) -> Result<(), PositionsError> {
    if let Some(first) = packed.unsendable.first() {
        let (count, reason) = (packed.unsendable.len(), &first.reason);
        warn!(%of, count, id = %first.id, reason, "entities go into the quarantine");
        positions.quarantine(of, &packed.unsendable)?;
    }
    Ok(())
}

pub(super) fn too_large(packed: &Packed) -> String {
    let bytes: usize = packed.messages.iter().map(|one| one.container.len()).sum();
    format!("its message of {bytes} bytes is larger than the topic takes")
}

fn codec(compression: ContainerCompression) -> Codec {
    match compression {
        ContainerCompression::Deflate => Codec::Deflate,
        ContainerCompression::Null => Codec::Null,
        ContainerCompression::Zstd => Codec::Zstandard,
    }
}

/// Ids with the positions at which they were seen.
pub(super) type Seen = Vec<(Uuid, Position)>;
