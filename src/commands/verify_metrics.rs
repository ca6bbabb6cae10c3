//! What `run` tells Prometheus of the verifications of its archive, whoever ran
//! them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tracing::debug;

use super::listeners::Listeners;
use super::verifications::{Successes, Verifications};
use super::watch::Watch;
use crate::catalogue::Verification;

/// Those that stand, as they were when the catalogue last answered.
#[derive(Clone, Default)]
struct Standing(Arc<Mutex<(Vec<Verification>, Successes)>>);

/// Asks the catalogue now and then, for as long as anybody can ask for it.
/// `None`: nobody can.
pub(super) fn watch(listeners: &Listeners, every: Duration) -> std::io::Result<Option<Watch>> {
    let catalogue = listeners.control.and(listeners.catalogue());
    let Some(catalogue) = catalogue else {
        return Ok(None);
    };
    let standing = Standing::default();
    let shown = standing.clone();
    listeners
        .metrics
        .register(|registry| registry.register_collector(Box::new(shown)));
    let look = move || match Verifications::read(&*catalogue) {
        Ok(read) => *standing.held() = (read.standing, read.successes),
        Err(error) => debug!("what verify found is not known: {error}"),
    };
    Watch::start("verifications", every, look).map(Some)
}

impl Standing {
    fn held(&self) -> std::sync::MutexGuard<'_, (Vec<Verification>, Successes)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Standing")
    }
}

/// Name, help and value of a gauge.
type Gauge = (&'static str, &'static str, fn(&Verification) -> i64);

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let (standing, successes) = self.held().clone();
        let mut family = encoder.encode_descriptor(
            "archive_verify_last_success_timestamp_seconds",
            "When verify last looked at all of it and left no defect; 0: never",
            None,
            MetricType::Gauge,
        )?;
        let scopes = [
            ("archive", successes.archive),
            ("kafka", successes.kafka),
            ("part", successes.part),
        ];
        for (scope, last) in scopes {
            for (depth, at) in ["sizes", "contents"].into_iter().zip(last) {
                let labels = [("depth", depth), ("scope", scope)];
                ConstGauge::new(at / 1000).encode(family.encode_family(&labels)?)?;
            }
        }
        let gauges: [Gauge; 2] = [
            (
                "archive_verify_finished_timestamp_seconds",
                "When verify with these options last came to its end",
                |of| of.finished_at.unwrap_or_default() / 1000,
            ),
            (
                "archive_verify_defects_left",
                "Defects that it found and did not mend",
                Verification::left,
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for of in &standing {
                let label = [("options", of.asked.as_str())];
                ConstGauge::new(value(of)).encode(family.encode_family(&label)?)?;
            }
        }
        let help = "Defects that it found, mended or not";
        let mut family =
            encoder.encode_descriptor("archive_verify_defects", help, None, MetricType::Gauge)?;
        for of in &standing {
            for (kind, count) in &of.defects {
                let labels = [("options", of.asked.as_str()), ("kind", kind.as_str())];
                ConstGauge::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
