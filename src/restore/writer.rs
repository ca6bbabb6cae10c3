//! Who writes one topic: from taking it over to each transaction.

use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::info;

use super::batch::{Batch, Counts};
use super::begin::{Begin, TargetState};
use super::clients::Clients;
use super::note::Note;
use super::outcome::{LeftOut, Outcome};
use super::plan::Job;
use super::record::Aim;
use super::{RestoreError, Restorer, Result};
use crate::kafka::{GroupNote, KafkaFailure, TransactionalProducer};

/// The producer, and the note that it has written last.
pub(super) struct Writer {
    producer: Arc<TransactionalProducer>,
    group: Arc<GroupNote>,
    pub note: Note,
    /// The batch that is on its way.
    publishing: Option<JoinHandle<Result<Published>>>,
}

/// A batch that is committed.
pub(super) struct Published {
    note: Note,
    pub counts: Counts,
    pub left_out: Vec<LeftOut>,
}

/// A topic that nobody else writes any more.
struct Taken {
    producer: TransactionalProducer,
    group: GroupNote,
    partitions: i32,
    note: Option<String>,
    state: TargetState,
}

impl Restorer {
    /// Takes over the topic and finds out where to begin; `None` where nothing
    /// is left to do.
    pub(super) async fn open(
        &self,
        job: &Job,
        outcome: &mut Outcome,
    ) -> Result<Option<(Writer, Aim)>> {
        let (taken, begin) = self.take_over(job).await?;
        let note = match begin {
            Begin::Refused(why) => return Err(RestoreError::Refused(why)),
            Begin::Complete(note) => {
                self.check_same_catalogue(&note).await?;
                outcome.begin(&note, &self.progress);
                return Ok(None);
            }
            Begin::Resume(note) => {
                self.check_same_catalogue(&note).await?;
                note
            }
            Begin::New(note) => note,
        };
        outcome.begin(&note, &self.progress);
        let there = note.restored();
        let aim = Aim {
            topic: (&*job.target).into(),
            partitions: taken.partitions,
            by_key: self.options.by_key,
            mark: self.options.mark,
        };
        let writer = Writer::begun(taken, note).await?;
        info!(topic = job.topic(), to = job.target, there, "restoring");
        Ok(Some((writer, aim)))
    }

    async fn take_over(&self, job: &Job) -> Result<(Taken, Begin)> {
        let (clients, owned) = (self.clients.clone(), job.clone());
        let taken = spawn_blocking(move || Taken::from(&clients, &owned)).await??;
        let catalogue = self.ask(|catalogue| catalogue.upkeep().state()).await?;
        if let Some(why) = catalogue.incomplete() {
            return Err(RestoreError::Refused(why));
        }
        let begin = self.begin(job, taken.note.as_deref(), &taken.state, &catalogue);
        Ok((taken, begin))
    }

    /// Where several topics go into one, each has its note there before any of
    /// their records is: else those of one would seem to be strangers to the
    /// next.
    pub(super) async fn begin_together(&self, jobs: &[Job]) -> Result<()> {
        let is_shared = |job: &&Job| {
            let same = jobs.iter().filter(|other| other.target == job.target);
            same.count() > 1
        };
        for job in jobs.iter().filter(is_shared) {
            let (taken, begin) = self.take_over(job).await?;
            match begin {
                Begin::Refused(why) => return Err(RestoreError::Refused(why)),
                Begin::New(note) => drop(Writer::begun(taken, note).await?),
                Begin::Resume(_) | Begin::Complete(_) => {}
            }
        }
        Ok(())
    }

    /// A database that was set back to a backup keeps its id, and gives serial
    /// numbers a second time.
    async fn check_same_catalogue(&self, note: &Note) -> Result<()> {
        let Some(uuid) = note.last else { return Ok(()) };
        let rows = self.ask(move |catalogue| catalogue.fetch(&[uuid])).await?;
        match rows.first().is_some_and(|row| row.id == note.place().id) {
            true => Ok(()),
            false => Err(RestoreError::Refused(format!(
                "the catalogue is not the one with which this restore began (message {uuid} had the serial number {}): restore into an empty topic, or what is missing with --uuid-file and --append",
                note.place().id
            ))),
        }
    }
}

impl Taken {
    /// Blocks.
    fn from(clients: &Clients, job: &Job) -> Result<Self> {
        let cluster = &clients.cluster;
        let (id, largest) = (job.transactional_id(), job.extent.largest as usize);
        let producer = TransactionalProducer::open_for_records(cluster, &id, largest)?;
        let group = GroupNote::open(cluster, &job.group(), &job.target)?;
        // Only now, when nobody else can write it any more.
        let note = group.read()?;
        let settings = clients.topics.settings(&[&job.target])?;
        let Some(settings) = settings.get(&job.target) else {
            return Err(KafkaFailure::Unavailable {
                cluster: cluster.name().to_owned(),
                cause: format!("topic {} is not known yet, or any more", job.target),
            }
            .into());
        };
        let partitions = settings.partitions;
        let of_target = [(job.target.clone(), settings.clone())].into();
        let state = clients.states(&of_target)?.remove(&job.target);
        Ok(Self {
            producer,
            group,
            partitions,
            note,
            state: state.unwrap_or_default(),
        })
    }
}

impl Writer {
    /// With its note written, first of all, so that whoever finds records finds
    /// a note too.
    async fn begun(taken: Taken, note: Note) -> Result<Self> {
        let mut writer = Self {
            producer: Arc::new(taken.producer),
            group: Arc::new(taken.group),
            note,
            publishing: None,
        };
        writer.begin(Batch::default(), false);
        writer.wait().await?;
        Ok(writer)
    }

    /// Sends a batch on its way; the one before it is done.
    pub fn begin(&mut self, batch: Batch, done: bool) {
        let note = batch.note(&self.note, done);
        let (producer, group) = (self.producer.clone(), self.group.clone());
        self.publishing = Some(spawn_blocking(move || {
            // The room of each is free as soon as the client has its copy.
            let records = batch.records.into_iter().map(|(record, _room)| record);
            producer.publish_records(records, &group, &note.to_text())?;
            Ok(Published {
                note,
                counts: batch.counts,
                left_out: batch.left_out,
            })
        }));
    }

    pub async fn wait(&mut self) -> Result<Option<Published>> {
        let Some(publishing) = self.publishing.take() else {
            return Ok(None);
        };
        let published = publishing.await??;
        self.note = published.note.clone();
        Ok(Some(published))
    }
}
