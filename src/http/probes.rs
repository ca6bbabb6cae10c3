//! Whether the process lives, and whether it is ready.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use hyper::{Response, StatusCode};
use serde_json::json;

use super::body::Body;
use super::problem::Problem;
use super::respond;

/// What the process says of itself.
#[async_trait]
pub trait Probes: Send + Sync {
    /// Why it is not ready, a line for each reason; none when it is. Must
    /// answer within seconds, whatever is down.
    async fn not_ready(&self) -> Vec<String>;
}

/// Several parts of a process.
pub struct Together(pub Vec<Arc<dyn Probes>>);

#[async_trait]
impl Probes for Together {
    async fn not_ready(&self) -> Vec<String> {
        let asked = self.0.iter().map(|part| part.not_ready());
        join_all(asked).await.concat()
    }
}

/// Whoever gets this answer talks to a process that lives.
pub fn livez() -> Result<Response<Body>, Problem> {
    respond::json(&json!({ "live": true }))
}

/// 200 when it is ready, else 503, with the reasons.
pub async fn readyz(probes: &dyn Probes) -> Result<Response<Body>, Problem> {
    let reasons = probes.not_ready().await;
    let mut response = respond::json(&json!({
        "ready": reasons.is_empty(),
        "reasons": reasons,
    }))?;
    if !reasons.is_empty() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
