//! How a client of the cluster is configured, and what its errors mean.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, info, warn};

use super::mock::MockBroker;
use crate::config::{HopAuth, HopConfig, HopKind, Mechanism, Protocol};

/// One question to the cluster takes at most this long.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The most that librdkafka allows. What is fetched is bounded by other settings.
const MAX_RECEIVED_BYTES: &str = "2147483647";

/// Why Kafka could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KafkaFailure {
    /// The cluster cannot be reached or failed. Retry.
    #[error("kafka {cluster}: {cause}")]
    Unavailable { cluster: String, cause: String },
    /// Credentials, permissions or settings are wrong. No retry helps.
    #[error("kafka {cluster}: {cause}")]
    Refused { cluster: String, cause: String },
}

impl KafkaFailure {
    /// The same failure, which concerns `place`.
    pub(super) fn at(self, place: &str) -> Self {
        match self {
            Self::Unavailable { cluster, cause } => Self::Unavailable {
                cluster,
                cause: format!("{place}: {cause}"),
            },
            Self::Refused { cluster, cause } => Self::Refused {
                cluster,
                cause: format!("{place}: {cause}"),
            },
        }
    }
}

/// A Kafka cluster that can be talked to: a real one, or the one inside this
/// process, which lives as long as this value.
pub struct Cluster {
    bootstrap_servers: String,
    auth: Option<HopAuth>,
    properties: Vec<(String, String)>,
    mock: Option<MockBroker>,
}

impl Cluster {
    /// Connects to nothing yet; starts the broker inside this process where
    /// `hop-type` is `mock`.
    pub fn open(hop: &HopConfig) -> Result<Self, KafkaFailure> {
        let (bootstrap_servers, auth, mock) = match &hop.kind {
            HopKind::Kafka {
                bootstrap_servers,
                auth,
            } => (bootstrap_servers.clone(), auth.clone(), None),
            HopKind::Mock => {
                let mock = MockBroker::start()?;
                (mock.bootstrap_servers()?, None, Some(mock))
            }
        };
        let cluster = Self {
            bootstrap_servers,
            auth,
            properties: hop.properties.clone().into_iter().collect(),
            mock,
        };
        if cluster.mock.is_some() {
            super::mock::load(&cluster)?;
        }
        Ok(cluster)
    }

    /// What messages call it: the bootstrap servers.
    pub fn name(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Whether it is the one inside this process.
    pub fn is_mock(&self) -> bool {
        self.mock.is_some()
    }

    /// Makes a topic in the cluster inside this process; `None` when this is
    /// another one. One that exists stays.
    pub(super) fn create_in_mock(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Option<Result<(), KafkaFailure>> {
        Some(self.mock.as_ref()?.create_topic(topic, partitions))
    }

    /// What every client of this cluster is made with.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "archive_ingest")
            .set("socket.keepalive.enable", "true")
            .set("allow.auto.create.topics", "false")
            // A broker that is back is found soon (default 10 s).
            .set("reconnect.backoff.max.ms", "2000")
            // Bounds a response, and what a zstd batch may decompress to: the
            // default of 100 MB is less than a default broker accepts.
            .set("receive.message.max.bytes", MAX_RECEIVED_BYTES)
            .set_log_level(RDKafkaLogLevel::Info);
        if let Some(auth) = &self.auth {
            authenticate(&mut config, auth);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// What an error of the client means for the caller.
    pub(super) fn failure(&self, error: KafkaError) -> KafkaFailure {
        failure(&self.bootstrap_servers, &error, None)
    }
}

fn authenticate(config: &mut ClientConfig, auth: &HopAuth) {
    let protocol = match auth.protocol {
        Protocol::SaslPlaintext => "SASL_PLAINTEXT",
        Protocol::SaslSsl => "SASL_SSL",
    };
    let mechanism = match auth.mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    };
    config
        .set("security.protocol", protocol)
        .set("sasl.mechanism", mechanism)
        .set("sasl.username", &auth.username)
        .set("sasl.password", &auth.password);
    if let Some(ca) = &auth.ssl_ca_location {
        config.set("ssl.ca.location", ca.to_string_lossy());
    }
}

/// `reason` is what librdkafka said beside the error, where it said something.
pub(super) fn failure(cluster: &str, error: &KafkaError, reason: Option<String>) -> KafkaFailure {
    let cluster = cluster.to_owned();
    let code = error.rdkafka_error_code();
    let cause = match reason {
        Some(reason) => plain(&reason).to_owned(),
        None => error.to_string(),
    };
    let advice = match error {
        KafkaError::ClientCreation(cause) if cause.contains("ssl.") => {
            advice(RDKafkaErrorCode::SSL)
        }
        _ => code.and_then(advice),
    };
    let cause = match advice {
        Some(advice) => format!("{cause}: {advice}"),
        None => cause,
    };
    let refused = matches!(
        error,
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)
    ) || error.rdkafka_error_code().is_some_and(is_refusal);
    if refused {
        KafkaFailure::Refused { cluster, cause }
    } else {
        KafkaFailure::Unavailable { cluster, cause }
    }
}

/// librdkafka's words without its own bookkeeping: «BROKER: words (after 3ms in
/// state CONNECT, …)».
fn plain(reason: &str) -> &str {
    let words = reason
        .split_once("/bootstrap: ")
        .map_or(reason, |(_, words)| words);
    words
        .split_once(" (after ")
        .map_or(words, |(words, _)| words)
}

/// What the user may do about it.
fn advice(code: RDKafkaErrorCode) -> Option<&'static str> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::Authentication | Code::SaslAuthenticationFailed => {
            "check user and password (hop-local-auth, HOP_USERNAME, HOP_PASSWORD) and hop-sasl-mechanism"
        }
        Code::SSL => "check hop-security-protocol and hop-ssl-ca-location",
        Code::BrokerTransportFailure | Code::Resolve => "check hop-hostname and hop-port",
        Code::GroupAuthorizationFailed => "the user may not use this group: check hop-groupname",
        _ => return None,
    })
}

/// Errors that stay until somebody changes credentials, permissions or
/// settings.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SSL
    )
}

/// Remembers what librdkafka last complained about, so that a call that only
/// timed out can name the cause.
#[derive(Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<Option<(KafkaError, String)>>>);

impl Complaints {
    fn keep(&self, error: KafkaError, reason: &str) {
        let mut last = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        let refusal = |error: &KafkaError| error.rdkafka_error_code().is_some_and(is_refusal);
        // «All brokers down» follows every real cause and says less; and what
        // refuses outweighs the lost connection that follows it.
        let says_less = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
            || last
                .as_ref()
                .is_some_and(|(old, _)| refusal(old) && !refusal(&error));
        if last.is_none() || !says_less {
            *last = Some((error, reason.to_owned()));
        }
    }

    /// What `error` means, explained by the last complaint where there is one.
    pub(super) fn explain(&self, cluster: &str, error: KafkaError) -> KafkaFailure {
        let last = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        match &*last {
            Some((complaint, reason)) => failure(cluster, complaint, Some(reason.clone())),
            None => failure(cluster, &error, None),
        }
    }

    /// The refusal that was complained about, if there was one.
    pub(super) fn refusal(&self, cluster: &str) -> Option<KafkaFailure> {
        let last = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        let (complaint, reason) = last.as_ref()?;
        complaint
            .rdkafka_error_code()
            .is_some_and(is_refusal)
            .then(|| failure(cluster, complaint, Some(reason.clone())))
    }
}

impl ClientContext for Complaints {
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "kafka client");
        self.keep(error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(facility, "kafka client: {message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                info!(facility, "kafka client: {message}");
            }
            _ => debug!(facility, "kafka client: {message}"),
        }
    }
}
