//! The producer's control, as Aether Producer has it, with health and metrics
//! of the process.
//!
//! Paths, statuses and texts are those that the scripts of its operators know.

mod commands;
mod routes;
mod state;

use std::sync::Arc;

use async_trait::async_trait;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::auth::{Caller, Door};
use super::body::Body;
use super::metrics::Metrics;
use super::probes::{Probes, livez, readyz};
use super::problem::Problem;
use super::request::Request;
use super::respond;
use super::server::Service;
use crate::config::ControlConfig;

use routes::{Admission, Route};

pub use state::{
    Changeset, ControlFailure, Order, ProducerControl, ProducerState, Realms, TopicState,
    TopicStatus,
};

/// As the original calls itself: scripts look for it.
const APP_NAME: &str = "aether-producer";

const TEXT: &str = "text/plain; charset=utf-8";

/// The listener's service.
pub struct ControlApi {
    door: Door,
    /// `None` where this process runs no producer.
    producer: Option<Arc<dyn ProducerControl>>,
    probes: Arc<dyn Probes>,
    metrics: Metrics,
    pretty_status: bool,
}

impl ControlApi {
    pub fn new(
        config: &ControlConfig,
        producer: Option<Arc<dyn ProducerControl>>,
        probes: Arc<dyn Probes>,
        metrics: Metrics,
    ) -> Self {
        Self {
            door: Door::basic_only(config.credential.as_ref()),
            producer,
            probes,
            metrics,
            pretty_status: config.pretty_status,
        }
    }

    /// Whether the request may control. Errors: 401, 403 where nobody may,
    /// 429.
    fn admit(&self, request: &Request) -> Result<(), Problem> {
        if !self.door.has_credential() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "No credential is configured, so nobody may control the producer: \
                 set PRODUCER_ADMIN_USER and PRODUCER_ADMIN_PW",
            ));
        }
        match self.door.caller(&request.headers, request.peer) {
            Ok(Caller::Known { .. }) => Ok(()),
            Ok(Caller::Anonymous) => Err(bad_credentials(self.door.challenge())),
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
                Err(bad_credentials(problem))
            }
            Err(problem) => Err(problem),
        }
    }

    fn producer(&self) -> Result<&dyn ProducerControl, Problem> {
        self.producer.as_deref().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "This process runs no producer",
            )
        })
    }

    async fn reply(&self, route: Route, request: &Request) -> Result<Response<Body>, Problem> {
        match route {
            Route::Live => livez(),
            Route::Ready => readyz(&*self.probes).await,
            Route::Metrics => self.metrics.scrape().await,
            Route::Health => healthy(true, StatusCode::OK),
            Route::HealthCheck => self.health_check(),
            Route::KernelCheck => dependency(self.producer()?.is_kernel_there().await),
            Route::KafkaCheck => dependency(self.producer()?.is_kafka_there().await),
            Route::App => app(),
            Route::Status => {
                let status = self.producer()?.status().await;
                respond::json_as(&status, self.pretty_status)
            }
            Route::Topics => self.topics().await,
            Route::Order(order) => self.order(order, &request.query).await,
        }
    }

    /// 500 with the realms that have been idle too long, and for how long.
    fn health_check(&self) -> Result<Response<Body>, Problem> {
        let idle = match &self.producer {
            Some(producer) => producer.idle_realms(),
            None => Default::default(),
        };
        if idle.is_empty() {
            return healthy(true, StatusCode::OK);
        }
        let mut response = respond::json(&idle)?;
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok(response)
    }

    async fn topics(&self) -> Result<Response<Body>, Problem> {
        let counts = self
            .producer()?
            .topics()
            .await
            .map_err(Problem::unavailable)?;
        let count = |count| json!({ "count": count });
        let realms: serde_json::Map<_, _> = counts
            .into_iter()
            .map(|(realm, topics)| {
                let topics = topics.into_iter().map(|(topic, n)| (topic, count(n)));
                (realm, serde_json::Value::Object(topics.collect()))
            })
            .collect();
        respond::json(&realms)
    }
}

fn bad_credentials(mut problem: Problem) -> Problem {
    problem.message = "Bad Credentials".to_owned();
    problem
}

fn healthy(healthy: bool, status: StatusCode) -> Result<Response<Body>, Problem> {
    let mut response = respond::json(&json!({ "healthy": healthy }))?;
    *response.status_mut() = status;
    Ok(response)
}

fn dependency(is_there: bool) -> Result<Response<Body>, Problem> {
    match is_there {
        true => healthy(true, StatusCode::OK),
        false => healthy(false, StatusCode::FAILED_DEPENDENCY),
    }
}

fn app() -> Result<Response<Body>, Problem> {
    respond::json(&json!({
        "app_name": APP_NAME,
        "app_version": env!("CARGO_PKG_VERSION"),
        "app_revision": option_env!("APP_REVISION").unwrap_or("unknown"),
        "now": Timestamp::now().to_string(),
    }))
}

#[async_trait]
impl Service for ControlApi {
    async fn answer(&self, request: Request) -> Response<Body> {
        let Some(route) = Route::of(&request.segments()) else {
            return Problem::not_found().into_text(TEXT);
        };
        let is_order = matches!(route, Route::Order(_));
        let admitted = match route.admits(&request.method) {
            _ if is_order && request.is_head => Err(Problem::method_not_allowed(route.methods())),
            Admission::Options => return respond::options(route.methods()),
            Admission::NotAllowed => Err(Problem::method_not_allowed(route.methods())),
            Admission::Answer if is_order && request.is_cross_site => Err(Problem::cross_site()),
            Admission::Answer if route.is_protected() => self.admit(&request),
            Admission::Answer => Ok(()),
        };
        let reply = match admitted {
            Ok(()) => self.reply(route, &request).await,
            Err(problem) => Err(problem),
        };
        reply.unwrap_or_else(|problem| problem.into_text(TEXT))
    }

    fn refuse(&self, problem: Problem) -> Response<Body> {
        problem.into_text(TEXT)
    }
}
