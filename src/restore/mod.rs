//! Archived records back onto Kafka.
//!
//! ```text
//! catalogue, in the order of the stream ─► objects, many at once ─► records in order
//!     ─► batch ─► transaction with a note of how far it goes
//! ```
//!
//! - A topic's records come partition by partition, by offset; producers' retries
//!   are among them, as they were.
//! - A batch and the note of how far it goes are one transaction. The note is
//!   committed for a consumer group of the restore's own, so that it is where the
//!   records are: whoever reads it knows which of them are there, whatever became
//!   of the process that wrote them.
//! - The transactional id is that of source and target: who begins takes over,
//!   and reads the note only then. Whoever worked on them before can commit
//!   nothing any more.
//! - A note says what was asked for. Another selection does not go on after it:
//!   that would leave records out, or write them twice.
//! - What the archive cannot give is told, counted in the note, and passed.
//!
//! Memory is bounded by the bytes of objects that are held at once.

mod batch;
mod begin;
mod clients;
mod error;
mod fetch;
mod job;
mod note;
mod outcome;
mod pace;
mod plan;
mod progress;
mod record;
mod target;
mod writer;

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, mpsc};

use crate::catalogue::{self, Catalogue, CatalogueError};
use crate::kafka::Cluster;
use crate::shutdown::Shutdown;
use crate::store::Store;

use self::clients::Clients;

pub use self::error::RestoreError;
pub use self::outcome::{Ending, LeftOut, NearRecord, Outcome, Why};
pub use self::plan::{Job, Plan};
pub use self::progress::Progress;
pub use self::record::{Near, TIME_HEADER, UUID_HEADER};

type Result<T> = std::result::Result<T, RestoreError>;

/// Topics that are restored at once: small ones mostly wait for their
/// transactions.
const TOPICS_AT_ONCE: usize = 4;

/// Of objects and records held at once, in KiB; what is larger is held alone.
const MEMORY_KIB: u32 = 64 * 1024;

/// How records are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// By the hash of their key, and not to the partition that they were in.
    pub by_key: bool,
    /// With a header that has the archive's UUID.
    pub mark: bool,
    /// Topics that do not exist are made.
    pub create_topics: bool,
    /// Also beside records of which nobody knows where they are from, and after
    /// a restore of another selection.
    pub append: bool,
    /// At most so many records a second, all topics together.
    pub rate: Option<u32>,
    /// Connections to the catalogue that there may be; each topic that is
    /// restored keeps one.
    pub connections: usize,
}

/// From an archive to a cluster.
pub struct Restorer {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    clients: Arc<Clients>,
    pub options: Options,
    pub progress: Arc<Progress>,
    pub shutdown: Shutdown,
    memory: Arc<Semaphore>,
    pace: Option<pace::Pace>,
}

impl Restorer {
    /// Connects to nothing yet.
    pub fn new(
        catalogue: Arc<dyn Catalogue>,
        store: Arc<dyn Store>,
        cluster: Arc<Cluster>,
        options: Options,
        shutdown: Shutdown,
    ) -> Result<Self> {
        Ok(Self {
            catalogue,
            store,
            clients: Clients::open(cluster)?,
            pace: options.rate.map(pace::Pace::new),
            options,
            progress: Arc::default(),
            shutdown,
            memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
        })
    }

    /// Restores all of these, and says what became of each, in their order. What
    /// is left out is sent as soon as the records around it are committed. One
    /// that fails does not stop the others.
    pub async fn run(&self, jobs: &[Job], to: mpsc::Sender<LeftOut>) -> Vec<Outcome> {
        if let Err(error) = self.begin_together(jobs).await {
            let failed = |job| Outcome {
                ending: Ending::Failed(error.to_string()),
                ..Outcome::of(job)
            };
            return jobs.iter().map(failed).collect();
        }
        let to = &to;
        let mut outcomes: Vec<(usize, Outcome)> = stream::iter(jobs.iter().enumerate())
            .map(|(number, job)| async move { (number, self.restore(job, to).await) })
            .buffer_unordered((self.options.connections / 2).clamp(1, TOPICS_AT_ONCE))
            .collect()
            .await;
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// As [`catalogue::ask`].
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&dyn Catalogue) -> std::result::Result<T, CatalogueError>
        + Send
        + Sync
        + 'static,
    ) -> Result<T> {
        catalogue::ask(&self.catalogue, question, RestoreError::is_passing).await
    }
}
