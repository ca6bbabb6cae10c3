//! `verify`: whether the catalogue and the store hold the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

use super::select::Chosen;
use super::verify_report::Report;
use super::{Exit, UsageError, open, output};
use crate::cli::VerifyArgs;
use crate::config::Config;
use crate::verify::{Checked, Progress, Sample, SampleError, Verifier};

/// Between two looks at the progress.
const TICK: Duration = Duration::from_secs(1);

/// Defects that are found and not yet printed.
const UNPRINTED: usize = 64;

/// `verify`: a line for each defect as it is found, and a summary. Exit 0 only
/// if everything was looked at and held, 1 with defects. An error, and no
/// summary, when it could not be finished. Blocks.
pub fn verify(config: &Config, args: &VerifyArgs, json: bool) -> anyhow::Result<Exit> {
    let chosen = Chosen::read(&args.select, Timestamp::now())?;
    let sample = sample(args)?;
    let catalogue = open::catalogue_to_read(config)?;
    let filter = chosen.filter(&*catalogue)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let verified = runtime.block_on(async {
        let verifier = Verifier {
            // This function keeps one too: a database's connection must not be
            // closed from within the runtime.
            catalogue: Arc::clone(&catalogue),
            store: open::store_to_read(config).await?,
            filter,
            sample,
            deep: args.deep,
            progress: Arc::new(Progress::default()),
        };
        watch(&verifier, Report::new(json, args.deep)).await
    });
    match verified {
        // Unlike elsewhere this is no good end: exit 0 says that all held.
        Err(error) if output::reader_has_left(&error) => Err(error.context(NotFinished)),
        other => other,
    }
}

/// Not everything was looked at: whatever was found, it says nothing of the
/// rest.
#[derive(Debug, thiserror::Error)]
#[error("verify could not finish")]
pub struct NotFinished;

fn sample(args: &VerifyArgs) -> Result<Option<Sample>, UsageError> {
    let parsed = args.sample.as_deref().map(str::parse).transpose();
    parsed.map_err(|error: SampleError| UsageError(format!("--sample: {error}")))
}

/// Does the work and reports on it meanwhile.
async fn watch(verifier: &Verifier, mut report: Report) -> anyhow::Result<Exit> {
    let (tell, mut defects) = mpsc::channel(UNPRINTED);
    let work = verifier.run(tell);
    tokio::pin!(work);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    let result: Result<Checked, _> = loop {
        tokio::select! {
            biased;
            Some(defect) = defects.recv() => report.defect(&defect)?,
            result = &mut work => break result,
            _ = ticks.tick() => report.progress(&verifier.progress.snapshot())?,
        }
    };
    while let Ok(defect) = defects.try_recv() {
        report.defect(&defect)?;
    }
    report.end_progress();
    let checked = result.context(NotFinished)?;
    report.summary(&checked)?;
    Ok(match report.defects() {
        0 => Exit::Clean,
        _ => Exit::Found,
    })
}
