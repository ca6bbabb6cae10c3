//! What `run` tells Prometheus of the producer.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::producer_watch::{RunningProducer, Seen};
use crate::http::metrics::Metrics;
use crate::produce::{Snapshot, TypeStatus};

/// Adds what `producer` does to what is scraped.
pub(super) fn register(metrics: &Metrics, producer: &Arc<RunningProducer>) {
    let state = ProducerMetrics(producer.clone());
    metrics.register(|registry| registry.register_collector(Box::new(state)));
}

struct ProducerMetrics(Arc<RunningProducer>);

impl fmt::Debug for ProducerMetrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ProducerMetrics")
    }
}

/// A number of a type, where it has one.
type Number = fn(&TypeStatus, &Seen) -> Option<f64>;
type Count = fn(&TypeStatus) -> u64;

const COUNTERS: [(&str, &str, Count); 4] = [
    (
        "producer_published",
        "Entities put on Kafka since the start",
        |one| one.published,
    ),
    (
        "producer_late",
        "Of those, entities that turned up behind the position",
        |one| one.late,
    ),
    (
        "producer_left_out",
        "Members of payloads that the schema does not have",
        |one| one.left_out,
    ),
    (
        "producer_errors",
        "Attempts that failed and were tried again",
        |one| one.errors,
    ),
];

const GAUGES: [(&str, &str, Number); 5] = [
    (
        "producer_position_seconds",
        "Time of the last entity published in order, in the kernel's zone, since 1970",
        |one, _| one.position_second().map(|second| second as f64),
    ),
    (
        "producer_lag_entities",
        "Entities beyond the position, at most 10000 are counted; of types published here",
        |one, seen| seen.waiting.get(&one.id).map(|waiting| *waiting as f64),
    ),
    (
        "producer_lag_seconds",
        "How far the position is behind what may be read",
        |one, _| {
            one.is_own
                .then(|| one.behind.unwrap_or_default().as_secs_f64())
        },
    ),
    (
        "producer_quarantined",
        "Entities in the quarantine",
        |one, seen| Some(seen.quarantined.get(&one.id).copied().unwrap_or_default() as f64),
    ),
    (
        "producer_idle_seconds",
        "Since it was last worked on without an error",
        |one, _| {
            one.state
                .is_running()
                .then(|| one.last_success.elapsed().as_secs_f64())
        },
    ),
];

impl Collector for ProducerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (snapshot, seen) = (self.0.control.snapshot(), self.0.seen());
        let types = &snapshot.types;
        for (name, help, count) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for one in types {
                let counter = ConstCounter::new(count(one));
                counter.encode(family.encode_family(&labels(one))?)?;
            }
        }
        for (name, help, number) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for one in types {
                if let Some(number) = number(one, &seen) {
                    ConstGauge::new(number).encode(family.encode_family(&labels(one))?)?;
                }
            }
        }
        states(&mut encoder, types)?;
        of_all(&mut encoder, &snapshot, &seen)
    }
}

fn labels(one: &TypeStatus) -> [(&'static str, String); 3] {
    [
        ("realm", one.id.realm.clone()),
        ("schema", one.schema_name.clone()),
        ("topic", one.topic.clone()),
    ]
}

/// 1 for the state that a type is in.
fn states(encoder: &mut DescriptorEncoder<'_>, types: &[TypeStatus]) -> Result<(), fmt::Error> {
    let help = "1 for the state that the type is in";
    let mut family = encoder.encode_descriptor("producer_state", help, None, MetricType::Gauge)?;
    for one in types {
        let [realm, schema, topic] = labels(one);
        let state = ("state", one.state.word().to_owned());
        let labels = [realm, schema, topic, state];
        ConstGauge::new(1).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn of_all(
    encoder: &mut DescriptorEncoder<'_>,
    snapshot: &Snapshot,
    seen: &Seen,
) -> Result<(), fmt::Error> {
    let held_back = snapshot.held_back.as_ref();
    let is_kernel_read = snapshot.source_asked.is_some() && snapshot.source_error.is_none();
    let numbers = [
        (
            "producer_held_back_seconds",
            "For how long the kernel's bound has been held back",
            held_back.map_or(0.0, |held| held.lasting.as_secs_f64()),
        ),
        (
            "producer_kernel_up",
            "1 where the registered types could be read the last time",
            f64::from(u8::from(is_kernel_read)),
        ),
        (
            "producer_kafka_up",
            "1 where Kafka answered the last time",
            f64::from(u8::from(!seen.brokers.is_empty())),
        ),
    ];
    for (name, help, number) in numbers {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(number).encode(metric)?;
    }
    Ok(())
}
