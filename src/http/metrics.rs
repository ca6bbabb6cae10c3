//! What Prometheus scrapes.
//!
//! The rooms that work know nothing of metrics: the commands register what they
//! count, or a [`Collector`](prometheus_client::collector::Collector) that reads
//! it when it is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::body::Body;
use super::problem::Problem;
use super::respond;

/// The OpenMetrics text format, version 1.0.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the process. Clones are of the same one.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Adds metrics to those that are scraped.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Collectors may ask a database: they run where they may block.
    pub async fn scrape(&self) -> Result<Response<Body>, Problem> {
        let registry = self.0.clone();
        let encoded = tokio::task::spawn_blocking(move || {
            let registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
            let mut text = String::new();
            encode(&mut text, &registry).map(|()| text)
        });
        match encoded.await {
            Ok(Ok(text)) => Ok(respond::bytes(OPEN_METRICS, text)),
            _ => Err(Problem::internal("the metrics could not be written")),
        }
    }
}
