//! `produce`, `rebuild` and `reconcile`: one pass over the types of a kernel.

use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::output::{self, Stdout, or_dash};
use super::{Exit, UsageError, open, table};
use crate::cli::{ProduceArgs, RebuildArgs, ReconcileArgs};
use crate::config::Config;
use crate::entities::EntityType;
use crate::produce::{Outcome, Pass};
use crate::shutdown::{self, Shutdown, Trigger};

/// One type.
#[derive(Serialize)]
struct Line {
    realm: String,
    schema_name: String,
    topic: String,
    published: u64,
    /// Of those, found behind what was published before.
    late: u64,
    quarantined: u64,
    trouble: Option<String>,
}

/// `produce`: what is new, of all types or of some.
pub fn produce(config: &Config, args: &ProduceArgs, json: bool) -> anyhow::Result<Exit> {
    let pass = match args.dry_run {
        true => Pass::Dry,
        false => Pass::New,
    };
    let is_asked = |one: &EntityType, topic: &str| {
        let is = |asked: &Option<String>, own: &str| asked.as_deref().is_none_or(|a| a == own);
        is(&args.realm, &one.id.realm) && is(&args.topic, topic)
    };
    run(config, pass, is_asked, json)
}

/// `reconcile`: everything is compared.
pub fn reconcile(config: &Config, args: &ReconcileArgs, json: bool) -> anyhow::Result<Exit> {
    let is_asked = |_: &EntityType, topic: &str| args.topic.as_deref().is_none_or(|t| t == topic);
    run(config, Pass::Reconcile, is_asked, json)
}

/// `rebuild`: the topic goes, and is filled anew.
pub fn rebuild(config: &Config, args: &RebuildArgs, json: bool) -> anyhow::Result<Exit> {
    if !args.yes && !is_confirmed(&args.topic)? {
        return Err(UsageError("nothing was done: it was not confirmed".to_owned()).into());
    }
    let pass = Pass::Rebuild {
        stay_paused: args.paused,
    };
    run(config, pass, |_, topic| topic == args.topic, json)
}

/// On a terminal it is asked; elsewhere it must have been said.
fn is_confirmed(topic: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(UsageError(format!(
            "this removes topic {topic} with all that is on it: say --yes"
        ))
        .into());
    }
    let mut err = io::stderr();
    write!(err, "Remove topic {topic} with all that is on it? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn run(
    config: &Config,
    pass: Pass,
    is_asked: impl Fn(&EntityType, &str) -> bool,
    json: bool,
) -> anyhow::Result<Exit> {
    let (trigger, shutdown) = shutdown::signal();
    let _listener = listen_to_signals(trigger)?;
    let publishing = open::publishing(config)?;
    let outcomes = publishing.producer.run_once(is_asked, pass, &shutdown)?;
    if outcomes.is_empty() {
        return Err(UsageError(
            "the kernel has no such type: see `archive_ingest produce --dry-run`".to_owned(),
        )
        .into());
    }
    let lines: Vec<Line> = outcomes
        .into_iter()
        .map(|(id, outcome)| line(id.realm, outcome))
        .collect();
    print(&lines, json)?;
    Ok(exit(&lines, &shutdown))
}

/// The first signal ends it after what is under way, the second at once.
pub(super) fn listen_to_signals(trigger: Trigger) -> io::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            return std::future::pending().await;
        };
        for is_first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match is_first {
                true => trigger.shut_down(),
                false => std::process::exit(Exit::Failed.code().into()),
            }
        }
    });
    Ok(runtime)
}

fn line(realm: String, outcome: Outcome) -> Line {
    Line {
        realm,
        schema_name: outcome.schema_name,
        topic: outcome.topic,
        published: outcome.published,
        late: outcome.late,
        quarantined: outcome.quarantined,
        trouble: outcome.trouble,
    }
}

fn exit(lines: &[Line], shutdown: &Shutdown) -> Exit {
    for line in lines {
        if let Some(trouble) = &line.trouble {
            output::error(&format!("{}: {trouble}", line.topic));
        }
    }
    if shutdown.is_due() || lines.iter().any(|line| line.trouble.is_some()) {
        Exit::Failed
    } else if lines.iter().any(|line| line.quarantined > 0) {
        Exit::Found
    } else {
        Exit::Clean
    }
}

fn print(lines: &[Line], json: bool) -> io::Result<()> {
    let mut out = Stdout::new();
    if json {
        lines.iter().try_for_each(|line| out.json_line(line))?;
        return out.flush();
    }
    let rows = lines.iter().map(|line| {
        [
            line.topic.clone(),
            line.published.to_string(),
            line.late.to_string(),
            line.quarantined.to_string(),
            or_dash(line.trouble.as_deref().map(output::one_line)),
        ]
    });
    let columns = ["topic", "published", "late", "quarantined", "trouble"];
    out.write_all(table::render(columns, rows).as_bytes())?;
    out.flush()
}
