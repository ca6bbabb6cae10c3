//! What `run` tells Prometheus of the archiver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tracing::debug;

use super::listeners::Listeners;
use super::topics::{lag, partitions_of};
use super::watch::Watch;
use crate::archive::{Progress, Summary, TopicCount};
use crate::config::{GroupName, HopConfig, TopicSelection, Verdict};
use crate::http::metrics::Metrics;
use crate::http::probes::Probes;
use crate::kafka::{Admin, Cluster, KafkaFailure, TopicPartition};

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
                "archive_records_waiting_for_unreadable_objects",
                "Records that wait until the object of an older row can be read",
                summary.unreadable.len() as i64,
            ),
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
        let help = "Partitions that cannot be read on, with the offset that is due";
        let mut family = encoder.encode_descriptor(
            "archive_stuck_partition_offset",
            help,
            None,
            MetricType::Gauge,
        )?;
        for stuck in &summary.stuck {
            let partition = stuck.partition.to_string();
            let labels = [
                ("topic", stuck.topic.as_str()),
                ("partition", partition.as_str()),
            ];
            ConstGauge::new(stuck.offset).encode(family.encode_family(&labels)?)?;
        }
        let unreadable = self.0.denied().len() as i64;
        for (name, help, number) in [
            (
                "archive_stuck_partitions",
                "Partitions that cannot be read on",
                summary.stuck.len() as i64,
            ),
            (
                "archive_unreadable_topics",
                "Topics that the user may not read",
                unreadable,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(number).encode(metric)?;
        }
        Ok(())
    }
}

/// A partition that is stuck makes the archiver not ready.
#[async_trait]
impl Probes for Progress {
    async fn not_ready(&self) -> Vec<String> {
        let stuck = self.stuck().into_iter();
        stuck
            .map(|stuck| {
                format!(
                    "{} partition {} is stuck at offset {}: {}",
                    stuck.topic, stuck.partition, stuck.offset, stuck.cause
                )
            })
            .collect()
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

/// Of each archived topic, as it was when it was last asked.
#[derive(Clone, Default)]
struct Lags(Arc<Mutex<BTreeMap<String, i64>>>);

/// Asks Kafka now and then how far the group is behind, for as long as anybody
/// can ask for it. `None`: nobody can, or the group is a new one at each start,
/// which has no lag to speak of.
pub(super) fn watch_lag(
    listeners: &Listeners,
    cluster: &Arc<Cluster>,
    hop: &HopConfig,
    group: &str,
    every: Duration,
) -> std::io::Result<Option<Watch>> {
    if listeners.control.is_none() || hop.group == GroupName::Random {
        return Ok(None);
    }
    let lags = Lags::default();
    let shown = lags.clone();
    listeners
        .metrics
        .register(|r| r.register_collector(Box::new(shown)));
    let (cluster, topics, group) = (cluster.clone(), hop.topics.clone(), group.to_owned());
    let mut admin = None;
    let look = move || match asked(&mut admin, &cluster, &topics, &group) {
        Ok(asked) => *lags.0.lock().unwrap_or_else(PoisonError::into_inner) = asked,
        Err(error) => debug!("the lag is not known: {error}"),
    };
    Watch::start("lag", every, look).map(Some)
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
