//! What the work on every type needs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::PublishError;
use super::positions::Positions;
use super::publish::Outlet;
use crate::config::{MessageFormat, ProduceConfig};
use crate::entities::{Bound, EntitySource, HeldBack, SourceError, TypeId};
use crate::kafka::Cluster;
use crate::registry::BlockingRegistry;

/// A bound is asked for all types together.
const BOUND_AGE: Duration = Duration::from_millis(20);

pub(super) struct Context {
    pub source: Arc<dyn EntitySource>,
    pub positions: Arc<dyn Positions>,
    pub outlet: Outlet,
    /// Whose format messages have; `None` where they are containers.
    pub registry: Option<BlockingRegistry>,
    pub config: ProduceConfig,
    bound: Mutex<Option<(Instant, Bound)>>,
    registered: Mutex<BTreeSet<TypeId>>,
    publishers: AtomicUsize,
}

impl Context {
    pub fn new(
        source: Arc<dyn EntitySource>,
        positions: Arc<dyn Positions>,
        cluster: &Arc<Cluster>,
        config: ProduceConfig,
    ) -> Result<Self, PublishError> {
        Ok(Self {
            source,
            positions,
            outlet: Outlet::open(cluster)?,
            registry: match &config.format {
                MessageFormat::Registry(Some(registry)) => Some(BlockingRegistry::open(registry)?),
                MessageFormat::Registry(None) | MessageFormat::Container => None,
            },
            config,
            bound: Mutex::default(),
            registered: Mutex::default(),
            publishers: AtomicUsize::new(0),
        })
    }

    /// How far may be read now, or could a moment ago.
    pub fn bound(&self) -> Result<Bound, SourceError> {
        let mut kept = held(&self.bound);
        match &*kept {
            Some((when, bound)) if when.elapsed() < BOUND_AGE => Ok(bound.clone()),
            _ => {
                let bound = self.source.bound()?;
                *kept = Some((Instant::now(), bound.clone()));
                Ok(bound)
            }
        }
    }

    pub fn held_back(&self) -> Option<HeldBack> {
        held(&self.bound).as_ref()?.1.held_back.clone()
    }

    /// The types that are registered now.
    pub fn set_registered(&self, types: BTreeSet<TypeId>) {
        *held(&self.registered) = types;
    }

    pub fn is_registered(&self, of: &TypeId) -> bool {
        held(&self.registered).contains(of)
    }

    /// Counts a producer as open as long as the answer lives.
    pub fn seat(self: &Arc<Self>) -> Seat {
        self.publishers.fetch_add(1, Ordering::AcqRel);
        Seat(self.clone())
    }

    pub fn open_publishers(&self) -> usize {
        self.publishers.load(Ordering::Acquire)
    }
}

/// An open producer's place.
pub(super) struct Seat(Arc<Context>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.publishers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
