//! `restore`: archived records back onto Kafka.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

use super::produce::listen_to_signals;
use super::restore_report::Report;
use super::restore_select::{Selected, Selection};
use super::restore_target::Targets;
use super::{Exit, UsageError, open, output};
use crate::cli::RestoreArgs;
use crate::config::{Config, DatabaseConfig, GroupName, HopConfig, HopKind, Verdict};
use crate::kafka::{Admin, Cluster};
use crate::restore::{Ending, Job, LeftOut, Options, Outcome, Plan, Restorer};
use crate::shutdown;

/// Between two looks at the progress.
const TICK: Duration = Duration::from_secs(1);

/// What is left out and not yet told.
const UNTOLD: usize = 64;

/// `restore`: nothing is written before all targets were looked at, and all that
/// stands against it is told at once (exit 2). Exit 0 when everything is there, 1
/// when the archive could not give something, 3 when it did not come to its end:
/// the same command then goes on. Blocks.
pub fn restore(config: &Config, args: &RestoreArgs, json: bool) -> anyhow::Result<Exit> {
    let selection = Selection::read(args, Timestamp::now())?;
    let targets = Targets::read(args)?;
    let options = options(config, args)?;
    let hop = hop(config)?;
    let catalogue = open::catalogue_to_read(config)?;
    let selected = selection.ask(&*catalogue)?;
    if selected.is_nothing() {
        return Err(
            UsageError("the archive has no such topic: nothing to restore".to_owned()).into(),
        );
    }
    let cluster = Arc::new(Cluster::open(&hop)?);
    let (trigger, shutdown) = shutdown::signal();
    let _listener = listen_to_signals(trigger)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let store = runtime.block_on(open::store_to_read(config))?;
    let restorer = Restorer::new(catalogue, store, cluster.clone(), options, shutdown)?;
    let jobs = jobs(&restorer, &selection, &selected, &targets)?;
    let plan = restorer.plan(&jobs, Timestamp::now().as_millisecond())?;
    let mut refused = plan.refused.clone();
    if !args.into_archived {
        refused.extend(archived_again(&hop, &cluster, &jobs)?);
    }
    let mut report = Report::new(json, args.dry_run, selected.unknown);
    report.direct_uploads = selected.direct_uploads;
    if args.dry_run {
        report.plan(&jobs, &plan, &refused)?;
        return refusal(&refused).map(|()| report.exit_of_plan());
    }
    refusal(&refused)?;
    restorer.make_topics(&jobs, &plan)?;
    let outcomes = runtime.block_on(watch(&restorer, &jobs, &plan, &mut report))?;
    report.outcomes(&outcomes)?;
    Ok(exit(&outcomes, &report))
}

fn options(config: &Config, args: &RestoreArgs) -> anyhow::Result<Options> {
    Ok(Options {
        connections: match config.database()? {
            DatabaseConfig::Sqlite(_) => usize::MAX,
            DatabaseConfig::Postgres(postgres) => postgres.pool_size as usize,
        },
        by_key: args.by_key,
        mark: args.mark,
        create_topics: args.create_topics,
        append: args.append,
        rate: args.rate.as_deref().map(rate).transpose()?,
    })
}

/// `500` or `500/s`.
fn rate(typed: &str) -> Result<u32, UsageError> {
    let number = typed.strip_suffix("/s").unwrap_or(typed);
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let rate = number.parse().ok().filter(|rate| plain && *rate > 0);
    rate.ok_or_else(|| {
        UsageError(format!(
            "--rate {typed:?} is no rate: write how many records a second, like 500/s"
        ))
    })
}

/// The mock exists only while `run` runs.
fn hop(config: &Config) -> anyhow::Result<HopConfig> {
    let hop = config.hop()?;
    match hop.kind {
        HopKind::Mock => Err(UsageError(
            "the mock hop exists only while `run` runs: choose the broker to restore to with -H"
                .to_owned(),
        )
        .into()),
        HopKind::Kafka { .. } => Ok(hop),
    }
}

/// One for each topic that has anything to restore.
fn jobs(
    restorer: &Restorer,
    selection: &Selection,
    selected: &Selected,
    targets: &Targets,
) -> anyhow::Result<Vec<Job>> {
    let mut jobs = vec![];
    for topic in &selected.topics {
        let filter = selection.filter(topic, selected);
        let asked = selection.in_words(&filter, &restorer.options);
        let job = restorer.job(&targets.of(topic)?, filter, &asked)?;
        if job.extent.messages + job.extent.retries > 0 {
            jobs.push(job);
        }
    }
    Ok(jobs)
}

/// Targets whose records `run` with this configuration would archive again.
fn archived_again(hop: &HopConfig, cluster: &Cluster, jobs: &[Job]) -> anyhow::Result<Vec<String>> {
    let mut targets: Vec<&str> = jobs
        .iter()
        .map(|job| &*job.target)
        .filter(|topic| hop.topics.archives(topic) == Verdict::Wanted)
        .collect();
    targets.sort_unstable();
    targets.dedup();
    if targets.is_empty() {
        return Ok(vec![]);
    }
    let reads = match &hop.group {
        // Nobody can tell what a new group at each start has read.
        GroupName::Random => "a group of its own at each start".to_owned(),
        GroupName::Named(group) if Admin::open(cluster, group)?.knows_group(group)? => {
            format!("group {group}")
        }
        GroupName::Named(group) => {
            output::note(&format!(
                "group {group} is new to this cluster; should this archive read it, let the group begin behind what is restored, or all of that is archived again"
            ));
            return Ok(vec![]);
        }
    };
    let told = |topic: &str| {
        format!(
            "topic {topic} is archived by this very archive (hop-topics, {reads}), which would archive everything again: restore to another topic with --to, exclude it in the veto list, or say --into-archived"
        )
    };
    Ok(targets.into_iter().map(told).collect())
}

/// All of them, a line each: the last one is the error's.
fn refusal(refused: &[String]) -> anyhow::Result<()> {
    let Some((last, others)) = refused.split_last() else {
        return Ok(());
    };
    for why in others {
        output::error(why);
    }
    Err(UsageError(last.clone()).into())
}

/// Does the work and reports on it meanwhile.
async fn watch(
    restorer: &Restorer,
    jobs: &[Job],
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<Vec<Outcome>> {
    report.begin(jobs, plan, &restorer.progress);
    let (tell, mut left_out) = mpsc::channel::<LeftOut>(UNTOLD);
    let work = restorer.run(jobs, tell);
    tokio::pin!(work);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    let outcomes = loop {
        tokio::select! {
            biased;
            Some(one) = left_out.recv() => report.left_out(one),
            outcomes = &mut work => break outcomes,
            _ = ticks.tick() => report.progress(&restorer.progress),
        }
    };
    while let Ok(one) = left_out.try_recv() {
        report.left_out(one);
    }
    report.end_progress();
    Ok(outcomes)
}

fn exit(outcomes: &[Outcome], report: &Report) -> Exit {
    let is_done = |outcome: &Outcome| outcome.ending == Ending::Done;
    let is_whole = |outcome: &Outcome| outcome.left_out == 0 && outcome.behind == 0;
    if !outcomes.iter().all(is_done) {
        Exit::Failed
    } else if report.has_left_out() || !outcomes.iter().all(is_whole) {
        Exit::Found
    } else {
        Exit::Clean
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rate_is_a_number_with_or_without_its_unit(number in 1u32..) {
            prop_assert_eq!(rate(&number.to_string()).ok(), Some(number));
            prop_assert_eq!(rate(&format!("{number}/s")).ok(), Some(number));
        }

        #[test]
        fn what_is_no_rate_is_told(typed in "0|0/s|-5|\\+5|[a-z]{0,3}|5/m|5 /s|99999999999") {
            prop_assert!(rate(&typed).is_err());
        }
    }
}
