//! A producer whose messages appear together or not at all.

mod records;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};

use super::client::{Cluster, Complaints, KafkaFailure};
use super::first_broker::wait_for_broker;

/// Initialising waits for a predecessor's transaction to end; a commit waits
/// for every message and its marker.
const PATIENCE: Duration = Duration::from_secs(45);

/// Connecting to the first broker.
const CONNECTING: Duration = Duration::from_secs(2);

/// One that is not committed by then the broker aborts. Longer than
/// [`PATIENCE`], so that the client tells why first.
const TRANSACTION_TIMEOUT_MS: &str = "60000";

/// What an abort may take: the broker does it anyway, later.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks for delivery reports.
const LOOK: Duration = Duration::from_millis(1);

/// A message on its way, without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub partition: i32,
    pub value: Vec<u8>,
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TransactionFailure {
    /// Another producer has begun with the same transactional id: this one can
    /// do nothing any more. Nothing of the transaction is ever seen.
    #[error("kafka {cluster}: another instance has taken over {transactional_id}")]
    Fenced {
        cluster: String,
        transactional_id: String,
    },
    /// The broker takes no message as large as one of these. Nothing of the
    /// transaction is ever seen.
    #[error("kafka {cluster}: a message is larger than the topic takes")]
    TooLarge { cluster: String },
    /// It failed, and may have happened all the same. A new producer of the
    /// same id settles it; the end of the log tells how.
    #[error(transparent)]
    Unknown(#[from] KafkaFailure),
}

/// A producer with a transactional id. After any failure it is of no more use.
pub struct TransactionalProducer {
    producer: BaseProducer<Deliveries>,
    cluster: String,
    transactional_id: String,
}

#[derive(Default)]
struct Deliveries {
    complaints: Complaints,
    state: Mutex<Delivered>,
}

#[derive(Default)]
struct Delivered {
    /// Partition → the offset after its last message.
    ends: BTreeMap<i32, i64>,
    failed: Option<RDKafkaErrorCode>,
}

impl Deliveries {
    fn state(&self) -> MutexGuard<'_, Delivered> {
        self.state.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.complaints.log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.state();
        match result {
            Ok(message) => {
                let end = state.ends.entry(message.partition()).or_default();
                *end = (*end).max(message.offset() + 1);
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code();
                state.failed = state.failed.or(code);
            }
        }
    }
}

impl TransactionalProducer {
    /// Takes over the transactional id: what a predecessor had begun and not
    /// committed is aborted, what it was committing is committed when this
    /// returns, and it can do nothing any more. Blocks up to 45 s.
    pub fn open(cluster: &Cluster, transactional_id: &str) -> Result<Self, KafkaFailure> {
        Self::open_with(
            cluster,
            transactional_id,
            &[
                // Containers come compressed, and large enough to go at once.
                ("compression.type", "none"),
                ("linger.ms", "0"),
                ("queue.buffering.max.kbytes", "65536"),
            ],
        )
    }

    fn open_with(
        cluster: &Cluster,
        transactional_id: &str,
        properties: &[(&str, &str)],
    ) -> Result<Self, KafkaFailure> {
        let mut config = cluster.client_config();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| cluster.failure(error))?;
        let opened = Self {
            producer,
            cluster: cluster.name().to_owned(),
            transactional_id: transactional_id.to_owned(),
        };
        // A client that knows no broker yet asks for the coordinator only half a
        // second later.
        wait_for_broker(opened.producer.client(), CONNECTING);
        match opened.producer.init_transactions(PATIENCE) {
            Ok(()) => Ok(opened),
            Err(error) => Err(opened.explain(error)),
        }
    }

    /// Publishes messages in one transaction: committed on `Ok`, which has for
    /// each partition the offset after its last message. Blocks until then.
    pub fn publish(
        &self,
        topic: &str,
        messages: &[Outgoing],
    ) -> Result<BTreeMap<i32, i64>, TransactionFailure> {
        *self.context().state() = Delivered::default();
        let published = self.try_publish(topic, messages);
        let failed = self.context().state().failed;
        match published {
            Ok(()) => Ok(std::mem::take(&mut self.context().state().ends)),
            Err(error) => Err(self.failure(error, failed)),
        }
    }

    fn try_publish(&self, topic: &str, messages: &[Outgoing]) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        for message in messages {
            self.send(topic, message)?;
        }
        // Without its delivery reports a commit would wait for ever.
        if !self.drain(PATIENCE) {
            return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
        }
        if let Some(failed) = self.context().state().failed {
            return Err(KafkaError::MessageProduction(failed));
        }
        self.producer.commit_transaction(PATIENCE)
    }

    fn send(&self, topic: &str, message: &Outgoing) -> Result<(), KafkaError> {
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in &message.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic)
            .partition(message.partition)
            .payload(message.value.as_slice())
            .headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, same))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) =>
                {
                    record = same;
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Takes in all delivery reports; whether they came in time. The client's own
    /// way of waiting for them looks ten times a second only.
    fn drain(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return false;
            }
            self.producer.poll(LOOK);
        }
        true
    }

    /// Aborts what can be aborted, and says what the error means.
    fn failure(&self, error: KafkaError, delivery: Option<RDKafkaErrorCode>) -> TransactionFailure {
        let code = delivery.or_else(|| error.rdkafka_error_code());
        let cluster = self.cluster.clone();
        // Where the fence was met in the background, messages fail for other
        // reasons, and only the client itself tells why.
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        if is_fence(&error) || [code, fatal].into_iter().flatten().any(is_fence_code) {
            return TransactionFailure::Fenced {
                cluster,
                transactional_id: self.transactional_id.clone(),
            };
        }
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
        self.drain(ABORT_PATIENCE);
        let aborted = self.producer.abort_transaction(ABORT_PATIENCE).is_ok();
        if aborted && code == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return TransactionFailure::TooLarge { cluster };
        }
        TransactionFailure::Unknown(self.explain(error))
    }

    fn explain(&self, error: KafkaError) -> KafkaFailure {
        // The cause reaches the context only while it is polled.
        self.producer.poll(Duration::ZERO);
        self.context().complaints.explain(&self.cluster, error)
    }

    fn context(&self) -> &Arc<Deliveries> {
        self.producer.client().context()
    }
}

fn is_fence(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => is_fence_code(error.code()),
        error => error.rdkafka_error_code().is_some_and(is_fence_code),
    }
}

fn is_fence_code(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
    )
}
