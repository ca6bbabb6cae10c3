//! Whether what the process needs answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::warn;

use super::probes::Probes;
use crate::catalogue::Catalogue;
use crate::store::Store;

/// A part that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// However often it is asked, it is looked at once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// Looks at the catalogue and at the store.
pub struct HealthCheck {
    catalogue: Arc<dyn Catalogue>,
    store: Arc<dyn Store>,
    last: Mutex<Option<(Instant, Health)>>,
}

/// Which of them answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    #[serde(rename = "DatabaseOK")]
    pub database: bool,
    #[serde(rename = "ObjectStoreOK")]
    pub store: bool,
}

impl HealthCheck {
    pub fn new(catalogue: Arc<dyn Catalogue>, store: Arc<dyn Store>) -> Self {
        Self {
            catalogue,
            store,
            last: Mutex::default(),
        }
    }

    /// Answers within some seconds. One look at a time; who asks meanwhile
    /// waits for it.
    pub async fn health(&self) -> Health {
        let mut last = self.last.lock().await;
        if let Some((at, health)) = *last
            && at.elapsed() < FRESH
        {
            return health;
        }
        let (database, store) = tokio::join!(self.database_answers(), self.store_answers());
        let health = Health { database, store };
        *last = Some((Instant::now(), health));
        health
    }

    async fn database_answers(&self) -> bool {
        let catalogue = self.catalogue.clone();
        let answer = tokio::task::spawn_blocking(move || catalogue.check());
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(error))) => warn!("{error}"),
            _ => warn!("{} does not answer", self.catalogue.name()),
        }
        false
    }

    async fn store_answers(&self) -> bool {
        match timeout(PATIENCE, self.store.check()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => warn!("{error}"),
            Err(_) => warn!("{} does not answer", self.store.name()),
        }
        false
    }
}

#[async_trait]
impl Probes for HealthCheck {
    async fn not_ready(&self) -> Vec<String> {
        let Health { database, store } = self.health().await;
        let parts = [
            (database, self.catalogue.name()),
            (store, self.store.name()),
        ];
        let down = parts.into_iter().filter(|(answers, _)| !answers);
        down.map(|(_, name)| format!("{name} does not answer"))
            .collect()
    }
}
