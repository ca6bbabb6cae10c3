//! Opens what a command works with, from the command line and the
//! configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::UsageError;

use crate::catalogue::{self, Catalogue, CatalogueError};
use crate::cli::{Command, ConfigCommand, Global};
use crate::config::{
    ArchiveConfig, Config, DatabaseConfig, HopConfig, PostgresConfig, PublishingConfig, Selection,
    StoreConfig,
};
use crate::entities::{self, EntitySource, SourceError};
use crate::kafka::{Admin, Cluster, KafkaFailure};
use crate::produce::Producer;
use crate::produce::positions::{self, Positions, PositionsError};
use crate::registry::BlockingRegistry;
use crate::store::{self, Store};

/// A service that does not answer at start is waited for this long, so that
/// services may be started in any order.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_secs(1);

/// Between two warnings about the same thing.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Of the positions' database: for what works on types at once, and for whoever
/// gives orders.
const POSITIONS_CONNECTIONS: u32 = 3;

/// What the command line says about the configuration.
pub fn selection(global: &Global, command: &Command) -> Selection {
    let run = match command {
        Command::Run(run) => Some(run),
        _ => None,
    };
    let (bridge, plugin_config) = match command {
        Command::Bridge(args) => (Some(&args.name), &args.plugin_config),
        Command::Run(args) => (args.bridge.as_ref(), &args.plugin_config),
        Command::Config(ConfigCommand::Check(args) | ConfigCommand::Show(args)) => {
            (args.bridge.as_ref(), &args.plugin_config)
        }
        _ => (None, &None),
    };
    Selection {
        config_file: global.config.clone(),
        veto_list: global.veto_list.clone(),
        hop: global.hop.clone(),
        database: global.database.clone(),
        store: global.store.clone(),
        kernel: global.kernel.clone(),
        bridge: bridge.cloned(),
        plugin_config: plugin_config.clone(),
        registry: global.registry.clone(),
        until_eos: run.is_some_and(|run| run.until_eos),
        test_topic: run.and_then(|run| run.test_topic.clone()),
    }
}

/// The catalogue for a service that writes: waited for, and brought to this
/// version's schema. Blocks.
pub fn catalogue_to_write(config: &Config) -> anyhow::Result<Arc<dyn Catalogue>> {
    let database = config.database()?;
    let opened = patiently(
        || {
            let catalogue = catalogue::open(&database)?;
            catalogue.migrate()?;
            Ok(catalogue)
        },
        CatalogueError::is_passing,
    );
    Ok(Arc::from(opened?))
}

/// Remembers that rows are signed from now on, where a signing key is
/// configured: `verify` expects a signature of every later row. Blocks.
pub fn begin_signing(
    catalogue: &dyn Catalogue,
    archive: &ArchiveConfig,
) -> Result<(), CatalogueError> {
    if archive.signing.is_none() {
        return Ok(());
    }
    let begin = || catalogue.upkeep().begin_signing();
    if patiently(begin, CatalogueError::is_passing)? {
        info!(catalogue = catalogue.name(), "signing begins");
    }
    Ok(())
}

/// Waits for the end of a rebuild of the catalogue, however long it takes: what
/// is archived before that could be archived twice. Says so once a minute.
/// Blocks.
pub fn wait_until_complete(catalogue: &dyn Catalogue) -> Result<(), CatalogueError> {
    let mut told: Option<Instant> = None;
    loop {
        let state = patiently(|| catalogue.upkeep().state(), CatalogueError::is_passing)?;
        let Some(why) = state.incomplete() else {
            return Ok(());
        };
        if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            told = Some(Instant::now());
            warn!(catalogue = catalogue.name(), "archiving waits: {why}");
        }
        std::thread::sleep(START_PAUSE);
    }
}

/// Opens the cluster and asks it something, so that wrong credentials and
/// wrong addresses are told at once. Blocks.
pub fn cluster(hop: &HopConfig) -> Result<Arc<Cluster>, KafkaFailure> {
    let cluster = Arc::new(Cluster::open(hop)?);
    if !cluster.is_mock() {
        let admin = Admin::open(&cluster, "archive_ingest")?;
        patiently(
            || admin.topics(),
            |error| matches!(error, KafkaFailure::Unavailable { .. }),
        )?;
    }
    Ok(cluster)
}

/// What a command that publishes entities works with. Blocks.
pub struct Publishing {
    pub producer: Producer,
    pub positions: Arc<dyn Positions>,
    // A broker inside this process lives as long.
    _cluster: Arc<Cluster>,
}

/// Kernel, positions and cluster, each waited for; the kernel's warnings are
/// told.
pub fn publishing(config: &Config) -> anyhow::Result<Publishing> {
    let chosen = publishing_config(config)?;
    let cluster = cluster(&chosen.hop)?;
    publishing_on(chosen, &cluster)
}

/// The same on a cluster that is open.
pub fn publishing_on(
    chosen: PublishingConfig,
    cluster: &Arc<Cluster>,
) -> anyhow::Result<Publishing> {
    let source = kernel(&chosen)?;
    let positions = positions(&chosen)?;
    Ok(Publishing {
        producer: Producer::new(source, positions.clone(), cluster, chosen.produce)?,
        positions,
        _cluster: cluster.clone(),
    })
}

/// What publishing works with; an error where no kernel is chosen.
pub fn publishing_config(config: &Config) -> anyhow::Result<PublishingConfig> {
    let chosen = config.publishing()?;
    let missing = || {
        UsageError(
            "no kernel is chosen that entities come from: name its stanza with -K".to_owned(),
        )
    };
    Ok(chosen.ok_or_else(missing)?)
}

/// The kernel that entities come from, checked.
pub fn kernel(chosen: &PublishingConfig) -> anyhow::Result<Arc<dyn EntitySource>> {
    let source: Arc<dyn EntitySource> = Arc::from(entities::open(&chosen.kernel)?);
    let warnings = patiently(|| source.check(), SourceError::is_passing)?;
    for warning in warnings {
        warn!("{warning}");
    }
    Ok(source)
}

/// The producer's positions, brought to this version's schema.
pub fn positions(chosen: &PublishingConfig) -> anyhow::Result<Arc<dyn Positions>> {
    let database = match &chosen.positions {
        DatabaseConfig::Postgres(postgres) => DatabaseConfig::Postgres(PostgresConfig {
            pool_size: postgres.pool_size.min(POSITIONS_CONNECTIONS),
            ..postgres.clone()
        }),
        sqlite => sqlite.clone(),
    };
    let opened = patiently(
        || {
            let positions = positions::open(&database, chosen.positions_named_by)?;
            positions.migrate()?;
            Ok(positions)
        },
        PositionsError::is_passing,
    );
    Ok(Arc::from(opened?))
}

/// The schema registry of events; an error where none is chosen.
pub fn event_registry(config: &Config) -> anyhow::Result<BlockingRegistry> {
    let missing = || UsageError("no schema registry is chosen: name its stanza with -R".to_owned());
    Ok(BlockingRegistry::open(
        &config.registry()?.ok_or_else(missing)?,
    )?)
}

/// That the cluster answers, so that wrong credentials and wrong addresses are
/// told before anything is done.
pub fn answers(cluster: &Cluster) -> Result<(), KafkaFailure> {
    match cluster.is_mock() {
        true => Ok(()),
        false => Admin::open(cluster, "archive_ingest")?.topics().map(drop),
    }
}

/// There is nothing to read yet.
#[derive(Debug, thiserror::Error)]
#[error("there is no {part} at {path} yet: archive something first with `archive_ingest run`")]
pub struct NoArchive {
    part: &'static str,
    path: String,
}

impl NoArchive {
    fn of(part: &'static str, path: &Path) -> Self {
        Self {
            part,
            path: path.display().to_string(),
        }
    }
}

/// The catalogue for a command that reads. It creates nothing: an archive that
/// does not exist yet is an error ([`NoArchive`]). Blocks.
pub fn catalogue_to_read(config: &Config) -> anyhow::Result<Arc<dyn Catalogue>> {
    let database = config.database()?;
    if let DatabaseConfig::Sqlite(sqlite) = &database
        && !sqlite.path.exists()
    {
        return Err(NoArchive::of("catalogue", &sqlite.path).into());
    }
    let catalogue = catalogue::open(&database)?;
    catalogue.check()?;
    Ok(Arc::from(catalogue))
}

/// The store for a service that writes: waited for, buckets checked.
pub async fn store_to_write(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let store = store::open(&config.store()?)?;
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match store.check().await {
            Ok(()) => break,
            Err(error) if error.is_passing() && Instant::now() < deadline => {
                info!("{error}; waiting for it");
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // A policy may allow PUT for topics' keys only: then nothing is known, and
    // a store that lacks conditional PUT says so at the first object.
    if let Err(error) = store.probe_conditional_put().await {
        warn!(%error, "conditional PUT could not be probed, so it is not known whether the store honours it");
    }
    Ok(Arc::from(store))
}

/// The store for a command that reads; it creates nothing.
pub async fn store_to_read(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let chosen = config.store()?;
    if let StoreConfig::Directory(directory) = &chosen
        && !directory.path.exists()
    {
        return Err(NoArchive::of("store", &directory.path).into());
    }
    let store = store::open(&chosen)?;
    store.check().await?;
    Ok(Arc::from(store))
}

/// Tries again while `is_passing`, for as long as services may take to start.
pub(super) fn patiently<T, E: std::fmt::Display>(
    mut open: impl FnMut() -> Result<T, E>,
    is_passing: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match open() {
            Err(error) if is_passing(&error) && Instant::now() < deadline => {
                info!("{error}; waiting for it");
                std::thread::sleep(START_PAUSE);
            }
            other => return other,
        }
    }
}
