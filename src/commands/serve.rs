//! `serve`: the archive API, without Kafka and without archiving.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use super::listeners::Listeners;
use super::run::listen_to_signals;
use super::{Exit, UsageError, open, output};
use crate::config::Config;
use crate::shutdown;

/// Beyond what requests under way may take, for closing connections.
const GRACE: Duration = Duration::from_secs(5);

/// Answers until told to stop. Exit 0. Errors: there is no archive to read, or
/// its services do not answer; the address cannot be listened on. Blocks.
pub fn serve(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let (listen, archive) = (config.listen()?, config.archive()?);
    let Some(api) = &listen.api else {
        let why = "api-listen is off, so there is nothing to serve: give it an address";
        return Err(UsageError(why.to_owned()).into());
    };
    if api.uploads {
        config.hop()?;
    }
    open_archive(config, api.uploads)?;
    let (trigger, shutdown) = shutdown::signal();
    let listeners = Listeners::start_api(config, api, archive.shutdown)?;
    // A signal ends it in good order from now on.
    let is_serving = Arc::new(AtomicBool::new(true));
    listeners.spawn(listen_to_signals(
        Arc::new(trigger),
        is_serving,
        archive.shutdown + GRACE,
    ));
    if let Some(address) = listeners.api {
        let url = format!("http://{address}");
        let line = match json {
            true => json!({ "archive_api": url }).to_string(),
            false => format!("archive API: {url}"),
        };
        told(output::print(&(line + "\n")))?;
    }
    listeners.wait(&shutdown);
    listeners.stop();
    Ok(Exit::Clean)
}

/// Whether anybody reads the address or not, it is served.
fn told(printed: std::io::Result<()>) -> anyhow::Result<()> {
    match printed.map_err(anyhow::Error::from) {
        Err(error) if !output::reader_has_left(&error) => Err(error),
        _ => Ok(()),
    }
}

/// That there is an archive, of this version. Whoever takes uploads makes it
/// where it is missing; others change nothing.
fn open_archive(config: &Config, takes_uploads: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if takes_uploads {
        let catalogue = open::catalogue_to_write(config)?;
        open::begin_signing(&*catalogue, &config.archive()?)?;
        runtime.block_on(open::store_to_write(config))?;
    } else {
        let _catalogue = open::catalogue_to_read(config)?;
        runtime.block_on(open::store_to_read(config))?;
    }
    Ok(())
}
