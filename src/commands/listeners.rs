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
use super::producer_control::Controlled;
use super::producer_metrics;
use super::producer_watch::RunningProducer;
use crate::catalogue::{self, Catalogue};
use crate::config::{ApiConfig, Config, ControlConfig, DatabaseConfig, ListenAddress};
use crate::http::api::ArchiveApi;
use crate::http::control::{ControlApi, ProducerControl};
use crate::http::health::HealthCheck;
use crate::http::metrics::Metrics;
use crate::http::probes::{Probes, Together};
use crate::http::{Listener, Service};
use crate::shutdown::{self, Shutdown, Trigger};
use crate::store::{self, Store};

/// Threads that answer requests.
const THREADS: usize = 2;

/// Connections to the database for all requests.
const CONNECTIONS: u32 = 4;

/// What is listened on, and what is shown there.
pub(super) struct Served {
    /// `None` is off, as it is without an archive.
    pub api: Option<ApiConfig>,
    /// `None` is off.
    pub control: Option<ControlConfig>,
    /// Whether the command has an archive, which must be there by now.
    pub has_archive: bool,
    /// What is controlled, where the command runs one.
    pub producer: Option<Arc<RunningProducer>>,
    /// What else says whether the process is ready.
    pub probes: Vec<Arc<dyn Probes>>,
}

/// What the archive's requests work with.
#[derive(Clone)]
struct Archive {
    catalogue: Arc<dyn Catalogue>,
    store: Arc<dyn Store>,
}

/// Listeners that are listening.
pub(super) struct Listeners {
    runtime: Runtime,
    trigger: Trigger,
    listening: Vec<JoinHandle<()>>,
    /// With connections of its own. Kept: a database's connection must not be
    /// closed from within a runtime.
    archive: Option<Archive>,
    hosts: Vec<String>,
    pub metrics: Metrics,
    /// Where the archive API really listens; `None` is off.
    pub api: Option<SocketAddr>,
    /// Where the control really listens; `None` is off.
    pub control: Option<SocketAddr>,
}

impl Listeners {
    /// An address that only the defaults name and that is taken is a warning.
    /// `grace`: what requests under way may take at the end. Blocks.
    pub fn start(config: &Config, served: Served, grace: Duration) -> anyhow::Result<Self> {
        let (trigger, shutdown) = shutdown::signal();
        let mut listeners = Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("http")
                .enable_all()
                .build()?,
            trigger,
            listening: vec![],
            archive: match served.has_archive {
                true => Some(Archive {
                    catalogue: catalogue_for_requests(config)?,
                    store: Arc::from(store::open(&config.store()?)?),
                }),
                false => None,
            },
            hosts: config.listen()?.hosts,
            metrics: Metrics::default(),
            api: None,
            control: None,
        };
        let end = (shutdown, grace);
        if let (Some(api), Some(archive)) = (&served.api, listeners.archive.clone()) {
            let service = archive_api(config, api, archive)?;
            listeners.api = listeners.listen("archive API", &api.address, service, &end)?;
        }
        if let Some(control) = &served.control {
            let service = listeners.control(control, served.producer, served.probes);
            listeners.control = listeners.listen("control", &control.address, service, &end)?;
        }
        Ok(listeners)
    }

    /// The archive API alone, which must be able to listen. Blocks.
    pub fn start_api(config: &Config, api: &ApiConfig, grace: Duration) -> anyhow::Result<Self> {
        let address = ListenAddress {
            is_given: true,
            ..api.address.clone()
        };
        let served = Served {
            api: Some(ApiConfig {
                address,
                ..api.clone()
            }),
            control: None,
            has_archive: true,
            producer: None,
            probes: vec![],
        };
        Self::start(config, served, grace)
    }

    fn control(
        &self,
        config: &ControlConfig,
        producer: Option<Arc<RunningProducer>>,
        mut parts: Vec<Arc<dyn Probes>>,
    ) -> Arc<dyn Service> {
        if let Some(Archive { catalogue, store }) = self.archive.clone() {
            parts.push(Arc::new(HealthCheck::new(catalogue, store)));
        }
        let controlled = producer.map(|producer| {
            producer_metrics::register(&self.metrics, &producer);
            Arc::new(Controlled::new(producer))
        });
        parts.extend(controlled.clone().map(|one| one as Arc<dyn Probes>));
        let producer = controlled.map(|one| one as Arc<dyn ProducerControl>);
        let probes = Arc::new(Together(parts));
        let metrics = self.metrics.clone();
        Arc::new(ControlApi::new(config, producer, probes, metrics))
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
        let listener = listener.with_hosts(&self.hosts);
        let serving = listener.serve(service, shutdown.clone(), *grace);
        self.listening.push(self.runtime.spawn(serving));
        Ok(Some(bound))
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
        drop(self.archive);
    }

    /// The catalogue that requests read, where there is an archive.
    pub fn catalogue(&self) -> Option<Arc<dyn Catalogue>> {
        let archive = self.archive.as_ref();
        archive.map(|archive| archive.catalogue.clone())
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

fn archive_api(
    config: &Config,
    api: &ApiConfig,
    archive: Archive,
) -> anyhow::Result<Arc<dyn Service>> {
    // Which topics are public is a matter of uploads alone: what is archived
    // knows it by itself.
    let topics = match api.uploads {
        true => Some(config.hop()?.topics),
        false => None,
    };
    let Archive { catalogue, store } = archive;
    let signing = config.archive()?.signing;
    Ok(Arc::new(ArchiveApi::new(
        api, catalogue, store, topics, signing,
    )))
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
