//! What the archiver does when something fails: the only place that decides
//! it.
//!
//! - A store or a database that is away, slow or overloaded is waited for, for
//!   ever: the round is tried again after a pause that doubles up to
//!   [`LONGEST`], with jitter. Meanwhile the byte budget fills, and the consumer
//!   pauses its partitions and stays in its group.
//! - A store or a database that refuses (credentials, permissions, schema)
//!   stops the program with that message: no retry helps.
//! - Kafka's client goes on by itself; only what is fatal to it, or a refusal,
//!   stops the program.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use tracing::{info, warn};

use crate::catalogue::CatalogueError;
use crate::kafka::KafkaFailure;
use crate::store::StoreError;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(15);

/// While something is away, it is told this often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What works again sooner than this, within a minute of an outage that was
/// told, is not told.
const HICCUP: Duration = Duration::from_secs(5);

/// Why the archiver ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    /// A part of the program ended although it should not.
    #[error("the archiver's {part} ended unexpectedly: {cause}")]
    Broken { part: &'static str, cause: String },
}

impl ArchiveError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Catalogue(error) => error.is_passing(),
            Self::Kafka(error) => matches!(error, KafkaFailure::Unavailable { .. }),
            Self::Broken { .. } => false,
        }
    }
}

/// The pauses between tries of one piece of work.
#[derive(Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next pause: half to all of a span that doubles each time.
    pub fn next(&mut self) -> Duration {
        let span = SHORTEST
            .saturating_mul(1 << self.tries.min(16))
            .min(LONGEST);
        self.tries += 1;
        span.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// Tells of each outage once when it begins, now and then while it lasts, and
/// once when it is over, however many tasks run into it. Of what fails now and
/// then it tells no more than once a minute.
#[derive(Default)]
pub struct Outages(Mutex<HashMap<&'static str, Part>>);

/// What is known of the store, or of the catalogue.
#[derive(Default)]
struct Part {
    /// When it failed first since it last worked.
    failing_since: Option<Instant>,
    /// Whether that it fails now was told.
    is_told: bool,
    last_told: Option<Instant>,
}

impl Outages {
    /// Notes how a call of `part` went, and gives the result back.
    pub fn noted<T>(
        &self,
        part: &'static str,
        result: Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let mut parts = self.0.lock().unwrap_or_else(|lock| lock.into_inner());
        match &result {
            Ok(_) => {
                if let Some(known) = parts.get_mut(part) {
                    known.works(part);
                }
            }
            Err(error) if error.is_passing() => parts.entry(part).or_default().failed(error),
            // It ends the program, which tells it.
            Err(_) => {}
        }
        result
    }
}

impl Part {
    fn failed(&mut self, error: &ArchiveError) {
        let since = self.failing_since.get_or_insert_with(Instant::now);
        let told_lately = self.last_told.is_some_and(|at| at.elapsed() < TELL_AGAIN);
        let lasts = since.elapsed() >= HICCUP;
        if told_lately && (self.is_told || !lasts) {
            return;
        }
        if lasts {
            let seconds = since.elapsed().as_secs();
            warn!("{error}; for {seconds} s now, still trying");
        } else {
            warn!("{error}; trying again until it works");
        }
        self.is_told = true;
        self.last_told = Some(Instant::now());
    }

    fn works(&mut self, name: &'static str) {
        let Some(since) = self.failing_since.take() else {
            return;
        };
        if std::mem::take(&mut self.is_told) {
            let seconds = since.elapsed().as_secs();
            info!("the {name} works again after {seconds} s");
            self.last_told = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_none() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses.iter().all(|p| *p >= SHORTEST / 2 && *p <= LONGEST));
        assert!(pauses[39] >= LONGEST / 2);
    }
}
