//! One topic, from its beginning or from where its note says, to its end.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::batch::{Batch, Counts};
use super::begin::Begin;
use super::fetch::Fetched;
use super::note::Note;
use super::outcome::{Ending, LeftOut, NAMED, Outcome};
use super::plan::Job;
use super::record::Aim;
use super::{RestoreError, Restorer, Result};
use crate::catalogue::StreamFilter;
use crate::kafka::{Admin, GroupNote, TopicAdmin, TopicPartition, TransactionalProducer};

/// After a failure that may pass it is begun again from the note, so often
/// without any progress, after this pause.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(3);

/// How often it is looked whether it is time to end while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// At most so many records a second, whoever sends them.
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::default(),
        }
    }

    /// When the next record may go.
    fn turn(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.unwrap_or_else(Instant::now).max(Instant::now() - LOOK);
        *next = Some(turn + self.interval);
        turn
    }
}

/// Who writes one topic: the producer, and the note that it has written last.
struct Writer {
    producer: Arc<TransactionalProducer>,
    group: Arc<GroupNote>,
    note: Note,
    /// The batch that is on its way.
    publishing: Option<JoinHandle<Result<Published>>>,
}

/// A batch that is committed.
struct Published {
    note: Note,
    counts: Counts,
    left_out: Vec<LeftOut>,
}

impl Restorer {
    /// Restores one topic; a failure is part of the outcome.
    pub(super) async fn restore(&self, job: &Job, to: &mpsc::Sender<LeftOut>) -> Outcome {
        let mut outcome = Outcome::of(job);
        let mut tries = 0;
        loop {
            let before = outcome.restored;
            outcome.ending = match self.attempt(job, &mut outcome, to).await {
                Ok(ending) => ending,
                Err(error) if error.is_passing() && !self.shutdown.is_due() => {
                    tries = if outcome.restored > before {
                        1
                    } else {
                        tries + 1
                    };
                    if tries < TRIES {
                        warn!(
                            topic = job.topic(),
                            "{error}; going on from the last commit"
                        );
                        sleep(PAUSE).await;
                        continue;
                    }
                    Ending::Failed(error.to_string())
                }
                Err(error) => Ending::Failed(error.to_string()),
            };
            return outcome;
        }
    }

    async fn attempt(
        &self,
        job: &Job,
        outcome: &mut Outcome,
        to: &mpsc::Sender<LeftOut>,
    ) -> Result<Ending> {
        let Some((mut writer, aim)) = self.open(job, outcome).await? else {
            return Ok(Ending::Done);
        };
        let filter = StreamFilter {
            added: Some(writer.note.added),
            ..job.filter.clone()
        };
        let mut coming = pin!(self.fetch(&filter, writer.note.place(), aim));
        let mut batch = Batch::default();
        let ending = loop {
            if self.shutdown.is_due() {
                break Ending::Stopped;
            }
            tokio::select! {
                biased;
                _ = sleep_until(batch.due().unwrap_or_else(|| Instant::now() + LOOK)) => {}
                fetched = coming.next() => match fetched.transpose()? {
                    None => break Ending::Done,
                    Some(fetched) => self.take(fetched, &mut batch, job).await,
                }
            }
            if batch.is_full() {
                self.finish(&mut writer, outcome, to).await?;
                writer.begin(std::mem::take(&mut batch), false);
            }
        };
        self.finish(&mut writer, outcome, to).await?;
        writer.begin(batch, ending == Ending::Done);
        self.finish(&mut writer, outcome, to).await?;
        if ending == Ending::Done {
            outcome.behind = self.behind(&filter, &writer.note).await?;
        }
        Ok(ending)
    }

    async fn take(&self, fetched: Fetched, batch: &mut Batch, job: &Job) {
        if let Some(pace) = &self.pace {
            sleep_until(pace.turn()).await;
        }
        self.progress
            .read(u64::from(fetched.appearance.size.unsigned_abs()));
        batch.add(fetched, job.topic());
    }

    /// Takes over the topic and finds out where to begin; `None` where nothing
    /// is left to do.
    async fn open(&self, job: &Job, outcome: &mut Outcome) -> Result<Option<(Writer, Aim)>> {
        let cluster = self.cluster.clone();
        let (owned, largest) = (job.clone(), job.extent.largest as usize);
        let opened = spawn_blocking(move || -> Result<_> {
            let id = owned.transactional_id();
            let producer = TransactionalProducer::open_for_records(&cluster, &id, largest)?;
            let group = GroupNote::open(&cluster, &owned.group(), &owned.target)?;
            // Only now, when nobody else can write it any more.
            let text = group.read()?;
            let settings = TopicAdmin::open(&cluster)?.settings(&[&owned.target])?;
            let partitions = settings.get(&owned.target).map_or(0, |of| of.partitions);
            let all = (0..partitions).map(|p| TopicPartition::new(&owned.target, p));
            let all: Vec<TopicPartition> = all.collect();
            let offsets = Admin::open(&cluster, super::plan::GROUP)?.offsets(&all)?;
            let is_empty = offsets.values().all(|at| at.end <= at.start);
            Ok((producer, group, text, partitions, is_empty))
        });
        let (producer, group, text, partitions, is_empty) = opened.await??;
        let begin = self.begin(job, text.as_deref(), is_empty);
        let note = match begin {
            Begin::Refused(why) => return Err(RestoreError::Refused(why)),
            Begin::Complete(note) => {
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
        let mut writer = Writer {
            producer: Arc::new(producer),
            group: Arc::new(group),
            note,
            publishing: None,
        };
        // First of all, so that whoever finds records finds a note too.
        writer.begin(Batch::default(), false);
        writer.wait().await?;
        info!(
            topic = job.topic(),
            to = job.target,
            there = writer.note.restored(),
            "restoring"
        );
        let aim = Aim {
            topic: (&*job.target).into(),
            partitions,
            by_key: self.options.by_key,
            mark: self.options.mark,
        };
        Ok(Some((writer, aim)))
    }

    /// Serial numbers are this catalogue's alone: after a rebuild they mean
    /// others.
    async fn check_same_catalogue(&self, note: &Note) -> Result<()> {
        let Some(uuid) = note.last else { return Ok(()) };
        let rows = self.ask(move |catalogue| catalogue.fetch(&[uuid])).await?;
        match rows.first().is_some_and(|row| row.id == note.place().id) {
            true => Ok(()),
            false => Err(RestoreError::Refused(format!(
                "the catalogue is another one than when this restore began (message {uuid} had the serial number {}): remove the topic and begin again, or restore what is missing with --uuid-file and --append",
                note.place().id
            ))),
        }
    }

    /// Messages of this part whose rows came too late to be seen.
    async fn behind(&self, filter: &StreamFilter, note: &Note) -> Result<u64> {
        let filter = filter.clone();
        let now = self.ask(move |catalogue| catalogue.streams().extent(&filter));
        Ok(now.await?.messages.saturating_sub(note.messages))
    }

    /// Waits for the batch on its way, and counts it.
    async fn finish(
        &self,
        writer: &mut Writer,
        outcome: &mut Outcome,
        to: &mpsc::Sender<LeftOut>,
    ) -> Result<()> {
        if let Some(published) = writer.wait().await? {
            let Counts {
                messages, retries, ..
            } = published.counts;
            self.progress.passed(messages + retries);
            for left_out in published.left_out {
                // Whoever listened has left; it is counted all the same.
                let _ = to.send(left_out).await;
            }
            outcome.add(published.counts, &writer.note);
        }
        Ok(())
    }
}

impl Writer {
    /// Sends a batch on its way; the one before it is done.
    fn begin(&mut self, batch: Batch, done: bool) {
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

    async fn wait(&mut self) -> Result<Option<Published>> {
        let Some(publishing) = self.publishing.take() else {
            return Ok(None);
        };
        let published = publishing.await??;
        self.note = published.note.clone();
        Ok(Some(published))
    }
}

impl Outcome {
    fn of(job: &Job) -> Self {
        Self {
            topic: job.topic().to_owned(),
            target: job.target.clone(),
            restored: 0,
            retries: 0,
            before: 0,
            left_out: 0,
            behind: 0,
            bytes: 0,
            near: BTreeMap::new(),
            near_records: vec![],
            ending: Ending::Stopped,
        }
    }

    /// What is there when an attempt begins; of this run's own, all is counted
    /// already, or was committed when nobody heard of it any more.
    fn begin(&mut self, note: &Note, progress: &super::Progress) {
        let there = note.earlier + note.restored();
        let known = self.before + self.restored;
        let passed = note.messages + note.retries + note.earlier;
        if known == 0 {
            self.before = there;
            progress.passed(passed);
        } else {
            let unheard = there.saturating_sub(known);
            self.restored += unheard;
            progress.passed(unheard);
        }
        self.left_out = note.left_out;
    }

    fn add(&mut self, counts: Counts, note: &Note) {
        self.restored += counts.restored;
        self.retries += counts.retries_restored;
        self.bytes += counts.document_bytes;
        self.left_out = note.left_out;
        for (why, count) in counts.near {
            *self.near.entry(why).or_default() += count;
        }
        let free = NAMED.saturating_sub(self.near_records.len());
        self.near_records
            .extend(counts.near_records.into_iter().take(free));
    }
}
