//! The loop: every registered type in turn, until it is told to end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::context::Context;
use super::control::Control;
use super::error::PublishError;
use super::once::{Outcome, Pass};
use super::positions::Positions;
use super::rounds::Rounds;
use super::status::Board;
use super::work::Work;
use crate::config::ProduceConfig;
use crate::entities::{EntitySource, EntityType, TypeId, conflicting};
use crate::kafka::Cluster;
use crate::shutdown::Shutdown;

/// Types that are worked on at once, so that one that waits for Kafka does not
/// hold up the others.
const WORKERS: usize = 2;

/// Producers that are open at once: each has threads and buffers of its own.
const PRODUCERS: usize = 8;

const GLANCE: Duration = Duration::from_millis(100);

/// Publishes entities of a source.
pub struct Producer {
    context: Arc<Context>,
    rounds: Arc<Rounds>,
}

impl Producer {
    /// `positions` are migrated. Connects to Kafka as types need it.
    pub fn new(
        source: Arc<dyn EntitySource>,
        positions: Arc<dyn Positions>,
        cluster: &Arc<Cluster>,
        config: ProduceConfig,
    ) -> Result<Self, PublishError> {
        let context = Context::new(source, positions, cluster, config)?;
        Ok(Self {
            context: Arc::new(context),
            rounds: Arc::default(),
        })
    }

    /// For whoever gives orders and asks how it goes.
    pub fn control(&self) -> Control {
        Control {
            context: self.context.clone(),
            rounds: self.rounds.clone(),
        }
    }

    /// Makes the topics of all registered types, which otherwise come with the
    /// first entity.
    pub fn make_topics(&self) -> Result<(), PublishError> {
        let new = &self.context.config.topic;
        for one in self.context.source.types()? {
            let topic = new.name(&one.id.realm, &one.schema_name);
            self.context.outlet.partitions(&topic, new)?;
        }
        Ok(())
    }

    /// Publishes until told to end. What fails is tried again, for as long as
    /// it runs. Blocks; must not be called on a thread of an async runtime.
    pub fn run(&self, shutdown: &Shutdown) {
        wait(self.context.config.start_delay, shutdown);
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(shutdown));
            }
            self.watch_types(shutdown);
        });
        self.rounds.let_go();
    }

    fn watch_types(&self, shutdown: &Shutdown) {
        let mut told: Vec<String> = Vec::new();
        while !shutdown.is_due() {
            let pause = match self.context.source.types() {
                Ok(types) => {
                    let conflicts = self.conflicts(&types);
                    for conflict in conflicts.iter().filter(|one| !told.contains(one)) {
                        error!("{conflict}");
                    }
                    told = conflicts;
                    self.rounds.asked_source(None);
                    self.rounds.follow(types, &self.context);
                    self.context.config.types_interval
                }
                Err(error) => {
                    warn!("the registered types cannot be read: {error}");
                    self.rounds.asked_source(Some(error.to_string()));
                    self.context.config.retry_pause
                }
            };
            wait(pause, shutdown);
        }
    }

    fn conflicts(&self, types: &[EntityType]) -> Vec<String> {
        let topics = &self.context.config.topic;
        let by_topic = conflicting(types, |one| topics.name(&one.id.realm, &one.schema_name));
        by_topic
            .iter()
            .map(|(topic, of_topic)| {
                let ids: Vec<String> = of_topic.iter().map(|one| one.id.to_string()).collect();
                format!(
                    "schemas {} all belong to topic {topic}: only one of them is published; give the others another name",
                    ids.join(", ")
                )
            })
            .collect()
    }

    fn work(&self, shutdown: &Shutdown) {
        while let Some(turn) = self.rounds.next(shutdown) {
            self.rounds
                .close_idle(&self.context, &turn, PRODUCERS.max(WORKERS));
            // One type's defect does not end the others' loop.
            let next = catch_unwind(AssertUnwindSafe(|| turn.take(shutdown)))
                .unwrap_or_else(|_| turn.broken_off(self.context.config.retry_pause));
            let idle = self.rounds.idle_pause(self.context.config.poll_interval);
            self.rounds.done(&turn, &next, idle);
        }
    }

    /// Publishes what there is now of these types, each to the end, and returns.
    pub fn run_once(
        &self,
        is_asked: impl Fn(&EntityType, &str) -> bool,
        pass: Pass,
        shutdown: &Shutdown,
    ) -> Result<BTreeMap<TypeId, Outcome>, PublishError> {
        let types = self.context.source.types()?;
        self.context
            .set_registered(types.iter().map(|one| one.id.clone()).collect());
        let mut outcomes = BTreeMap::new();
        for entity_type in types {
            let topic = self
                .context
                .config
                .topic
                .name(&entity_type.id.realm, &entity_type.schema_name);
            if !is_asked(&entity_type, &topic) || shutdown.is_due() {
                continue;
            }
            let id = entity_type.id.clone();
            let board = Arc::new(Board::new(&entity_type, topic));
            let mut work = Work::new(entity_type, board, self.context.clone());
            outcomes.insert(id, work.once(pass, shutdown));
        }
        Ok(outcomes)
    }
}

fn wait(pause: Duration, shutdown: &Shutdown) {
    let end = Instant::now() + pause;
    while !shutdown.is_due() {
        match end.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::sleep(left.min(GLANCE)),
            _ => return,
        }
    }
}
