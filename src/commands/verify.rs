//! `verify`: whether the catalogue and the store hold the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

use super::select::{Chosen, age, nearest_topic, topics_of};
use super::verify_report::Report;
use super::verify_summary::Nothing;
use super::{Exit, UsageError, open, output};
use crate::catalogue::Catalogue;
use crate::cli::VerifyArgs;
use crate::config::{Config, GroupName, HopConfig, HopKind, StoreConfig, Verdict};
use crate::kafka::{Admin, Cluster};
use crate::verify::{
    Checked, Finding, Mending, RecordClients, Sample, SampleError, Stream, Subset, SubsetError,
    Verifier,
};

/// Between two looks at the progress.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Findings that are made and not yet printed.
pub(super) const UNPRINTED: usize = 64;

/// `verify`: a line for each defect as it is found, and a summary. Exit 0 only
/// if everything was looked at and held, or is mended; 1 with defects. An error,
/// and no summary, when it could not be finished. Blocks.
pub fn verify(config: &Config, args: &VerifyArgs, json: bool) -> anyhow::Result<Exit> {
    let chosen = Chosen::read(&args.select, Timestamp::now())?;
    let (sample, subset) = (sample(args)?, subset(args.subset.as_deref(), "--subset")?);
    let in_flight_ms = in_flight(args)?;
    let hop = hop(config, args)?;
    let catalogue = open::catalogue_to_read(config)?;
    if args.acknowledge_gaps {
        let filter = chosen.filter(&*catalogue)?;
        return acknowledge(&*catalogue, filter.topics.as_deref(), json);
    }
    refuse_unknown_topics(
        &*catalogue,
        &chosen,
        hop.as_ref().filter(|_| args.against_kafka),
    )?;
    let filter = chosen.filter(&*catalogue)?;
    let stream = hop.map(|hop| stream(&hop, chosen)).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let verified = runtime.block_on(async {
        let verifier = Verifier {
            filter,
            sample,
            subset,
            deep: args.deep,
            in_flight_ms,
            stream: stream.clone().filter(|_| args.against_kafka),
            mending: mending(config, args, stream)?,
            asked: Some(asked(args)),
            resume: args.resume,
            keys: config.archive()?.signing,
            // This function keeps one too: a database's connection must not be
            // closed from within the runtime.
            ..Verifier::new(Arc::clone(&catalogue), open::store_to_read(config).await?)
        };
        watch(&verifier, Report::new(json, args), args.allow_empty).await
    });
    match verified {
        // Unlike elsewhere this is no good end: exit 0 says that all held.
        Err(error) if output::reader_has_left(&error) => Err(error.context(NotFinished)),
        other => other,
    }
}

/// A topic that is nowhere would be verified without looking at anything. One
/// that is only on Kafka is compared with it.
fn refuse_unknown_topics(
    catalogue: &dyn Catalogue,
    chosen: &Chosen,
    hop: Option<&HopConfig>,
) -> anyhow::Result<()> {
    let mut topics = topics_of(catalogue)?;
    if chosen.unmatched(&topics).is_none() {
        return Ok(());
    }
    if let Some(hop) = hop {
        let admin = Admin::open(&Cluster::open(hop)?, "archive_ingest")?;
        topics.extend(admin.topics()?.into_iter().map(|topic| topic.name));
    }
    let Some(typed) = chosen.unmatched(&topics) else {
        return Ok(());
    };
    let nearest = match nearest_topic(typed, topics.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => "it has no topics yet".to_owned(),
    };
    Err(UsageError(format!(
        "--topic: the archive has no topic {typed:?}; {nearest}"
    ))
    .into())
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

pub(super) fn subset(typed: Option<&str>, option: &str) -> Result<Option<Subset>, UsageError> {
    let parsed = typed.map(str::parse).transpose();
    parsed.map_err(|error: SubsetError| UsageError(format!("{option}: {error}")))
}

fn in_flight(args: &VerifyArgs) -> Result<i64, UsageError> {
    let typed = &args.in_flight;
    age(typed).ok_or_else(|| {
        UsageError(format!(
            "--in-flight {typed:?} is no age: write how long, like 0s, 90s, 15m or 24h"
        ))
    })
}

/// The options that choose what is looked at, in one order.
fn asked(args: &VerifyArgs) -> String {
    let mut words = vec![];
    let flags = [
        (args.deep, "--deep"),
        (args.against_kafka, "--against-kafka"),
        (args.repair, "--repair"),
        (args.dry_run, "--dry-run"),
        (args.adopt_orphans, "--adopt-orphans"),
    ];
    words.extend(
        flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, word)| (*word).to_owned()),
    );
    let mut topics = args.select.topics.clone();
    topics.sort();
    words.extend(topics.iter().map(|topic| format!("--topic {topic}")));
    let values = [
        ("--since", &args.select.since),
        ("--until", &args.select.until),
        ("--sample", &args.sample),
        ("--subset", &args.subset),
    ];
    let given = values
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    words.extend(given.map(|(name, value)| format!("{name} {value}")));
    words.join(" ")
}

/// Kafka, where it is needed. The mock exists only while `run` runs.
fn hop(config: &Config, args: &VerifyArgs) -> anyhow::Result<Option<HopConfig>> {
    if !args.against_kafka && !args.repair {
        return Ok(None);
    }
    let hop = config.hop()?;
    match hop.kind {
        HopKind::Mock if args.against_kafka => Err(UsageError(
            "--against-kafka: the mock hop exists only while `run` runs: choose a broker with -H"
                .to_owned(),
        )
        .into()),
        HopKind::Mock => Ok(None),
        HopKind::Kafka { .. } => Ok(Some(hop)),
    }
}

fn stream(hop: &HopConfig, chosen: Chosen) -> anyhow::Result<Stream> {
    let (topics, public) = (hop.topics.clone(), hop.topics.clone());
    Ok(Stream {
        cluster: Arc::new(Cluster::open(hop)?),
        group: match &hop.group {
            GroupName::Named(name) => Some(name.clone()),
            // A new one at each start has committed nothing.
            GroupName::Random => None,
        },
        is_wanted: Arc::new(move |topic| {
            topics.archives(topic) == Verdict::Wanted && chosen.has_topic(topic)
        }),
        is_public: Arc::new(move |topic| public.is_public(topic)),
        record_clients: RecordClients::default(),
    })
}

fn mending(
    config: &Config,
    args: &VerifyArgs,
    stream: Option<Stream>,
) -> anyhow::Result<Option<Mending>> {
    if !args.repair {
        return Ok(None);
    }
    let topics = config.hop()?.topics;
    let configured = match config.store()? {
        StoreConfig::S3(s3) => s3.backup_bucket,
        StoreConfig::Directory(_) => None,
    };
    Ok(Some(Mending {
        dry_run: args.dry_run,
        backup_bucket: args.backup_bucket.clone().or(configured),
        stream,
        adopt_orphans: args.adopt_orphans,
        is_public: Arc::new(move |topic| topics.is_public(topic)),
    }))
}

/// Every gap is told; those that are new are known from now on.
fn acknowledge(
    catalogue: &dyn Catalogue,
    topics: Option<&[String]>,
    json: bool,
) -> anyhow::Result<Exit> {
    let number = catalogue.upkeep().acknowledge_gaps(topics)?;
    match json {
        true => output::print(&format!(
            "{}\n",
            serde_json::json!({ "acknowledged": number })
        ))?,
        false => output::print(&format!("{number} gaps are known from now on\n"))?,
    }
    Ok(Exit::Clean)
}

/// Of a verification that checked no message: whether another part of the same
/// archive has some.
async fn why_nothing(verifier: &Verifier) -> anyhow::Result<Nothing> {
    if verifier.subset.is_none() {
        return Ok(Nothing::Selected);
    }
    let (catalogue, filter) = (verifier.catalogue.clone(), verifier.filter.clone());
    let selected = tokio::task::spawn_blocking(move || catalogue.count(&filter)).await??;
    Ok(match selected {
        0 => Nothing::Selected,
        _ => Nothing::InThisPart,
    })
}

/// Does the work and reports on it meanwhile.
async fn watch(verifier: &Verifier, mut report: Report, allow_empty: bool) -> anyhow::Result<Exit> {
    let (tell, mut findings) = mpsc::channel::<Finding>(UNPRINTED);
    let work = verifier.run(tell);
    tokio::pin!(work);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    let result: Result<Checked, _> = loop {
        tokio::select! {
            biased;
            Some(finding) = findings.recv() => report.finding(&finding)?,
            result = &mut work => break result,
            _ = ticks.tick() => report.progress(&verifier.progress)?,
        }
    };
    while let Ok(finding) = findings.try_recv() {
        report.finding(&finding)?;
    }
    report.end_progress();
    let checked = result.context(NotFinished)?;
    let nothing = match checked.messages == 0 && checked.records.unwrap_or_default() == 0 {
        true => Some(why_nothing(verifier).await?),
        false => None,
    };
    report.summary(&checked, nothing)?;
    Ok(match (report.left(&checked), nothing) {
        (0, Some(Nothing::Selected)) if !allow_empty => Exit::Found,
        (0, _) => Exit::Clean,
        _ => Exit::Found,
    })
}
