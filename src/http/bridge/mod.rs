//! The bridge's listener: events of an agent, by webhook and from its plugin;
//! start and stop; and a relay for software without a Kafka client.
//!
//! Nothing is read of a request that does not show the key.

mod port;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Response, StatusCode};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::body::{self, Body};
use super::probes;
use super::problem::Problem;
use super::request::Request;
use super::respond;
use super::server::Service;

use routes::Route;

pub use port::{AgentEvent, BridgeFailure, BridgePort};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Which tenant's webhook it is, of an agent that has some.
const WALLET_ID: HeaderName = HeaderName::from_static("x-wallet-id");

/// Bodies that are held in memory at once; more requests wait.
const BODIES: usize = 64;

/// Requests that read topics at once; more wait for [`QUEUE_TIMEOUT`].
const READS: usize = 2;
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// Values in one answer of `/consume` at most.
const MAX_VALUES: usize = 100_000;

/// Values that `/consume` gives unless it is asked for more or fewer.
const VALUES: usize = 1_000;

/// The listener's service.
pub struct BridgeApi {
    key: String,
    /// Bytes of the largest event.
    limit: usize,
    port: Arc<dyn BridgePort>,
    bodies: Semaphore,
    reads: Arc<Semaphore>,
}

impl BridgeApi {
    /// `key`: what clients must show. `limit`: bytes of the largest event that is
    /// taken.
    pub fn new(key: String, limit: usize, port: Arc<dyn BridgePort>) -> Self {
        Self {
            key,
            limit,
            port,
            bodies: Semaphore::new(BODIES),
            reads: Arc::new(Semaphore::new(READS)),
        }
    }

    /// Whether the request shows the key.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let shown = headers
            .get(API_KEY)
            .map_or(&b""[..], |shown| shown.as_bytes());
        match bool::from(shown.ct_eq(self.key.as_bytes())) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "x-api-key is missing or wrong",
            )),
        }
    }

    async fn reply(&self, request: Request) -> Result<Response<Body>, Problem> {
        let path = request.path.clone();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let route = Route::of(&segments)?;
        if request.method == Method::OPTIONS {
            return Ok(respond::options(route.methods()));
        }
        if !route.admits(&request.method) || (request.is_head && route.changes_state()) {
            return Err(Problem::method_not_allowed(route.methods()));
        }
        if route.changes_state() && request.is_cross_site {
            return Err(Problem::cross_site());
        }
        if route.is_protected() {
            self.admit(&request.headers)?;
        }
        match route {
            Route::Live => probes::livez(),
            Route::Status => respond::json(&self.port.status()),
            Route::Start => self.set_running(true),
            Route::Stop => self.set_running(false),
            Route::Event => self.event(request).await,
            Route::Webhook(topic) => self.webhook(topic, request).await,
            Route::Produce => self.produce(request).await,
            Route::Topics => self.topics().await,
            Route::Consume => self.consume(&request).await,
        }
    }

    /// As the plugin answers that this stands in for; done twice it is done
    /// once.
    fn set_running(&self, running: bool) -> Result<Response<Body>, Problem> {
        self.port.set_running(running);
        let result = match running {
            true => "Kafka plugin started",
            false => "Kafka plugin stopped",
        };
        respond::json(&json!({ "result": result }))
    }

    async fn event(&self, request: Request) -> Result<Response<Body>, Problem> {
        // What is empty is not given.
        let given = |name: &str| {
            let text = request.query.text(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let Some(topic) = given("topic") else {
            return Err(Problem::bad_request("topic is missing in the query"));
        };
        let (wallet_id, id) = (given("wallet_id"), given("id"));
        let _slot = self.slot().await?;
        let payload = request.read_body(self.limit).await?;
        let sent = self.port.event(AgentEvent {
            topic,
            payload,
            wallet_id,
            id,
        });
        match sent.await {
            Ok(()) => respond::json(&json!({ "status": "sent_to_external_queue" })),
            Err(BridgeFailure::Stopped) => {
                let mut response = respond::json(&json!({ "status": "undeliverable" }))?;
                *response.status_mut() = StatusCode::CONFLICT;
                Ok(response)
            }
            // Not 404, which is what anything else at this address would say too.
            Err(BridgeFailure::NotThere(why)) => {
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
            }
            Err(failure) => Err(problem(failure)),
        }
    }

    async fn webhook(&self, topic: &str, request: Request) -> Result<Response<Body>, Problem> {
        let _slot = self.slot().await?;
        let wallet_id = wallet_id(&request.headers)?;
        let payload = request.read_body(self.limit).await?;
        let sent = self.port.webhook(topic, wallet_id, payload);
        sent.await.map_err(problem)?;
        respond::json(&json!({ "status": "sent_to_external_queue" }))
    }

    /// 202 with true, 400 with false where Kafka does not take it.
    async fn produce(&self, request: Request) -> Result<Response<Body>, Problem> {
        let Some(topic) = request.query.text("topic").map(str::to_owned) else {
            return Err(Problem::bad_request("topic is missing in the query"));
        };
        let _slot = self.slot().await?;
        let value = request.read_body(self.limit).await?;
        let (status, answer) = match self.port.produce(&topic, value).await {
            Ok(()) => (StatusCode::ACCEPTED, json!({ "result": true })),
            Err(failure) => {
                let Problem {
                    status, message, ..
                } = problem(failure.clone());
                let status = match failure {
                    BridgeFailure::Away(_) | BridgeFailure::Stopped => status,
                    _ => StatusCode::BAD_REQUEST,
                };
                (status, json!({ "result": false, "error": message }))
            }
        };
        let mut response = respond::json(&answer)?;
        *response.status_mut() = status;
        Ok(response)
    }

    async fn topics(&self) -> Result<Response<Body>, Problem> {
        let (turn, port) = (self.turn().await?, self.port.clone());
        // A client that leaves does not make room for another one before this
        // has ended.
        let reading = tokio::spawn(async move {
            let _turn = turn;
            port.topics().await
        });
        let topics = reading.await.map_err(ended)?.map_err(problem)?;
        respond::json(&topics)
    }

    async fn consume(&self, request: &Request) -> Result<Response<Body>, Problem> {
        let Some(topic) = request.query.text("topic").map(str::to_owned) else {
            return Err(Problem::bad_request("topic is missing in the query"));
        };
        let limit = request.query.number("limit")?.unwrap_or(VALUES);
        let (turn, port) = (self.turn().await?, self.port.clone());
        let reading = tokio::spawn(async move {
            let values = port.values(&topic, limit.min(MAX_VALUES)).await?;
            Ok((json_array(values), turn))
        });
        let (json, turn) = reading.await.map_err(ended)?.map_err(problem)?;
        let mut response = respond::bytes(respond::JSON, "");
        *response.body_mut() = body::held(json.into(), turn);
        Ok(response)
    }

    /// One of few that read topics at once: each has a client of Kafka with its
    /// threads, and all of its answer in memory.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match timeout(QUEUE_TIMEOUT, self.reads.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::unavailable(
                "too much is read at once: try again later",
            )),
        }
    }

    async fn slot(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let slot = self.bodies.acquire().await;
        slot.map_err(|_| Problem::unavailable("this process is ending"))
    }
}

/// Errors: 400 for one that is no text; it would pass for another tenant's.
fn wallet_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(id) = headers.get(WALLET_ID) else {
        return Ok(None);
    };
    let id = id.to_str();
    let id = id.map_err(|_| Problem::bad_request("x-wallet-id is not of ASCII"))?;
    Ok((!id.is_empty()).then(|| id.to_owned()))
}

/// One line: values that are JSON as they are, others as text. No value is held
/// as a tree, which can be many times as large.
fn json_array(values: Vec<Option<Vec<u8>>>) -> String {
    let mut json = String::from("[");
    for value in values {
        if json.len() > 1 {
            json.push(',');
        }
        let text = value.as_deref().map(String::from_utf8_lossy);
        match text {
            None => json.push_str("null"),
            Some(text) if serde_json::from_str::<IgnoredAny>(&text).is_ok() => {
                json.push_str(text.trim());
            }
            Some(text) => json.push_str(&Value::from(text).to_string()),
        }
    }
    json.push_str("]\n");
    json
}

fn ended(_: tokio::task::JoinError) -> Problem {
    Problem::unavailable("this process is ending")
}

fn problem(failure: BridgeFailure) -> Problem {
    match failure {
        BridgeFailure::Stopped => {
            Problem::unavailable("the bridge is stopped: start it with /kafka/start")
        }
        BridgeFailure::Wrong(why) => Problem::bad_request(why),
        BridgeFailure::TooLarge(why) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why),
        BridgeFailure::NotThere(why) => Problem::new(StatusCode::NOT_FOUND, why),
        BridgeFailure::Refused(why) => Problem::new(StatusCode::BAD_GATEWAY, why),
        BridgeFailure::Away(why) => Problem::unavailable(why),
    }
}

#[async_trait]
impl Service for BridgeApi {
    async fn answer(&self, request: Request) -> Response<Body> {
        self.reply(request).await.unwrap_or_else(Problem::into_json)
    }
}
