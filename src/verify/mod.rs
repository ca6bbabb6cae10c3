//! Whether the catalogue and the store hold the same, looked at from both
//! sides; and what can be done where they do not.
//!
//! - Every row's object is there and has the row's size; with `deep` its bytes
//!   are read and compared with all that the row says of them.
//! - Every object has a row.
//! - The counts per topic are the rows'.
//! - No delivery has two rows.
//! - Nothing was lost before it could be archived.
//! - With Kafka, what it still holds is archived.
//!
//! Memory does not grow with the archive. What a running archiver has in flight
//! is no defect. A service that fails is asked again, and then ends the work
//! with an error: it never looks like a defect, and never like none.
//!
//! What is mended is mended where it is found, so that what follows from it is
//! found mended: first rows, then objects without a row, then counts. Nothing is
//! ever deleted or replaced in the store: bytes that are needed again go under a
//! new key beside the old one, and what lies under the old one is set aside.

mod ahead;
mod ask;
mod clock;
mod completeness;
mod content;
mod counts;
mod defect;
mod defect_text;
mod deliveries;
mod describe;
mod error;
mod finding;
mod kafka;
mod known_objects;
mod logbook;
mod mend;
mod objects;
mod pages;
mod place;
mod progress;
mod ranges;
mod rebuild;
mod rows;
mod sample;
mod signatures;
mod subset;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;

use self::ahead::Ahead;
use self::finding::Findings;
use self::logbook::Logbook;
use self::place::Place;
use crate::catalogue::{Catalogue, RowFilter};
use crate::signing::SigningKeys;
use crate::store::{Health, Store};

pub use self::completeness::Completeness;
pub use self::defect::{Defect, Kind};
pub use self::error::VerifyError;
pub use self::finding::{Finding, Repair};
pub use self::kafka::{RecordClients, Stream};
pub use self::mend::Mending;
pub use self::progress::{Phase, Progress, Snapshot};
pub use self::rebuild::{IsPublic, Rebuild, Rebuilt};
pub use self::sample::{Sample, SampleError};
pub use self::signatures::Signatures;
pub use self::subset::{Subset, SubsetError};

type Result<T> = std::result::Result<T, VerifyError>;

/// What is compared with what.
pub struct Verifier {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    /// Which rows.
    pub filter: RowFilter,
    /// Only some of them, chosen at random.
    pub sample: Option<Sample>,
    /// Only some of them and of the objects, always the same.
    pub subset: Option<Subset>,
    /// Whether objects are read and not only looked for.
    pub deep: bool,
    /// An object younger than this (ms) may be one whose row a running archiver
    /// is about to commit: no orphan. By default [`IN_FLIGHT_MS`].
    pub in_flight_ms: i64,
    /// Kafka, where that is compared too.
    pub stream: Option<Stream>,
    /// What may be done about defects; `None`: nothing.
    pub mending: Option<Mending>,
    /// What the catalogue keeps as having been asked for; `None`: it keeps
    /// nothing of this verification.
    pub asked: Option<String>,
    /// Whether the last verification of the same is gone on with, if it was
    /// stopped.
    pub resume: bool,
    /// Between two saves of how far it has come. By default 3 s.
    pub save_every: Duration,
    pub progress: Arc<Progress>,
    /// What tells a failure of the store from one of an object.
    pub health: Health,
    /// With which signatures are checked; `None`: they are not.
    pub keys: Option<SigningKeys>,
}

/// What was looked at, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub messages: u64,
    /// Bytes of objects read, with `deep`.
    pub bytes: u64,
    /// `None` where the filter or the sample leaves some rows out: then an
    /// object without a row cannot be told from one whose row was left out.
    pub backwards: Option<Backwards>,
    /// Which streams are complete; `None` where it was not looked at.
    pub completeness: Option<Completeness>,
    /// Records of Kafka that were compared; `None`: it was not asked.
    pub records: Option<u64>,
    /// How many defects of each kind, an earlier part of the same verification
    /// included.
    pub defects: std::collections::BTreeMap<String, i64>,
    /// How many of them were mended (with a dry run: would be).
    pub mended: u64,
    /// What this run found about signatures.
    pub signatures: Signatures,
    /// When the verification began that this one went on with, ms since
    /// 1970-01-01 UTC.
    pub resumed_from: Option<i64>,
}

/// From the store to the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backwards {
    pub objects: u64,
    /// Objects without a row that are younger than [`Verifier::in_flight_ms`].
    pub in_flight: u64,
    /// Topics whose counts were compared.
    pub topics: u64,
}

/// 15 minutes, the archive's in-flight horizon.
pub const IN_FLIGHT_MS: i64 = 15 * 60 * 1000;

/// What seems to be missing is looked for again after the pass; of that so
/// many are kept in memory, and more are looked for at once.
const SUSPECTS: usize = 10_000;

impl Verifier {
    /// One that looks at every row and object without reading objects, keeps
    /// nothing and mends nothing.
    pub fn new(catalogue: Arc<dyn Catalogue>, store: Arc<dyn Store>) -> Self {
        Self {
            catalogue,
            store,
            filter: RowFilter::default(),
            sample: None,
            subset: None,
            deep: false,
            in_flight_ms: IN_FLIGHT_MS,
            stream: None,
            mending: None,
            asked: None,
            resume: false,
            save_every: Duration::from_secs(3),
            progress: Arc::new(Progress::default()),
            health: Health::default(),
            keys: None,
        }
    }

    /// Compares everything and sends each defect as it is found. Ends early,
    /// with an error, when a service keeps failing or nobody takes the findings.
    pub async fn run(&self, to: mpsc::Sender<Finding>) -> Result<Checked> {
        let mut log = self.open_logbook().await?;
        let resumed_from = (log.saved.place != Place::START).then_some(log.before().1.started_at);
        let findings = {
            let (counts, before) = log.before();
            self.progress.go_on_from(before);
            Findings::new(to, counts)
        };
        let place = log.saved.place.clone();
        self.save(&mut log, &findings, place).await;
        let state = self.ask(|catalogue| catalogue.upkeep().state()).await?;
        if let Some(last) = state.signed_after {
            // It is set once.
            let _ = self.progress.signatures.signed_after.set(last);
        }
        let completeness = self.phases(&mut log, &findings).await?;
        self.close_logbook(&mut log, &findings).await;
        let (done, counts) = (self.progress.snapshot(), findings.counts());
        Ok(Checked {
            messages: done.messages,
            bytes: done.bytes,
            backwards: self.is_selecting_whole_topics().then_some(Backwards {
                objects: done.objects,
                in_flight: log.saved.in_flight,
                topics: log.saved.topics,
            }),
            completeness,
            records: self.stream.is_some().then_some(log.saved.records),
            defects: counts.defects,
            mended: counts.mended,
            signatures: self.progress.signatures.read(),
            resumed_from,
        })
    }

    /// From where the logbook is.
    async fn phases(&self, log: &mut Logbook, findings: &Findings) -> Result<Option<Completeness>> {
        if !self.is_selecting_whole_topics() {
            return self.in_turn(None, log, findings).await;
        }
        let (listing, listed) = self.list_ahead(&log.saved.place);
        let listing = listing.then(|()| pending());
        tokio::select! {
            done = self.in_turn(Some(listed), log, findings) => done,
            done = listing => done,
        }
    }

    /// One after another; objects where they are listed.
    async fn in_turn(
        &self,
        listed: Option<Ahead>,
        log: &mut Logbook,
        findings: &Findings,
    ) -> Result<Option<Completeness>> {
        if let Place::Messages { after } = log.saved.place {
            self.check_rows(after, log, findings).await?;
            let next = Place::Objects { range: None };
            self.save(log, findings, next).await;
        }
        if let Place::Objects { .. } = log.saved.place {
            if let Some(mut listed) = listed {
                self.check_objects(&mut listed, log, findings).await?;
            }
            self.save(log, findings, Place::Topics).await;
        }
        if log.saved.place == Place::Topics {
            self.check_complete(findings).await?;
            if self.is_selecting_whole_topics() {
                log.saved.topics = self.check_counts(findings).await?;
                self.check_gaps(findings).await?;
                self.check_deliveries(findings).await?;
            }
            let next = Place::Kafka { after: None };
            self.save(log, findings, next).await;
        }
        if let (Place::Kafka { after }, Some(stream)) = (log.saved.place.clone(), &self.stream) {
            self.check_stream(stream, after, log, findings).await?;
        }
        // Last, so that what was repaired counts; and again after a resume.
        if self.is_selecting_whole_topics() {
            return Ok(Some(self.check_completeness(findings).await?));
        }
        Ok(None)
    }

    /// A catalogue without some of its rows has no defect that could be seen in
    /// the others.
    async fn check_complete(&self, findings: &Findings) -> Result<()> {
        let state = self.ask(|catalogue| catalogue.upkeep().state()).await?;
        let Some(cause) = state.incomplete() else {
            return Ok(());
        };
        let repair = self
            .mending
            .as_ref()
            .map(|_| Repair::impossible("run rebuild-catalogue to its end"));
        let defect = Defect::of_catalogue(Kind::IncompleteCatalogue { cause });
        findings.tell_of(vec![defect], repair).await
    }

    /// What the archiver found lost, of the topics that the filter selects.
    async fn check_gaps(&self, findings: &Findings) -> Result<()> {
        let gaps = self.ask(|catalogue| catalogue.gaps()).await?;
        for gap in gaps.into_iter().filter(|gap| self.is_selected(&gap.topic)) {
            let kind = Kind::Gap {
                partition: gap.partition,
                from: gap.from,
                to: gap.to,
                reason: gap.reason.as_str(),
                found_at: gap.found_at,
                acknowledged_at: gap.acknowledged_at,
            };
            let defect = Defect::of_topic(gap.topic.to_string(), kind);
            findings.tell(defect).await?;
        }
        Ok(())
    }

    fn is_selected(&self, topic: &str) -> bool {
        match &self.filter.topics {
            Some(topics) => topics.iter().any(|name| name == topic),
            None => true,
        }
    }

    fn is_selecting_whole_topics(&self) -> bool {
        let has_times = self.filter.since.is_some() || self.filter.until.is_some();
        !has_times && self.sample.is_none()
    }
}
