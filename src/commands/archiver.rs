//! The archiver as one of the loops of `run`: opened, shown, and its summary.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::{error, info, warn};

use super::listeners::Listeners;
use super::loops::Loop;
use super::select::nearest_topic;
use super::watch::Watch;
use super::{Exit, archive_metrics, open, output, table, verify_metrics};
use crate::archive::{Archiver, Bounds, Outcome, Progress, Summary};
use crate::cli::RunArgs;
use crate::config::{ArchiveConfig, Config, GroupName, HopConfig, Verdict, is_internal};
use crate::http::probes::Probes;
use crate::kafka::{Admin, Cluster, TopicInfo};

/// An archiver with everything that it works with.
pub(super) struct Archiving {
    archiver: Archiver,
    cluster: Arc<Cluster>,
}

impl Archiving {
    /// Catalogue and store are waited for. Blocks.
    pub fn open(
        config: &Config,
        hop: &HopConfig,
        args: &RunArgs,
        cluster: &Arc<Cluster>,
        runtime: &Handle,
    ) -> anyhow::Result<Self> {
        let archive = config.archive()?;
        let catalogue = open::catalogue_to_write(config)?;
        open::wait_until_complete(&*catalogue)?;
        open::begin_signing(&*catalogue, &archive)?;
        let store = runtime.block_on(open::store_to_write(config))?;
        let archiver = Archiver {
            catalogue,
            store,
            topics: hop.topics.clone(),
            topic_refresh: hop.topic_refresh,
            group: group_name(&hop.group),
            bounds: bounds(hop, &archive, args),
            config: archive,
            progress: Arc::new(Progress::default()),
        };
        Ok(Self {
            archiver,
            cluster: cluster.clone(),
        })
    }

    /// Says whether it can read all that it is to read.
    pub fn probe(&self) -> Arc<dyn Probes> {
        self.archiver.progress.clone()
    }

    /// Tells Prometheus what it does, how far behind it is, and what was verified.
    pub fn watch(&self, hop: &HopConfig, listeners: &Listeners) -> anyhow::Result<Vec<Watch>> {
        let Archiver {
            group,
            config,
            progress,
            ..
        } = &self.archiver;
        archive_metrics::register(&listeners.metrics, progress);
        let every = config.status_interval;
        let watches = [
            archive_metrics::watch_kafka(listeners, &self.cluster, hop, group, every)?,
            verify_metrics::watch(listeners, every)?,
        ];
        Ok(watches.into_iter().flatten().collect())
    }

    /// Exit 0 when all that was received is archived and committed, 3 when some
    /// is left for the next run. The summary goes to stdout.
    pub fn into_loop(self, runtime: &Handle, json: bool) -> Loop {
        let Self { archiver, cluster } = self;
        let runtime = runtime.clone();
        Loop::new("archiver", move |shutdown| {
            info!(
                "archiving {} into {} and {}",
                cluster.name(),
                archiver.store.name(),
                archiver.catalogue.name()
            );
            let found = match archiver.bounds.until_eos {
                true => topics_found(&cluster, &archiver),
                false => Exit::Clean,
            };
            let outcome = runtime.block_on(archiver.run(&cluster, shutdown.clone()))?;
            match tell(&outcome, json) {
                // What is archived is, whether anybody reads of it or not.
                Err(error) if !output::reader_has_left(&error) => return Err(error),
                _ => {}
            }
            let summary = &outcome.summary;
            let is_whole = summary.stuck.is_empty() && summary.unread.is_empty();
            Ok(match outcome.complete && is_whole {
                true => found,
                false => Exit::Failed,
            })
        })
    }
}

/// [`Exit::Found`] if topics were named and Kafka has none of them. Where Kafka
/// cannot be asked, the archiver says so.
fn topics_found(cluster: &Arc<Cluster>, archiver: &Archiver) -> Exit {
    let selection = &archiver.topics;
    let asked = Admin::open(cluster, &archiver.group).and_then(|admin| admin.topics());
    let Ok(topics) = asked else {
        return Exit::Clean;
    };
    let is_wanted = |topic: &&TopicInfo| selection.archives(&topic.name) == Verdict::Wanted;
    if topics.iter().any(|topic| is_wanted(&topic)) {
        return Exit::Clean;
    }
    let named = match &selection.only {
        Some(only) => only.clone(),
        None => selection.wanted.patterns().join(" "),
    };
    if named == "*" {
        info!("Kafka has no topics to archive");
        return Exit::Clean;
    }
    let names = topics.iter().map(|topic| topic.name.as_str());
    match nearest_topic(&named, names.filter(|name| !is_internal(name))) {
        Some(nearest) => error!(
            topics = named,
            nearest, "no topic of Kafka matches; did you mean the nearest?"
        ),
        None => error!(
            topics = named,
            "no topic of Kafka matches, and it has no topics"
        ),
    }
    Exit::Found
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

fn tell(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    if json {
        output::print(&(serde_json::to_string(&outcome.summary)? + "\n"))?;
    } else {
        output::print(&summary_table(&outcome.summary))?;
    }
    for unread in &outcome.summary.unread {
        warn!(
            topic = unread.topic,
            partition = unread.partition,
            offset = unread.offset,
            unstable_records = unread.unstable_records,
            cause = unread.cause,
            "not archived to its end"
        );
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
    let unreadable: String = summary
        .unreadable
        .iter()
        .map(|of| {
            format!(
                "NOT ARCHIVED yet: {} partition {} offset {}: cannot be compared with row {}: {}\n",
                of.topic, of.partition, of.offset, of.row, of.cause
            )
        })
        .collect();
    let unread: String = summary
        .unread
        .iter()
        .map(|unread| {
            let partition = match (unread.partition, unread.offset) {
                (None, _) => String::new(),
                (Some(partition), None) => format!(" partition {partition}"),
                (Some(partition), Some(offset)) => {
                    format!(" partition {partition} from offset {offset}")
                }
            };
            format!(
                "NOT ARCHIVED: {}{partition}: {}\n",
                unread.topic, unread.cause
            )
        })
        .collect();
    format!(
        "{table}{lost}{unreadable}{unread}{:.1} s, {:.0} messages a second\n",
        summary.seconds, summary.rate
    )
}
