//! The HTTP listeners of a command, on threads of their own: however much is
//! asked of them, the command's own work has its threads, its connections to
//! the database and its requests to the store for itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::open;
use crate::catalogue::{self, Catalogue};
use crate::config::{ApiConfig, Config, ControlConfig, DatabaseConfig, ListenAddress};
use crate::http::api::ArchiveApi;
use crate::http::control::ControlApi;
use crate::http::health::HealthCheck;
use crate::http::metrics::Metrics;
use crate::http::{Listener, Service};
use crate::shutdown::{self, Shutdown, Trigger};
use crate::store::{self, Store};

/// Threads that answer requests.
const THREADS: usize = 2;

/// Connections to the database for all requests.
const CONNECTIONS: u32 = 4;

/// Listeners that are listening.
pub(super) struct Listeners {
    runtime: Runtime,
    trigger: Trigger,
    listening: Vec<JoinHandle<()>>,
    /// With connections of its own. Kept: a database's connection must not be
    /// closed from within a runtime.
    pub catalogue: Arc<dyn Catalogue>,
    pub metrics: Metrics,
    /// Where the archive API really listens; `None` is off.
    pub api: Option<SocketAddr>,
    /// Where the control really listens; `None` is off.
    pub control: Option<SocketAddr>,
}

impl Listeners {
    /// Everything that `[listen]` asks for, on an archive that is there. An
    /// address that only the defaults name and that is taken is a warning.
    /// `grace`: what requests under way may take at the end. Blocks.
    pub fn start(config: &Config, grace: Duration) -> anyhow::Result<Self> {
        let listen = config.listen()?;
        let mut listeners = Self::new(config)?;
        let store = listeners.store(config)?;
        let shutdown = listeners.shutdown(grace);
        if let Some(api) = &listen.api {
            let service = listeners.api(config, api, store.clone())?;
            listeners.api = listeners.listen("archive API", &api.address, service, &shutdown)?;
        }
        if let Some(control) = &listen.control {
            let service = listeners.control(control, store);
            listeners.control =
                listeners.listen("control", &control.address, service, &shutdown)?;
        }
        Ok(listeners)
    }

    /// The archive API alone, which must be able to listen. Blocks.
    pub fn start_api(config: &Config, api: &ApiConfig, grace: Duration) -> anyhow::Result<Self> {
        let mut listeners = Self::new(config)?;
        let store = listeners.store(config)?;
        let service = listeners.api(config, api, store)?;
        let address = ListenAddress {
            is_given: true,
            ..api.address.clone()
        };
        let shutdown = listeners.shutdown(grace);
        listeners.api = listeners.listen("archive API", &address, service, &shutdown)?;
        Ok(listeners)
    }

    fn new(config: &Config) -> anyhow::Result<Self> {
        let (trigger, _) = shutdown::signal();
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("http")
                .enable_all()
                .build()?,
            trigger,
            listening: vec![],
            catalogue: catalogue_for_requests(config)?,
            metrics: Metrics::default(),
            api: None,
            control: None,
        })
    }

    fn store(&self, config: &Config) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::from(store::open(&config.store()?)?))
    }

    fn api(
        &self,
        config: &Config,
        api: &ApiConfig,
        store: Arc<dyn Store>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        // Which topics are public is a matter of uploads alone: what is
        // archived knows it by itself.
        let topics = match api.uploads {
            true => Some(config.hop()?.topics),
            false => None,
        };
        let catalogue = self.catalogue.clone();
        Ok(Arc::new(ArchiveApi::new(api, catalogue, store, topics)))
    }

    fn control(&self, control: &ControlConfig, store: Arc<dyn Store>) -> Arc<dyn Service> {
        let health = Arc::new(HealthCheck::new(self.catalogue.clone(), store));
        Arc::new(ControlApi::new(control, None, health, self.metrics.clone()))
    }

    /// Listens, and answers from now on.
    fn listen(
        &mut self,
        what: &str,
        address: &ListenAddress,
        service: Arc<dyn Service>,
        (shutdown, grace): &(Shutdown, Duration),
    ) -> anyhow::Result<Option<SocketAddr>> {
        let bound = Listener::bind(&address.host, address.port);
        let listener = match self.runtime.block_on(bound) {
            Ok(listener) => listener,
            Err(error) if !address.is_given => {
                warn!("no {what}: {address}, its default address, cannot be listened on: {error}");
                return Ok(None);
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{what}: {address} cannot be listened on"));
            }
        };
        let bound = listener.address();
        info!("{what} on http://{bound}");
        let serving = listener.serve(service, shutdown.clone(), *grace);
        self.listening.push(self.runtime.spawn(serving));
        Ok(Some(bound))
    }

    fn shutdown(&mut self, grace: Duration) -> (Shutdown, Duration) {
        let (trigger, shutdown) = shutdown::signal();
        self.trigger = trigger;
        (shutdown, grace)
    }

    /// Accepts nothing more, and waits for what is under way.
    pub fn stop(self) {
        self.trigger.shut_down();
        self.runtime.block_on(async {
            for listening in self.listening {
                // An error says that it has ended anyhow.
                let _ = listening.await;
            }
        });
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        drop(self.catalogue);
    }

    /// Waits until `shutdown` is due.
    pub fn wait(&self, shutdown: &Shutdown) {
        self.runtime.block_on(shutdown.due());
    }

    /// Runs beside the listeners, until they stop.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

/// A catalogue that is there, with few connections of its own.
fn catalogue_for_requests(config: &Config) -> anyhow::Result<Arc<dyn Catalogue>> {
    let database = match config.database()? {
        DatabaseConfig::Postgres(mut postgres) => {
            postgres.pool_size = postgres.pool_size.min(CONNECTIONS);
            DatabaseConfig::Postgres(postgres)
        }
        sqlite => sqlite,
    };
    let catalogue = open::patiently(
        || catalogue::open(&database),
        catalogue::CatalogueError::is_passing,
    )?;
    Ok(Arc::from(catalogue))
}
