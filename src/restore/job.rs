//! One topic, from its beginning or from where its note says, to its end.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::batch::{Batch, Counts};
use super::fetch::Fetched;
use super::note::Note;
use super::outcome::{Ending, LeftOut, NAMED, Outcome};
use super::plan::Job;
use super::record::Aim;
use super::writer::Writer;
use super::{Restorer, Result};
use crate::catalogue::StreamFilter;

/// After a failure that may pass it is begun again from the note, so often
/// without any progress, after this pause.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(3);

/// How often it is looked whether it is time to end while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

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
        let ending = self.copy(job, outcome, &mut writer, aim, to).await;
        // Its clients take their time to close.
        spawn_blocking(move || drop(writer));
        ending
    }

    async fn copy(
        &self,
        job: &Job,
        outcome: &mut Outcome,
        writer: &mut Writer,
        aim: Aim,
        to: &mpsc::Sender<LeftOut>,
    ) -> Result<Ending> {
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
                self.finish(writer, outcome, to).await?;
                writer.begin(std::mem::take(&mut batch), false);
            }
        };
        self.finish(writer, outcome, to).await?;
        writer.begin(batch, ending == Ending::Done);
        self.finish(writer, outcome, to).await?;
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

impl Outcome {
    pub(super) fn of(job: &Job) -> Self {
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
    pub(super) fn begin(&mut self, note: &Note, progress: &super::Progress) {
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
