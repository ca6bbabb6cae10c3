//! What `run` tells Prometheus of the archiver.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tracing::debug;

use super::listeners::Listeners;
use super::topics::{lag, partitions_of};
use crate::archive::{Progress, Summary, TopicCount};
use crate::config::{GroupName, HopConfig, TopicSelection, Verdict};
use crate::http::metrics::Metrics;
use crate::kafka::{Admin, Cluster, KafkaFailure, TopicPartition};

/// Between two looks whether to stop.
const TICK: Duration = Duration::from_millis(200);

/// Adds the counts of `progress` to what is scraped.
pub(super) fn register(metrics: &Metrics, progress: &Arc<Progress>) {
    let counts = ArchiverCounts(progress.clone());
    metrics.register(|registry| registry.register_collector(Box::new(counts)));
}

/// One of a topic's counts.
type Count = fn(&TopicCount) -> u64;

struct ArchiverCounts(Arc<Progress>);

impl std::fmt::Debug for ArchiverCounts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ArchiverCounts")
    }
}

impl Collector for ArchiverCounts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let summary = self.0.summary();
        let counters: [(&str, &str, Count); 3] = [
            (
                "archive_messages",
                "Messages archived since the start",
                |t| t.archived,
            ),
            (
                "archive_duplicates",
                "Deliveries of messages that the archive had",
                |t| t.duplicates,
            ),
            (
                "archive_object_bytes",
                "Bytes of the archived objects",
                |t| t.bytes,
            ),
        ];
        for (name, help, count) in counters {
            counter_by_topic(&mut encoder, name, help, &summary, count)?;
        }
        let lost: i64 = summary.lost.iter().map(|lost| lost.to - lost.from).sum();
        let gaps = [
            (
                "archive_gaps",
                "Ranges lost before they were archived",
                summary.lost.len() as i64,
            ),
            ("archive_lost_offsets", "Offsets in those ranges", lost),
        ];
        for (name, help, number) in gaps {
            let gauge = ConstGauge::new(number);
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

fn counter_by_topic(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    summary: &Summary,
    count: Count,
) -> Result<(), std::fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (topic, counts) in &summary.topics {
        let label = [("topic", topic.as_str())];
        ConstCounter::new(count(counts)).encode(family.encode_family(&label)?)?;
    }
    Ok(())
}

/// Asks Kafka now and then how far the group is behind, for as long as
/// anybody can ask for it.
pub(super) struct LagWatch {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Of each archived topic, as it was when it was last asked.
#[derive(Clone, Default)]
struct Lags(Arc<Mutex<BTreeMap<String, i64>>>);

impl LagWatch {
    /// A group that is a new one at each start has no lag to speak of.
    pub fn start(
        listeners: &Listeners,
        cluster: &Arc<Cluster>,
        hop: &HopConfig,
        group: &str,
        every: Duration,
    ) -> anyhow::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut watch = Self {
            is_over: is_over.clone(),
            thread: None,
        };
        if listeners.control.is_some() && hop.group != GroupName::Random {
            let lags = Lags::default();
            let shown = lags.clone();
            listeners
                .metrics
                .register(|r| r.register_collector(Box::new(shown)));
            let (cluster, topics, group) = (cluster.clone(), hop.topics.clone(), group.to_owned());
            let look = move || lags.watch(&cluster, &topics, &group, every, &is_over);
            watch.thread = Some(std::thread::Builder::new().name("lag".into()).spawn(look)?);
        }
        Ok(watch)
    }

    /// Does not wait for a question that is under way.
    pub fn stop(mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            // It only asks, and has ended.
            let _ = thread.join();
        }
    }
}

impl Lags {
    fn watch(
        &self,
        cluster: &Cluster,
        topics: &TopicSelection,
        group: &str,
        every: Duration,
        is_over: &AtomicBool,
    ) {
        let mut admin = None;
        let mut next = Instant::now();
        while !is_over.load(Ordering::Acquire) {
            if Instant::now() < next {
                std::thread::sleep(TICK);
                continue;
            }
            next = Instant::now() + every;
            match asked(&mut admin, cluster, topics, group) {
                Ok(lags) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lags,
                Err(error) => debug!("the lag is not known: {error}"),
            }
        }
    }
}

fn asked(
    admin: &mut Option<Admin>,
    cluster: &Cluster,
    topics: &TopicSelection,
    group: &str,
) -> Result<BTreeMap<String, i64>, KafkaFailure> {
    let admin = match admin {
        Some(admin) => admin,
        None => admin.insert(Admin::open(cluster, group)?),
    };
    let infos = admin.topics()?;
    let is_wanted = |topic: &str| matches!(topics.archives(topic), Verdict::Wanted);
    let wanted = infos.iter().filter(|info| is_wanted(&info.name));
    let partitions: Vec<TopicPartition> = wanted.flat_map(partitions_of).collect();
    let (offsets, committed) = (admin.offsets(&partitions)?, admin.committed(&partitions)?);
    let mut lags = BTreeMap::new();
    for partition in &partitions {
        if let Some(at) = offsets.get(partition) {
            let behind = lag(&(*at, committed.get(partition).copied()));
            *lags.entry(partition.topic.to_string()).or_default() += behind;
        }
    }
    Ok(lags)
}

impl std::fmt::Debug for Lags {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Lags")
    }
}

impl Collector for Lags {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let lags = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let help = "Offsets that the group has not committed yet";
        let mut family = encoder.encode_descriptor("archive_lag", help, None, MetricType::Gauge)?;
        for (topic, lag) in &lags {
            let label = [("topic", topic.as_str())];
            ConstGauge::new(*lag).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}
