//! A running producer, and what is asked now and then of what it works with:
//! whoever looks at it gets an answer of memory, whatever is away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::watch::Watch;
use crate::entities::TypeId;
use crate::kafka::{Admin, Cluster, KafkaFailure};
use crate::produce::{Control, Snapshot};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// A broker that takes longer does not answer.
const KAFKA_PATIENCE: Duration = Duration::from_secs(3);

/// Entities beyond a position are counted up to so many: what is behind by more
/// is told by its seconds.
pub(super) const MOST_WAITING: u64 = 10_000;

/// What the control, the metrics and the probes are about.
pub(super) struct RunningProducer {
    pub control: Control,
    /// See [`ProduceConfig::idle_limit`](crate::config::ProduceConfig).
    pub idle_limit: Duration,
    kafka: Kafka,
    seen: Mutex<Seen>,
}

/// As of the last look.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// `host:port/id` each; none before the first look, and while Kafka is away.
    pub brokers: Vec<String>,
    pub kafka_error: Option<String>,
    pub positions_error: Option<String>,
    /// Entities in the quarantine.
    pub quarantined: BTreeMap<TypeId, u64>,
    /// Entities beyond the position, at most [`MOST_WAITING`], of the types that
    /// this instance publishes.
    pub waiting: BTreeMap<TypeId, u64>,
}

/// A connection that only asks; one question at a time.
struct Kafka {
    cluster: Arc<Cluster>,
    admin: Mutex<Option<Admin>>,
}

impl RunningProducer {
    pub fn new(control: Control, cluster: &Arc<Cluster>, idle_limit: Duration) -> Self {
        Self {
            control,
            idle_limit,
            kafka: Kafka {
                cluster: cluster.clone(),
                admin: Mutex::default(),
            },
            seen: Mutex::default(),
        }
    }

    /// Looks now and then.
    pub fn watch(self: Arc<Self>) -> std::io::Result<Watch> {
        Watch::start("producer-watch", EVERY, move || self.look())
    }

    pub fn seen(&self) -> Seen {
        held(&self.seen).clone()
    }

    /// The cluster's brokers now. Blocks, for seconds at most.
    pub fn brokers(&self) -> Result<Vec<String>, KafkaFailure> {
        let mut kept = held(&self.kafka.admin);
        let admin = match kept.take() {
            Some(admin) => admin,
            None => Admin::open(&self.kafka.cluster, "archive_ingest")?,
        };
        let brokers = admin.brokers(KAFKA_PATIENCE)?;
        // Only one that has its answer is asked again: a client that was told of
        // no broker may have forgotten the only address that it had.
        *kept = Some(admin);
        Ok(brokers)
    }

    fn look(&self) {
        let brokers = self.brokers();
        let quarantined = self.control.quarantine_counts();
        let waiting = self.waiting(&self.control.snapshot());
        let mut seen = held(&self.seen);
        seen.kafka_error = brokers.as_ref().err().map(ToString::to_string);
        seen.brokers = brokers.unwrap_or_default();
        seen.positions_error = quarantined.as_ref().err().map(ToString::to_string);
        // What cannot be asked is as it was.
        if let Ok(quarantined) = quarantined {
            seen.quarantined = quarantined;
        }
        seen.waiting = waiting;
    }

    /// A kernel that does not answer is told by the types themselves.
    fn waiting(&self, snapshot: &Snapshot) -> BTreeMap<TypeId, u64> {
        let own = snapshot.types.iter().filter(|one| one.is_own);
        own.map_while(|one| {
            let waiting = self.control.waiting(one, MOST_WAITING).ok()?;
            Some((one.id.clone(), waiting))
        })
        .collect()
    }
}

/// What a lock guards here is whole whenever it is free, also after a panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
