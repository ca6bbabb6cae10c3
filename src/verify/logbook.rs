//! The record of a verification in the catalogue, kept while it goes on.

use std::time::Instant;

use tracing::warn;

use super::clock::now;
use super::finding::{Counts, Findings};
use super::place::{Place, Saved};
use super::{Result, Verifier};
use crate::catalogue::Verification;

/// Verifications among which an unfinished one is looked for.
const RECENT: usize = 50;

/// One verification, as the catalogue knows it.
pub(super) struct Logbook {
    verification: Verification,
    pub saved: Saved,
    /// Rows before the place, while that is among the rows: those after it are
    /// looked at again.
    pub settled: u64,
    /// `None`: nothing is kept, or no longer, because it cannot be.
    next: Option<Instant>,
}

impl Verifier {
    /// A new logbook, or that of the last unfinished verification of the same.
    pub(super) async fn open_logbook(&self) -> Result<Logbook> {
        let Some(asked) = self.asked.clone() else {
            return Ok(Logbook::unkept());
        };
        if self.resume
            && let Some(unfinished) = self.unfinished(&asked).await?
        {
            return Ok(unfinished);
        }
        let now = now();
        let verification = Verification {
            asked,
            started_at: now,
            saved_at: now,
            ..Verification::default()
        };
        Ok(Logbook {
            verification,
            saved: Saved::default(),
            settled: 0,
            next: Some(Instant::now() + self.save_every),
        })
    }

    async fn unfinished(&self, asked: &str) -> Result<Option<Logbook>> {
        let recent = self.ask(|catalogue| catalogue.upkeep().verifications(RECENT));
        let last = recent.await?.into_iter().find(|last| last.asked == asked);
        let Some(last) = last.filter(|last| last.finished_at.is_none()) else {
            return Ok(None);
        };
        let Some(place) = last.place.as_deref() else {
            return Ok(None);
        };
        let Some(saved) = Saved::parse(place) else {
            warn!(
                "the unfinished verification was saved by another version of archive_ingest and \
                 cannot be continued: starting from the beginning"
            );
            return Ok(None);
        };
        Ok(Some(Logbook {
            settled: u64::try_from(last.messages).unwrap_or_default(),
            verification: last,
            saved,
            next: Some(Instant::now() + self.save_every),
        }))
    }

    /// Whether it is time to save.
    pub(super) fn is_save_due(&self, log: &Logbook) -> bool {
        log.next.is_some_and(|next| next <= Instant::now())
    }

    /// Saves that everything before `place` is done.
    pub(super) async fn save(&self, log: &mut Logbook, findings: &Findings, place: Place) {
        log.saved.place = place;
        self.keep(log, findings, None).await;
    }

    /// Saves the end.
    pub(super) async fn close_logbook(&self, log: &mut Logbook, findings: &Findings) {
        self.keep(log, findings, Some(now())).await;
    }

    /// What cannot be kept is no reason to stop looking: it is told, once.
    async fn keep(&self, log: &mut Logbook, findings: &Findings, finished_at: Option<i64>) {
        if log.next.is_none() {
            return;
        }
        let done = self.progress.snapshot();
        let counts = findings.counts();
        log.saved.mended = counts.mended;
        let of = &mut log.verification;
        of.saved_at = now();
        of.finished_at = finished_at;
        let messages = match log.saved.place {
            Place::Messages { .. } if finished_at.is_none() => log.settled,
            _ => done.messages,
        };
        of.messages = messages as i64;
        of.objects = done.objects as i64;
        of.bytes = done.bytes as i64;
        of.defects = counts.defects;
        of.mended = match self.is_dry_run() {
            true => 0,
            false => counts.mended as i64,
        };
        of.place = match finished_at {
            Some(_) => None,
            None => serde_json::to_string(&log.saved).ok(),
        };
        let verification = of.clone();
        let saved = self.ask(move |catalogue| catalogue.upkeep().save_verification(&verification));
        log.next = match saved.await {
            Ok(id) => {
                log.verification.id = id;
                Some(Instant::now() + self.save_every)
            }
            Err(error) => {
                warn!("what verify finds is not kept in the catalogue: {error}");
                None
            }
        };
    }
}

impl Logbook {
    fn unkept() -> Self {
        Self {
            verification: Verification::default(),
            saved: Saved::default(),
            settled: 0,
            next: None,
        }
    }

    /// What was counted before it was stopped.
    pub fn before(&self) -> (Counts, &Verification) {
        let counts = Counts {
            defects: self.verification.defects.clone(),
            mended: self.saved.mended,
        };
        (counts, &self.verification)
    }
}
