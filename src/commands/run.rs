//! `run`: archive what is on Kafka, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::archive_metrics;
use super::listeners::Listeners;
use super::watch::Watch;
use super::{Exit, open, output, table, verify_metrics};
use crate::archive::{Archiver, Bounds, Outcome, Progress, Summary};
use crate::cli::{Loop, RunArgs};
use crate::config::{ArchiveConfig, Config, GroupName, HopConfig, HopKind};
use crate::kafka::{Admin, Cluster, KafkaFailure};
use crate::shutdown::{self, Trigger};

/// Beyond the time that what is in flight may take, this is for leaving the
/// group and closing connections.
const GRACE: Duration = Duration::from_secs(10);

/// Of that, what HTTP requests under way may take.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Opens everything, archives, prints the summary. Exit 0 when all that was
/// received is archived and committed, 3 when some is left for the next run.
pub fn run(config: &Config, args: &RunArgs, json: bool) -> anyhow::Result<Exit> {
    match args.only {
        Some(Loop::Producer) => super::produce::keep_producing(config),
        Some(Loop::Archiver) | None => archive(config, args, json),
    }
}

fn archive(config: &Config, args: &RunArgs, json: bool) -> anyhow::Result<Exit> {
    // All of the configuration is checked before anything is opened.
    let (hop, archive) = (config.hop()?, config.archive()?);
    config.store()?;
    config.listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (trigger, shutdown) = shutdown::signal();
    let is_reading = Arc::new(AtomicBool::new(false));
    runtime.spawn(listen_to_signals(
        trigger,
        is_reading.clone(),
        archive.shutdown + GRACE,
    ));
    let catalogue = open::catalogue_to_write(config)?;
    let cluster = open_cluster(&hop)?;
    let store = runtime.block_on(open::store_to_write(config))?;
    let progress = Arc::new(Progress::default());
    let listeners = Listeners::start(config, LAST_ANSWERS)?;
    archive_metrics::register(&listeners.metrics, &progress);
    let group = group_name(&hop.group);
    let every = archive.status_interval;
    let watches = [
        archive_metrics::watch_lag(&listeners, &cluster, &hop, &group, every)?,
        verify_metrics::watch(&listeners, every)?,
    ];
    let outcome = runtime.block_on(async {
        is_reading.store(true, Ordering::Release);
        info!(
            "archiving {} into {} and {}",
            cluster.name(),
            store.name(),
            catalogue.name()
        );
        let archiver = Archiver {
            catalogue,
            store,
            topics: hop.topics.clone(),
            topic_refresh: hop.topic_refresh,
            group,
            bounds: bounds(&hop, &archive, args),
            config: archive,
            progress,
        };
        anyhow::Ok(archiver.run(&cluster, shutdown).await?)
    });
    watches.into_iter().flatten().for_each(Watch::stop);
    listeners.stop();
    // What still runs (a request to a service that hangs) must not hold the
    // exit.
    runtime.shutdown_background();
    let outcome = outcome?;
    match tell(&outcome, json) {
        // What is archived is, whether anybody reads of it or not.
        Err(error) if !output::reader_has_left(&error) => return Err(error),
        _ => {}
    }
    Ok(match outcome.complete {
        true => Exit::Clean,
        false => Exit::Failed,
    })
}

/// Opens the cluster and asks it something, so that wrong credentials and
/// wrong addresses are told at once.
fn open_cluster(hop: &HopConfig) -> Result<Arc<Cluster>, KafkaFailure> {
    let cluster = Arc::new(Cluster::open(hop)?);
    if hop.kind != HopKind::Mock {
        let admin = Admin::open(&cluster, "archive_ingest")?;
        open::patiently(
            || admin.topics(),
            |error| matches!(error, KafkaFailure::Unavailable { .. }),
        )?;
    }
    Ok(cluster)
}

fn group_name(group: &GroupName) -> String {
    match group {
        GroupName::Named(name) => name.clone(),
        GroupName::Random => format!("archive_ingest-{:016x}", rand::random::<u64>()),
    }
}

fn bounds(hop: &HopConfig, archive: &ArchiveConfig, args: &RunArgs) -> Bounds {
    Bounds {
        until_eos: hop.until_eos,
        max_messages: args.max_messages,
        rest_after: hop.test_max_messages,
        drain: archive.shutdown,
    }
}

/// The first SIGTERM or SIGINT ends in good order, the second at once; so does
/// the end of the time that good order may take.
///
/// While services are still waited for nothing is in flight: the first one ends
/// at once, and in good order.
pub(super) async fn listen_to_signals(
    trigger: Trigger,
    is_reading: Arc<AtomicBool>,
    patience: Duration,
) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        warn!("signals cannot be listened to: the process can only be killed");
        return std::future::pending().await;
    };
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let first = next().await;
    if !is_reading.load(Ordering::Acquire) {
        info!("{first}: ending; nothing was read yet");
        std::process::exit(Exit::Clean.code().into());
    }
    info!("{first}: finishing what is in flight; once more ends at once");
    trigger.shut_down();
    let why = tokio::select! {
        name = next() => format!("{name} again"),
        () = tokio::time::sleep(patience) => format!("not finished after {patience:?}"),
    };
    error!("{why}: ending now; what was in flight is read again by the next run");
    std::process::exit(Exit::Failed.code().into());
}

fn tell(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    if json {
        output::print(&(serde_json::to_string(&outcome.summary)? + "\n"))?;
    } else {
        output::print(&summary_table(&outcome.summary))?;
    }
    if !outcome.complete {
        warn!(
            "not everything that was received is archived and committed: the rest is read again by the next run"
        );
    }
    Ok(())
}

fn summary_table(summary: &Summary) -> String {
    let row = |name: &str, archived: u64, duplicates: u64, bytes: u64| {
        [
            name.to_owned(),
            archived.to_string(),
            duplicates.to_string(),
            bytes.to_string(),
        ]
    };
    let topics = summary
        .topics
        .iter()
        .map(|(name, count)| row(name, count.archived, count.duplicates, count.bytes));
    let total = row("total", summary.archived, summary.duplicates, summary.bytes);
    let table = table::render(
        ["topic", "archived", "duplicates", "bytes"],
        topics.chain([total]),
    );
    let lost: String = summary
        .lost
        .iter()
        .map(|lost| {
            format!(
                "LOST before it was archived: {} partition {} offsets {} to {}\n",
                lost.topic,
                lost.partition,
                lost.from,
                lost.to - 1
            )
        })
        .collect();
    format!(
        "{table}{lost}{:.1} s, {:.0} messages a second\n",
        summary.seconds, summary.rate
    )
}
