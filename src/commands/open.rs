//! Opens what a command works with, from the command line and the
//! configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Level, info};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::catalogue::{self, Catalogue, CatalogueError};
use crate::cli::{Command, Global};
use crate::config::{Config, DatabaseConfig, LogConfig, LogFormat, Selection, StoreConfig};
use crate::store::{self, Store, StoreError};

/// A service that does not answer at start is waited for this long, so that
/// services may be started in any order.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What the command line says about the configuration.
pub fn selection(global: &Global, command: &Command) -> Selection {
    let run = match command {
        Command::Run(run) => Some(run),
        _ => None,
    };
    Selection {
        config_file: global.config.clone(),
        veto_list: global.veto_list.clone(),
        hop: global.hop.clone(),
        database: global.database.clone(),
        store: global.store.clone(),
        kernel: None,
        until_eos: run.is_some_and(|run| run.until_eos),
        test_topic: run.and_then(|run| run.test_topic.clone()),
    }
}
