//! `rebuild-catalogue`: the catalogue from the store alone.

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};
use tracing::warn;

use super::verify::{TICK, UNPRINTED, subset};
use super::verify_report::Report;
use super::verify_summary::{How, row, tenths};
use super::{Exit, open, table};
use crate::cli::RebuildCatalogueArgs;
use crate::config::Config;
use crate::verify::{Finding, IsPublic, Progress, Rebuild, Rebuilt};

/// Not every object was read: run it again.
#[derive(Debug, thiserror::Error)]
#[error("rebuild-catalogue could not finish; run it again, and it continues where it stopped")]
struct NotFinished;

/// `rebuild-catalogue`: a line for each object that gives no row, and a summary.
/// Exit 0 if every object has its row, 1 otherwise. Blocks.
pub fn rebuild(config: &Config, args: &RebuildCatalogueArgs, json: bool) -> anyhow::Result<Exit> {
    let shard = subset(args.shard.as_deref(), "--shard")?;
    config.store()?;
    let catalogue = open::catalogue_to_write(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let rebuild = Rebuild {
            // This function keeps one too: a database's connection must not be
            // closed from within the runtime.
            catalogue: Arc::clone(&catalogue),
            store: open::store_to_read(config).await?,
            shard,
            from_start: args.from_start,
            progress: Arc::new(Progress::default()),
            keys: config.archive()?.signing,
            is_public: public_topics(config)?,
        };
        watch(&rebuild, Report::with(json, How::default())).await
    })
}

/// What the configuration says of topics; of none that they are public where no
/// cluster is configured.
fn public_topics(config: &Config) -> anyhow::Result<IsPublic> {
    let topics = config.hop()?.topics;
    Ok(Arc::new(move |topic| topics.is_public(topic)))
}

/// Does the work and reports on it meanwhile.
async fn watch(rebuild: &Rebuild, mut report: Report) -> anyhow::Result<Exit> {
    let (tell, mut findings) = mpsc::channel::<Finding>(UNPRINTED);
    let work = rebuild.run(tell);
    tokio::pin!(work);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    let result = loop {
        tokio::select! {
            biased;
            Some(finding) = findings.recv() => report.finding(&finding)?,
            result = &mut work => break result,
            _ = ticks.tick() => report.progress(&rebuild.progress)?,
        }
    };
    while let Ok(finding) = findings.try_recv() {
        report.finding(&finding)?;
    }
    report.end_progress();
    let rebuilt = result.context(NotFinished)?;
    if let Some(why) = &rebuilt.incomplete {
        warn!("{why}");
    }
    let seconds = report.seconds();
    report.end(&as_json(&rebuilt, seconds), &as_table(&rebuilt, seconds))?;
    Ok(
        match rebuilt.defects + rebuilt.unconfirmed.unwrap_or_default() {
            0 => Exit::Clean,
            _ => Exit::Found,
        },
    )
}

fn as_json(rebuilt: &Rebuilt, seconds: f64) -> serde_json::Value {
    json!({
        "objects": rebuilt.objects,
        "rows_added": rebuilt.added,
        "rows_known": rebuilt.known,
        "set_aside": rebuilt.set_aside,
        "defects": rebuilt.defects,
        "signatures_checked": rebuilt.unconfirmed.is_some(),
        "unconfirmed": rebuilt.unconfirmed,
        "catalogue_complete": rebuilt.incomplete.is_none(),
        "continued_after": rebuilt.continued_after,
        "seconds": tenths(seconds),
    })
}

fn as_table(rebuilt: &Rebuilt, seconds: f64) -> String {
    let proof = match rebuilt.unconfirmed {
        Some(count) => row("unconfirmed", count, "objects without a valid signature"),
        None => [
            "signatures".to_owned(),
            "-".to_owned(),
            "nothing was proved: ARCHIVE_SIGNING_KEY is not set".to_owned(),
        ],
    };
    let rows = [
        row("objects", rebuilt.objects, "read"),
        row("rows", rebuilt.added, "added"),
        row("rows", rebuilt.known, "there before"),
        row(
            "objects",
            rebuilt.set_aside,
            "set aside: copies, damaged ones",
        ),
        row("defects", rebuilt.defects, "objects that give no row"),
        proof,
    ];
    let table = table::render(["what", "number", "how"], rows);
    let rate = rebuilt.objects as f64 / seconds.max(0.001);
    let continued = match &rebuilt.continued_after {
        Some(range) => format!("continued after {range:?}, the counts are of both runs\n"),
        None => String::new(),
    };
    format!("{table}{continued}{seconds:.1} s, {rate:.0} objects a second\n")
}
