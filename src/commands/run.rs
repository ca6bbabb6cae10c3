//! `run`: the loops that run until told to stop.
//!
//! A loop is opened here, shown by the listeners, and begun beside the others:
//! see `Loop`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use super::archiver::Archiving;
use super::bridge::{self, Bridging};
use super::listeners::{Listeners, Served};
use super::loops::run_together;
use super::producer::Producing;
use super::watch::Watch;
use super::{Exit, UsageError, open};
use crate::cli::{Loop, RunArgs};
use crate::config::{ApiConfig, Config, ControlConfig, HopConfig, NamedBy, PublishingConfig};
use crate::shutdown::{self, Trigger};

/// Beyond the time that what is in flight may take, this is for leaving the
/// group and closing connections.
const GRACE: Duration = Duration::from_secs(10);

/// Of that, what HTTP requests under way may take.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Opens everything, then runs the loops until one of them ends or a signal
/// comes. Exit 0 when all is done that was begun, 3 when some is left for the
/// next run; 1 when entities went into the quarantine with `--until-eos`. Blocks.
pub fn run(config: &Config, args: &RunArgs, json: bool) -> anyhow::Result<Exit> {
    // All of the configuration is checked before anything is opened.
    let plan = Plan::of(config, args)?;
    let bridge = bridge::Plan::beside(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (trigger, shutdown) = shutdown::signal();
    let (trigger, is_working) = (Arc::new(trigger), Arc::new(AtomicBool::new(false)));
    let bridges_for = bridge.as_ref().map(bridge::Plan::patience);
    let patience = config.archive()?.shutdown + GRACE + bridges_for.unwrap_or_default();
    runtime.spawn(listen_to_signals(
        trigger.clone(),
        is_working.clone(),
        patience,
    ));
    let cluster = open::cluster(&plan.hop)?;
    let archiving = match plan.archives {
        true => Some(Archiving::open(
            config,
            &plan.hop,
            args,
            &cluster,
            runtime.handle(),
        )?),
        false => None,
    };
    let producing = match plan.publishing {
        Some(chosen) => Some(Producing::open(chosen, &cluster)?),
        None => None,
    };
    is_working.store(true, Ordering::Release);
    let (producing, published) = match producing {
        // The end is one for all: entities are published first, and archived.
        Some(producing) if plan.hop.until_eos => (None, producing.once(&shutdown)?),
        producing => (producing, Exit::Clean),
    };
    let producer = producing.as_ref().map(Producing::running);
    let served = Served {
        api: plan.api,
        control: plan.control,
        has_archive: plan.archives,
        producer: producer.clone(),
        probes: archiving.iter().map(Archiving::probe).collect(),
    };
    let listeners = Listeners::start(config, served, LAST_ANSWERS)?;
    let (mut loops, mut watches) = (Vec::new(), Vec::new());
    if let Some(archiving) = archiving {
        watches.extend(archiving.watch(&plan.hop, &listeners)?);
        loops.push(archiving.into_loop(runtime.handle(), json));
    }
    if let Some(producing) = producing {
        watches.extend(producer.map(|running| running.watch()).transpose()?);
        loops.push(producing.into_loop());
    }
    if let Some(bridge) = bridge {
        let cluster = bridge.cluster(Some((&plan.hop, &cluster)))?;
        loops.push(Bridging::start(bridge, &cluster)?.into_loop());
    }
    let ended = run_together(loops, &trigger, &shutdown);
    watches.into_iter().for_each(Watch::stop);
    listeners.stop();
    // What still runs (a request to a service that hangs) must not hold the
    // exit.
    runtime.shutdown_background();
    Ok(published.worse(ended?))
}

/// Which loops run, and what they need of the configuration.
struct Plan {
    hop: HopConfig,
    archives: bool,
    publishing: Option<PublishingConfig>,
    api: Option<ApiConfig>,
    control: Option<ControlConfig>,
}

impl Plan {
    fn of(config: &Config, args: &RunArgs) -> anyhow::Result<Self> {
        let archives = runs(args, Loop::Archiver)?;
        let publishes = runs(args, Loop::Producer)?
            && (!archives || args.only.contains(&Loop::Producer) || config.publishes_beside());
        let publishing = match publishes {
            true => Some(open::publishing_config(config)?),
            false => None,
        };
        match &publishing {
            _ if archives => Self::with_archiver(config, publishing),
            Some(chosen) => {
                refuse_bounds(args)?;
                Ok(Self {
                    hop: chosen.hop.clone().without_end(),
                    archives: false,
                    api: None,
                    control: config.control(chosen)?,
                    publishing,
                })
            }
            None => Err(usage("no loop is left to run: leave out --without")),
        }
    }

    fn with_archiver(
        config: &Config,
        publishing: Option<PublishingConfig>,
    ) -> anyhow::Result<Self> {
        let named_by = publishing.as_ref().map(|chosen| chosen.positions_named_by);
        if named_by == Some(NamedBy::AetherEnvironment) {
            return Err(usage(
                "the environment is that of an Aether Producer: say `run --only producer` to \
                 publish as it says, or `run --only archiver`, or name stanzas with -H, -D, -S and -K",
            ));
        }
        config.archive()?;
        config.database()?;
        config.store()?;
        let listen = config.listen()?;
        Ok(Self {
            hop: config.hop()?,
            archives: true,
            publishing,
            api: listen.api,
            control: listen.control,
        })
    }
}

/// Whether `--only` and `--without` leave a loop in.
fn runs(args: &RunArgs, one: Loop) -> anyhow::Result<bool> {
    let (only, without) = (args.only.contains(&one), args.without.contains(&one));
    if only && without {
        let name = one.name();
        return Err(usage(&format!(
            "--only {name} and --without {name} contradict each other: leave one of them out"
        )));
    }
    Ok((args.only.is_empty() || only) && !without)
}

/// Bounds are the archiver's.
fn refuse_bounds(args: &RunArgs) -> anyhow::Result<()> {
    let bounds = [
        (args.until_eos, "--until-eos"),
        (args.max_messages.is_some(), "--max-messages"),
        (args.test_topic.is_some(), "--test-topic"),
    ];
    match bounds.iter().find(|(is_given, _)| *is_given) {
        Some((_, option)) => Err(usage(&format!(
            "{option} is about archiving, and the archiver does not run: leave it out; one pass \
             over what is new is `archive_ingest produce`"
        ))),
        None => Ok(()),
    }
}

fn usage(why: &str) -> anyhow::Error {
    UsageError(why.to_owned()).into()
}

/// The first SIGTERM or SIGINT ends in good order, the second at once; so does
/// the end of the time that good order may take.
///
/// While services are still waited for nothing is in flight: the first one ends
/// at once, and in good order.
pub(super) async fn listen_to_signals(
    trigger: Arc<Trigger>,
    is_working: Arc<AtomicBool>,
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
    if !is_working.load(Ordering::Acquire) {
        info!("{first}: ending; nothing was begun yet");
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
