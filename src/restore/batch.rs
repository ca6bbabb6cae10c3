//! Records that go into one transaction.

use std::collections::BTreeMap;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::fetch::Fetched;
use super::note::Note;
use super::outcome::{LeftOut, NAMED, NearRecord};
use super::record::Near;
use crate::catalogue::StreamPlace;
use crate::record::Record;

/// What closes a batch, whichever comes first.
const RECORDS: u64 = 10_000;
const BYTES: usize = 8 * 1024 * 1024;
const AGE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Batch {
    pub records: Vec<(Record, OwnedSemaphorePermit)>,
    pub counts: Counts,
    pub left_out: Vec<LeftOut>,
    last: Option<(StreamPlace, Uuid)>,
    bytes: usize,
    began: Option<Instant>,
}

/// What is known of a batch once its records are gone.
#[derive(Default)]
pub(super) struct Counts {
    pub messages: u64,
    pub retries: u64,
    /// Retries that were written.
    pub retries_restored: u64,
    pub restored: u64,
    pub document_bytes: u64,
    pub near: BTreeMap<Near, u64>,
    pub near_records: Vec<NearRecord>,
}

impl Batch {
    pub fn add(&mut self, fetched: Fetched, topic: &str) {
        let Fetched {
            appearance,
            given,
            room,
        } = fetched;
        self.began.get_or_insert_with(Instant::now);
        self.last = Some((appearance.place, appearance.uuid));
        self.counts.document_bytes += u64::from(appearance.size.unsigned_abs());
        match appearance.is_retry {
            true => self.counts.retries += 1,
            false => self.counts.messages += 1,
        }
        match given {
            Err(left_out) => self.left_out.push(left_out),
            Ok((record, near)) => {
                self.counts.restored += 1;
                self.counts.retries_restored += u64::from(appearance.is_retry);
                if !near.is_empty() {
                    self.counts.near(NearRecord {
                        uuid: appearance.uuid,
                        topic: topic.to_owned(),
                        why: near,
                        timestamp: appearance.timestamp,
                    });
                }
                self.bytes += record.bytes();
                self.records.push((record, room));
            }
        }
    }

    /// When it is old enough to be closed; `None` while there is nothing in it.
    pub fn due(&self) -> Option<Instant> {
        Some(self.began? + AGE)
    }

    pub fn is_full(&self) -> bool {
        let passed = self.counts.messages + self.counts.retries;
        passed >= RECORDS
            || self.bytes >= BYTES
            || self.due().is_some_and(|due| due <= Instant::now())
    }

    /// The note that goes with it, after `before`.
    pub fn note(&self, before: &Note, done: bool) -> Note {
        let mut note = before.clone();
        if let Some((place, uuid)) = self.last {
            note.set_place(place);
            note.last = Some(uuid);
        }
        note.messages += self.counts.messages;
        note.retries += self.counts.retries;
        note.left_out += self.left_out.len() as u64;
        note.done = done;
        note
    }
}

impl Counts {
    fn near(&mut self, record: NearRecord) {
        for why in &record.why {
            *self.near.entry(*why).or_default() += 1;
        }
        if self.near_records.len() < NAMED {
            self.near_records.push(record);
        }
    }
}
