//! What `run` tells Prometheus of the archiver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tracing::debug;

use super::listeners::Listeners;
use super::open_transactions::{OpenTransactions, Unstable};
use super::topics::{lag, partitions_of};
use super::watch::Watch;
use crate::archive::{Progress, Summary, TopicCount};
use crate::config::{GroupName, HopConfig, TopicSelection, Verdict};
use crate::http::metrics::Metrics;
use crate::http::probes::Probes;
use crate::kafka::{Admin, Cluster, KafkaFailure, Offsets, PartitionOffsets, TopicPartition};

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
            // -1 where it is not known.
            ConstGauge::new(stuck.offset.unwrap_or(-1)).encode(family.encode_family(&labels)?)?;
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
        let Summary {
            stuck, unreadable, ..
        } = self.summary();
        let stuck = stuck.into_iter().map(|stuck| {
            let at = stuck
                .offset
                .map_or(String::new(), |offset| format!(" at offset {offset}"));
            format!(
                "{} partition {} is stuck{at}: {}",
                stuck.topic, stuck.partition, stuck.cause
            )
        });
        let waiting = unreadable.into_iter().map(|waiting| {
            format!(
                "{} partition {} offset {} waits for the object {}, which cannot be read: {}",
                waiting.topic, waiting.partition, waiting.offset, waiting.key, waiting.cause
            )
        });
        stuck.chain(waiting).collect()
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

/// What Kafka answered when it was last asked.
#[derive(Clone, Default)]
struct KafkaState(Arc<Mutex<KafkaAnswers>>);

#[derive(Clone, Default)]
struct KafkaAnswers {
    /// Of each archived topic; `None` where the group has no lag to speak of, as
    /// it is a new one at each start.
    lags: Option<BTreeMap<String, i64>>,
    unstable: Vec<Unstable>,
}

/// Asks Kafka now and then how far the group is behind, and which transactions
/// stay open: of these it warns. `None`: a run to the end, which says at its end
/// what it could not read, and nobody can ask for metrics.
pub(super) fn watch_kafka(
    listeners: &Listeners,
    cluster: &Arc<Cluster>,
    hop: &HopConfig,
    group: &str,
    every: Duration,
) -> std::io::Result<Option<Watch>> {
    if listeners.control.is_none() && hop.until_eos {
        return Ok(None);
    }
    let state = KafkaState::default();
    let shown = state.clone();
    listeners
        .metrics
        .register(|r| r.register_collector(Box::new(shown)));
    let (cluster, topics, group) = (cluster.clone(), hop.topics.clone(), group.to_owned());
    let has_lag = hop.group != GroupName::Random;
    let every = every.min(hop.open_transaction_warning);
    let mut open = OpenTransactions::new(hop.open_transaction_warning);
    let mut admin = None;
    let look = move || match ask_kafka(&mut admin, &cluster, &topics, &group, has_lag) {
        Ok((lags, offsets, high_watermarks)) => {
            open.update(&offsets, &high_watermarks, Instant::now());
            let unstable = open.unstable(Instant::now());
            *state.0.lock().unwrap_or_else(PoisonError::into_inner) =
                KafkaAnswers { lags, unstable };
        }
        Err(error) => debug!(%error, "lag and open transactions are not known"),
    };
    Watch::start("kafka-offsets", every, look).map(Some)
}

type Asked = (
    Option<BTreeMap<String, i64>>,
    BTreeMap<TopicPartition, PartitionOffsets>,
    Offsets,
);

fn ask_kafka(
    admin: &mut Option<Admin>,
    cluster: &Cluster,
    topics: &TopicSelection,
    group: &str,
    has_lag: bool,
) -> Result<Asked, KafkaFailure> {
    let admin = match admin {
        Some(admin) => admin,
        None => admin.insert(Admin::open(cluster, group)?),
    };
    let infos = admin.topics()?;
    let is_wanted = |topic: &str| matches!(topics.archives(topic), Verdict::Wanted);
    let wanted = infos.iter().filter(|info| is_wanted(&info.name));
    let partitions: Vec<TopicPartition> = wanted.flat_map(partitions_of).collect();
    // Before the last stable offsets: what comes in between is in no transaction
    // that was open.
    let high_watermarks = admin.high_watermarks(&partitions)?;
    let offsets = admin.offsets(&partitions)?;
    if !has_lag {
        return Ok((None, offsets, high_watermarks));
    }
    let committed = admin.committed(&partitions)?;
    let mut lags = BTreeMap::new();
    for partition in &partitions {
        if let Some(at) = offsets.get(partition) {
            let behind = lag(&(*at, committed.get(partition).copied()));
            *lags.entry(partition.topic.to_string()).or_default() += behind;
        }
    }
    Ok((Some(lags), offsets, high_watermarks))
}

impl std::fmt::Debug for KafkaState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KafkaState")
    }
}

impl Collector for KafkaState {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let KafkaAnswers { lags, unstable } = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let gauge = MetricType::Gauge;
        let help = "Offsets that the group has not committed yet";
        let mut family = encoder.encode_descriptor("archive_lag", help, None, gauge)?;
        for (topic, lag) in lags.iter().flatten() {
            let label = [("topic", topic.as_str())];
            ConstGauge::new(*lag).encode(family.encode_family(&label)?)?;
        }
        let help = "Offsets between last stable offset and high watermark, of partitions with an open transaction";
        let name = "archive_partition_unstable_records";
        let mut family = encoder.encode_descriptor(name, help, None, gauge)?;
        for of in &unstable {
            let partition = of.partition.partition.to_string();
            let labels = [
                ("topic", &*of.partition.topic),
                ("partition", partition.as_str()),
            ];
            ConstGauge::new(of.records).encode(family.encode_family(&labels)?)?;
        }
        let help = "Partitions with a transaction that is open for longer than hop-open-transaction-warning-seconds";
        let name = "archive_hanging_transactions";
        let metric = encoder.encode_descriptor(name, help, None, gauge)?;
        let hanging = unstable.iter().filter(|of| of.is_hanging).count();
        ConstGauge::new(hanging as i64).encode(metric)
    }
}
