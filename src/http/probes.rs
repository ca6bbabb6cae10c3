//! Whether the process lives, and whether it is ready.

use async_trait::async_trait;
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
