//! Whether the catalogue and the store hold the same, looked at from both
//! sides.
//!
//! - Every row's object is there and has the row's size; with `deep` its bytes
//!   are read and compared with all that the row says of them.
//! - Every object has a row.
//! - The counts per topic are the rows'.
//! - Nothing was lost before it could be archived.
//!
//! Memory does not grow with the archive. What a running archiver has in flight
//! is no defect. A service that fails is asked again, and then ends the work
//! with an error: it never looks like a defect, and never like none.

mod ask;
mod content;
mod counts;
mod defect;
mod error;
mod objects;
mod progress;
mod rows;
mod sample;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::catalogue::{Catalogue, RowFilter};
use crate::store::Store;

pub use self::defect::{Defect, Kind};
pub use self::error::VerifyError;
pub use self::progress::{Phase, Progress, Snapshot};
pub use self::sample::{Sample, SampleError};

type Result<T> = std::result::Result<T, VerifyError>;

/// What is compared with what.
pub struct Verifier {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    /// Which rows.
    pub filter: RowFilter,
    /// Only some of them, chosen at random.
    pub sample: Option<Sample>,
    /// Whether objects are read and not only looked for.
    pub deep: bool,
    pub progress: Arc<Progress>,
}

/// What was looked at, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    pub messages: u64,
    /// Bytes of objects read, with `deep`.
    pub bytes: u64,
    /// `None` where the filter or the sample leaves some rows out: then an
    /// object without a row cannot be told from one whose row was left out.
    pub backwards: Option<Backwards>,
}

/// From the store to the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backwards {
    pub objects: u64,
    /// Objects without a row that are younger than [`IN_FLIGHT_MS`].
    pub in_flight: u64,
    /// Topics whose counts were compared.
    pub topics: u64,
}

/// An object younger than this may be one whose row a running archiver is
/// about to commit: no orphan. 15 minutes, the archive's in-flight horizon.
pub const IN_FLIGHT_MS: i64 = 15 * 60 * 1000;

/// What seems to be missing is looked for again after the pass; of that so
/// many are kept in memory, and more are looked for at once.
const SUSPECTS: usize = 10_000;

impl Verifier {
    /// Compares everything and sends each defect as it is found. Ends early,
    /// with an error, when a service keeps failing or nobody takes the defects.
    pub async fn run(&self, defects: mpsc::Sender<Defect>) -> Result<Checked> {
        let findings = Findings(defects);
        self.check_rows(&findings).await?;
        let backwards = if self.is_selecting_whole_topics() {
            let (objects, in_flight) = self.check_objects(&findings).await?;
            let topics = self.check_counts(&findings).await?;
            self.check_gaps(&findings).await?;
            Some(Backwards {
                objects,
                in_flight,
                topics,
            })
        } else {
            None
        };
        let done = self.progress.snapshot();
        Ok(Checked {
            messages: done.messages,
            bytes: done.bytes,
            backwards,
        })
    }

    /// What the archiver found lost, of the topics that the filter selects.
    async fn check_gaps(&self, findings: &Findings) -> Result<()> {
        let gaps = self.ask(|catalogue| catalogue.gaps()).await?;
        let selected = |topic: &str| match &self.filter.topics {
            Some(topics) => topics.iter().any(|name| name == topic),
            None => true,
        };
        for gap in gaps.into_iter().filter(|gap| selected(&gap.topic)) {
            let kind = Kind::Gap {
                partition: gap.partition,
                from: gap.from,
                to: gap.to,
                found_at: gap.found_at,
            };
            let defect = Defect::of_topic(gap.topic.to_string(), kind);
            findings.tell(defect).await?;
        }
        Ok(())
    }

    fn is_selecting_whole_topics(&self) -> bool {
        let has_times = self.filter.since.is_some() || self.filter.until.is_some();
        !has_times && self.sample.is_none()
    }
}

/// Where defects go.
struct Findings(mpsc::Sender<Defect>);

impl Findings {
    async fn tell(&self, defect: Defect) -> Result<()> {
        let sent = self.0.send(defect).await;
        sent.map_err(|_| VerifyError::Unheard)
    }

    async fn tell_all(&self, defects: Vec<Defect>) -> Result<()> {
        for defect in defects {
            self.tell(defect).await?;
        }
        Ok(())
    }
}
