//! A producer that says of each record whether the brokers have it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::client::{self, Cluster, Complaints, KafkaFailure};
use super::topics::TopicAdmin;

/// Between two looks whether the client's queue has room again.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// A record that is to be sent; the partition follows from the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why a record is not on Kafka.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendFailure {
    /// Not acknowledged in time, or the cluster failed. Retry; it may be on
    /// Kafka all the same.
    #[error("{0}")]
    Away(String),
    /// Larger than the topic takes. No retry helps.
    #[error("{0}")]
    TooLarge(String),
    /// The cluster does not take it: no such topic, no permission. It helps to
    /// retry once somebody has changed that.
    #[error("{0}")]
    Refused(String),
}

/// Idempotent, and acknowledged by all replicas (`acks=all`). Records that are
/// handed over one after another arrive in that order.
pub struct Outbox {
    config: ClientConfig,
    producer: Mutex<Arc<ThreadedProducer<Context>>>,
    complaints: Complaints,
    cluster: Arc<Cluster>,
    topics: Arc<TopicAdmin>,
    /// Topics that have been seen or made.
    known: Mutex<HashSet<String>>,
    patience: Duration,
}

#[derive(Clone)]
struct Context(Complaints);

type Delivered = oneshot::Sender<Result<(), KafkaError>>;

impl Outbox {
    /// `properties` are librdkafka's, for this client alone. A record may take
    /// `patience` until it is acknowledged.
    pub fn open(
        cluster: &Arc<Cluster>,
        properties: &BTreeMap<String, String>,
        patience: Duration,
    ) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let mut config = cluster.client_config();
        // Keys go where the Java and Python clients put them.
        config.set("partitioner", "murmur2_random");
        for (name, value) in properties {
            config.set(name, value);
        }
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", patience.as_millis().to_string());
        let producer = create(&config, &complaints).map_err(|error| cluster.failure(error))?;
        Ok(Self {
            config,
            producer: Mutex::new(Arc::new(producer)),
            complaints,
            cluster: cluster.clone(),
            topics: Arc::new(TopicAdmin::open(cluster)?),
            known: Mutex::default(),
            patience,
        })
    }

    /// Returns when all replicas have it. A topic that is missing is made, with
    /// the broker's own defaults.
    pub async fn send(&self, letter: &Letter) -> Result<(), SendFailure> {
        self.make_known(&letter.topic).await?;
        let producer = self.current();
        let acknowledged = self.enqueue(&producer, letter).await?;
        let error = match acknowledged.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            // The client was replaced below it.
            Err(_) => KafkaError::Canceled,
        };
        self.replace_if_dead(&producer);
        Err(self.failure(&letter.topic, error))
    }

    async fn enqueue(
        &self,
        producer: &ThreadedProducer<Context>,
        letter: &Letter,
    ) -> Result<oneshot::Receiver<Result<(), KafkaError>>, SendFailure> {
        let deadline = Instant::now() + self.patience;
        loop {
            let (delivered, acknowledged) = oneshot::channel();
            match producer.send(record(letter, delivered)) {
                Ok(()) => return Ok(acknowledged),
                Err((error, _))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && Instant::now() < deadline =>
                {
                    sleep(QUEUE_PAUSE).await;
                }
                Err((error, _)) => {
                    self.replace_if_dead(producer);
                    return Err(self.failure(&letter.topic, error));
                }
            }
        }
    }

    async fn make_known(&self, topic: &str) -> Result<(), SendFailure> {
        if self.lock_known().contains(topic) {
            return Ok(());
        }
        let (admin, name) = (self.topics.clone(), topic.to_owned());
        let made = spawn_blocking(move || admin.create_by_default(&name));
        let Ok(made) = timeout(self.patience, made).await else {
            let cluster = self.cluster.name();
            return Err(SendFailure::Away(format!(
                "kafka {cluster} does not answer"
            )));
        };
        match made {
            // Whoever may not make topics may still write to one.
            Ok(Ok(_) | Err(KafkaFailure::Refused { .. })) => {}
            Ok(Err(failure)) => return Err(SendFailure::Away(failure.to_string())),
            Err(ended) => return Err(SendFailure::Away(ended.to_string())),
        }
        self.lock_known().insert(topic.to_owned());
        Ok(())
    }

    fn failure(&self, topic: &str, error: KafkaError) -> SendFailure {
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code();
        let told = |failure: KafkaFailure| format!("{topic}: {failure}");
        match code {
            Some(Code::MessageSizeTooLarge) => {
                SendFailure::TooLarge(format!("{topic}: larger than Kafka takes: {error}"))
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                self.lock_known().remove(topic);
                SendFailure::Refused(format!("{topic}: there is no such topic on Kafka: {error}"))
            }
            Some(
                Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InvalidTopic
                | Code::InvalidRecord
                | Code::PolicyViolation,
            ) => SendFailure::Refused(told(client::failure(self.cluster.name(), &error, None))),
            _ => SendFailure::Away(told(self.complaints.explain(self.cluster.name(), error))),
        }
    }

    fn current(&self) -> Arc<ThreadedProducer<Context>> {
        let producer = self
            .producer
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        producer.clone()
    }

    /// A client that has met a fatal error takes no record any more: a new one
    /// stands in for it.
    fn replace_if_dead(&self, dead: &ThreadedProducer<Context>) {
        if dead.client().fatal_error().is_none() {
            return;
        }
        let mut current = self
            .producer
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        if current.client().fatal_error().is_some()
            && let Ok(new) = create(&self.config, &self.complaints)
        {
            *current = Arc::new(new);
        }
    }

    fn lock_known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

fn create(
    config: &ClientConfig,
    complaints: &Complaints,
) -> Result<ThreadedProducer<Context>, KafkaError> {
    config.create_with_context(Context(complaints.clone()))
}

fn record(letter: &Letter, delivered: Delivered) -> BaseRecord<'_, [u8], [u8], Box<Delivered>> {
    let mut record = BaseRecord::with_opaque_to(&letter.topic, Box::new(delivered));
    record.key = letter.key.as_deref();
    record.payload = letter.value.as_deref();
    if !letter.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(letter.headers.len());
        let add = |headers: OwnedHeaders, (name, value): &(String, Vec<u8>)| {
            headers.insert(Header {
                key: name,
                value: Some(value),
            })
        };
        record.headers = Some(letter.headers.iter().fold(headers, add));
    }
    record
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Delivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivered: Box<Delivered>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Whoever waited for it may have gone.
        let _ = delivered.send(result);
    }
}
