//! What the HTTP control asks of a running producer and orders from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use super::producer_watch::RunningProducer;
use crate::http::control::{
    Changeset, ControlFailure, Order, ProducerControl, ProducerState, Realms, TopicState,
    TopicStatus,
};
use crate::http::probes::Probes;
use crate::produce::{self, Failure, Refused, Snapshot, State, TypeStatus};

/// A service that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(7);

/// Counting goes through all entities.
const COUNT_PATIENCE: Duration = Duration::from_secs(120);

/// However often it is asked, it is looked at once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// A producer as the listeners know it.
pub(super) struct Controlled {
    producer: Arc<RunningProducer>,
    counts: Kept<Result<Realms<u64>, String>>,
    kernel: Kept<bool>,
    kafka: Kept<bool>,
}

impl Controlled {
    pub fn new(producer: Arc<RunningProducer>) -> Self {
        Self {
            producer,
            counts: Kept::default(),
            kernel: Kept::default(),
            kafka: Kept::default(),
        }
    }

    fn idle(&self, snapshot: &Snapshot) -> BTreeMap<String, u64> {
        let idle = snapshot.idle_realms(self.producer.idle_limit);
        let seconds = |(realm, since): (String, Duration)| (realm, since.as_secs());
        idle.into_iter().map(seconds).collect()
    }
}

#[async_trait]
impl ProducerControl for Controlled {
    async fn topics(&self) -> Result<Realms<u64>, String> {
        let producer = self.producer.clone();
        let count = move || counts(&producer);
        let counted = self.counts.get(COUNT_PATIENCE, count).await;
        counted.unwrap_or_else(|| Err("the entities could not be counted in time".to_owned()))
    }

    async fn status(&self) -> ProducerState {
        let (snapshot, seen) = (self.producer.control.snapshot(), self.producer.seen());
        let mut topics: Realms<TopicState> = Realms::new();
        for one in &snapshot.types {
            let quarantined = seen.quarantined.get(&one.id).copied().unwrap_or_default();
            let state = topic_state(one, quarantined);
            let realm = topics.entry(one.id.realm.clone()).or_default();
            realm.insert(one.schema_name.clone(), state);
        }
        ProducerState {
            kernel_mode: "db".to_owned(),
            kernel_last_check: snapshot.source_asked.map(|at| at.to_string()),
            kernel_last_check_error: snapshot.source_error.map(|error| error.cause),
            kafka_container_accessible: !seen.brokers.is_empty(),
            kafka_broker_information: json!({ "brokers": seen.brokers }),
            kafka_last_submission_error: last_error_of_kafka(&snapshot.types),
            topics,
        }
    }

    fn idle_realms(&self) -> BTreeMap<String, u64> {
        self.idle(&self.producer.control.snapshot())
    }

    async fn is_kernel_there(&self) -> bool {
        let control = self.producer.control.clone();
        let ask = move || match control.check_source() {
            Ok(()) => true,
            Err(error) => {
                warn!("{error}");
                false
            }
        };
        self.kernel.get(PATIENCE, ask).await.unwrap_or(false)
    }

    async fn is_kafka_there(&self) -> bool {
        let producer = self.producer.clone();
        let ask = move || match producer.brokers() {
            Ok(brokers) => !brokers.is_empty(),
            Err(error) => {
                warn!("{error}");
                false
            }
        };
        self.kafka.get(PATIENCE, ask).await.unwrap_or(false)
    }

    async fn order(&self, order: Order, realm: &str, topic: &str) -> Result<(), ControlFailure> {
        let control = self.producer.control.clone();
        let (realm, name) = (realm.to_owned(), topic.to_owned());
        let carried_out = spawn_blocking(move || match order {
            Order::Pause => control.pause(&realm, &name),
            Order::Resume => control.resume(&realm, &name),
            Order::Rebuild => control.rebuild(&realm, &name),
        });
        match carried_out.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refused)) => Err(failure(refused, topic)),
            Err(_) => Err(ControlFailure::Failed {
                topic: topic.to_owned(),
            }),
        }
    }
}

#[async_trait]
impl Probes for Controlled {
    async fn not_ready(&self) -> Vec<String> {
        let (snapshot, seen) = (self.producer.control.snapshot(), self.producer.seen());
        let idle = self.idle(&snapshot);
        let source = snapshot.source_error.map(|error| error.cause);
        let services = [source, seen.positions_error, seen.kafka_error];
        let mut reasons: Vec<String> = services.into_iter().flatten().collect();
        reasons.extend(idle.into_iter().map(|(realm, seconds)| {
            format!("producer: realm {realm} was not worked on without an error for {seconds} s")
        }));
        reasons
    }
}

/// Schemas of one name in a realm are counted together.
fn counts(producer: &RunningProducer) -> Result<Realms<u64>, String> {
    let names: BTreeMap<_, _> = producer
        .control
        .snapshot()
        .types
        .into_iter()
        .map(|one| (one.id, one.schema_name))
        .collect();
    let counts = producer.control.counts().map_err(|e| e.to_string())?;
    let mut realms: Realms<u64> = Realms::new();
    for (id, count) in counts {
        if let Some(name) = names.get(&id) {
            let realm = realms.entry(id.realm).or_default();
            *realm.entry(name.clone()).or_default() += count;
        }
    }
    Ok(realms)
}

fn topic_state(one: &TypeStatus, quarantined: u64) -> TopicState {
    TopicState {
        operating_status: match one.state {
            State::Initializing => TopicStatus::Initializing,
            State::Paused => TopicStatus::Paused,
            State::Locked => TopicStatus::Locked,
            State::Rebuilding => TopicStatus::Rebuilding,
            State::Normal => TopicStatus::Normal,
            State::Error => TopicStatus::Error,
        },
        last_changeset_status: match &one.last_changeset {
            Some(changeset) => Changeset {
                changes: changeset.changes,
                failed: changeset.failed,
                succeeded: changeset.succeeded,
                timestamp: Some(changeset.timestamp.to_string()),
            },
            None => Changeset::default(),
        },
        last_errors_set: errors_set(one, quarantined),
    }
}

/// Null while nothing has gone wrong and nothing is set aside.
fn errors_set(one: &TypeStatus, quarantined: u64) -> Value {
    if one.last_failed.is_none() && one.last_error.is_none() && quarantined == 0 {
        return Value::Null;
    }
    let failed: Option<&produce::Changeset> = one.last_failed.as_ref();
    let error: Option<&Failure> = one.last_error.as_ref();
    let count = |of: fn(&produce::Changeset) -> u64| failed.map_or(0, of);
    let times = [failed.map(|f| f.timestamp), error.map(|e| e.timestamp)];
    let last: Option<Timestamp> = times.into_iter().flatten().max();
    json!({
        "changes": count(|set| set.changes),
        "failed": count(|set| set.failed),
        "succeeded": count(|set| set.succeeded),
        "timestamp": last.map(|at| at.to_string()),
        "quarantined": quarantined,
        "error": error.map(|error| error.cause.as_str()),
    })
}

fn last_error_of_kafka(types: &[TypeStatus]) -> Option<String> {
    let errors = types.iter().filter_map(|one| one.last_error.as_ref());
    let last = errors
        .filter(|error| error.is_kafkas)
        .max_by_key(|error| error.timestamp)?;
    Some(format!("{}: {}", last.timestamp, last.cause))
}

fn failure(refused: Refused, topic: &str) -> ControlFailure {
    match refused {
        Refused::NoRealm(realm) => ControlFailure::NoRealm(realm),
        Refused::NoType { realm, schema_name } => ControlFailure::NoTopic {
            realm,
            topic: schema_name,
        },
        Refused::State(_) | Refused::Positions(_) => {
            warn!("{topic}: {refused}");
            ControlFailure::Failed {
                topic: topic.to_owned(),
            }
        }
    }
}

/// The last answer to a question, which is asked once at a time and lasts for a
/// moment: whoever asks how often, it costs the same.
struct Kept<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Kept<T> {
    /// `ask` blocks. `None`: no answer in time; the question goes on, and nobody
    /// asks it again meanwhile.
    async fn get(&self, patience: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let answer = async {
            let mut last = self.0.clone().lock_owned().await;
            if let Some((at, answer)) = &*last
                && at.elapsed() < FRESH
            {
                return Some(answer.clone());
            }
            let asked = spawn_blocking(move || {
                let answer = ask();
                *last = Some((Instant::now(), answer.clone()));
                answer
            });
            asked.await.ok()
        };
        timeout(patience, answer).await.ok().flatten()
    }
}
