//! The catalogue from the store alone.
//!
//! Objects say all that a row says, but for its serial number, whether it was
//! retracted, and what an object of another archiver does not know. Rows that
//! are there already are left alone, so a rebuild may be run again, and in parts
//! by several processes.
//!
//! With a signing key, an object is believed only if its signature is valid. Of
//! any other the row is unconfirmed, without the object's signature, and public
//! only if the configuration says so of its topic.
//!
//! From its beginning to the end of the last part the catalogue is marked as
//! incomplete: nothing is archived meanwhile, because a UUID that seems free may
//! have an owner. A rebuild that is stopped leaves the mark, and the next one
//! continues after the last key range that is done.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};
use uuid::Uuid;

use super::defect::{Defect, Kind};
use super::describe::{prove, proved, row_of};
use super::finding::{Finding, Findings};
use super::objects::uuid_of;
use super::ranges::{Ranges, listing};
use super::signatures::unconfirmed;
use super::{Result, SUSPECTS, Subset, Verifier};
use crate::catalogue::{Catalogue, Row};
use crate::envelope::{self, DecodeError};
use crate::signing::SigningKeys;
use crate::store::{Location, ObjectInfo, Store, StoreError};

/// Objects read at once.
const AT_ONCE: usize = 32;

/// Rows added at once.
const BATCH: usize = 500;

/// Objects, of one or more ranges, after which the position is saved.
const SAVE_AFTER: usize = 2_000;

/// Of objects read at once, in KiB; a larger object is read alone.
const MEMORY_KIB: u32 = 64 * 1024;

/// Whether the messages of a topic are public.
pub type IsPublic = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What is rebuilt from what. The verifier's `progress`, `catalogue` and
/// `store` are used, and nothing else of it.
pub struct Rebuild {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    /// Only this part.
    pub shard: Option<Subset>,
    /// Whether everything is read, also what a rebuild that was stopped has done.
    pub from_start: bool,
    pub progress: Arc<super::Progress>,
    /// With which signatures are checked; `None`: nothing is proved.
    pub keys: Option<SigningKeys>,
    /// Whether the messages of a topic are public, as far as is configured.
    pub is_public: IsPublic,
}

/// What became of the objects, those of the rebuild that was continued included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilt {
    pub objects: u64,
    /// Rows that were not there before.
    pub added: u64,
    /// Objects whose row was there.
    pub known: u64,
    /// Objects beside their message's own: copies, and what is damaged.
    pub set_aside: u64,
    /// Objects that give no row, each told.
    pub defects: u64,
    /// Objects without a valid signature, each told; `None`: not checked.
    pub unconfirmed: Option<u64>,
    /// Why the catalogue is not complete now: other parts are missing.
    pub incomplete: Option<String>,
    /// The key range after which this run continued an earlier one.
    pub continued_after: Option<String>,
}

/// How far the rebuild of a part has come.
#[derive(Serialize, Deserialize)]
struct RebuildCheckpoint {
    /// All ranges up to this one are done.
    range: Option<String>,
    done: Rebuilt,
    /// Objects that are judged when all others are read, and their sizes.
    last: Vec<(String, u64)>,
    /// The highest serial number in the catalogue: with a lower one, rows were
    /// removed since.
    newest_row: i64,
    /// What was read, and whether signatures were checked.
    store: String,
    is_signed: bool,
}

/// What an object is.
enum Read {
    Row(Box<Row>),
    /// Of an object without a valid signature, and why it has none.
    Unconfirmed(Box<Row>, String),
    /// Of no use by itself; perhaps another object of the UUID is.
    Damaged(Uuid, ObjectInfo, Kind),
    /// Whole, and another message than its key says.
    Stray(ObjectInfo),
    Foreign(ObjectInfo),
}

impl Rebuild {
    /// Ends with an error when a service keeps failing; what was added until
    /// then stays.
    pub async fn run(&self, to: mpsc::Sender<Finding>) -> Result<Rebuilt> {
        let work = Work {
            verifier: Verifier {
                progress: self.progress.clone(),
                keys: self.keys.clone(),
                ..Verifier::new(self.catalogue.clone(), self.store.clone())
            },
            shard: self.shard,
            from_start: self.from_start,
            is_public: self.is_public.clone(),
            findings: Findings::new(to, super::finding::Counts::default()),
        };
        work.run().await
    }
}

struct Work {
    verifier: Verifier,
    shard: Option<Subset>,
    from_start: bool,
    is_public: IsPublic,
    findings: Findings,
}

impl Work {
    async fn run(&self) -> Result<Rebuilt> {
        let (part, parts) = self.shard.map_or((1, 1), Subset::part);
        let part = (part as i32, parts as i32);
        let saved = self
            .verifier
            .ask(move |catalogue| catalogue.upkeep().begin_rebuild(part))
            .await?;
        if self.verifier.keys.is_some() {
            self.verifier
                .ask(|catalogue| catalogue.upkeep().begin_signing())
                .await?;
        }
        let new = RebuildCheckpoint {
            range: None,
            done: Rebuilt {
                unconfirmed: self.verifier.keys.as_ref().map(|_| 0),
                ..Rebuilt::default()
            },
            last: vec![],
            newest_row: self.newest_row().await?,
            store: self.verifier.store.name().to_owned(),
            is_signed: self.verifier.keys.is_some(),
        };
        let checkpoint = match saved {
            None => new,
            Some(saved) => match self.continued(&saved, &new) {
                Some(checkpoint) => checkpoint,
                None => {
                    self.save(part, &new).await?;
                    new
                }
            },
        };
        let mut done = self.read_all(part, checkpoint).await?;
        let is_complete = self
            .verifier
            .ask(move |catalogue| catalogue.upkeep().end_rebuild(part))
            .await?;
        if !is_complete {
            let state = self.verifier.ask(|catalogue| catalogue.upkeep().state());
            done.incomplete = state.await?.incomplete();
        }
        Ok(done)
    }

    /// Where an earlier rebuild was stopped, if this one may continue there.
    /// `new`: where this one begins otherwise.
    fn continued(&self, saved: &str, new: &RebuildCheckpoint) -> Option<RebuildCheckpoint> {
        if self.from_start {
            return None;
        }
        let cause = match serde_json::from_str::<RebuildCheckpoint>(saved) {
            Err(_) => "another version of archive_ingest saved its position",
            Ok(old) if old.store != new.store => "it read another store",
            Ok(old) if old.is_signed != new.is_signed => {
                "it ran with another setting of ARCHIVE_SIGNING_KEY"
            }
            Ok(old) if old.newest_row > new.newest_row => "rows were removed since",
            Ok(mut old) => {
                let range = old.range.as_deref();
                info!(
                    range,
                    objects = old.done.objects,
                    "rebuild continues after range"
                );
                old.done.continued_after = old.range.clone();
                return Some(old);
            }
        };
        warn!("the rebuild that was stopped is not continued, all objects are read again: {cause}");
        None
    }

    async fn newest_row(&self) -> Result<i64> {
        let newest = self
            .verifier
            .ask(|catalogue| catalogue.upkeep().newest_row());
        Ok(newest.await?.map_or(0, |row| row.id))
    }

    async fn save(&self, part: (i32, i32), checkpoint: &RebuildCheckpoint) -> Result<()> {
        let Ok(text) = serde_json::to_string(checkpoint) else {
            return Ok(());
        };
        self.verifier
            .ask(move |catalogue| catalogue.upkeep().save_rebuild(part, &text))
            .await
    }

    async fn read_all(
        &self,
        part: (i32, i32),
        mut checkpoint: RebuildCheckpoint,
    ) -> Result<Rebuilt> {
        self.verifier.progress.turn_backwards();
        let memory = Semaphore::new(MEMORY_KIB as usize);
        let ranges = Ranges {
            topics: None,
            subset: self.shard,
            after: checkpoint.range.clone(),
        };
        let mut pages = listing(&self.verifier.store, ranges);
        let mut is_end = false;
        while !is_end {
            let (mut objects, mut finished) = (vec![], None);
            while objects.len() < SAVE_AFTER && !is_end {
                match pages.try_next().await? {
                    Some(page) => {
                        objects.extend(page.objects);
                        finished = page.finished;
                    }
                    None => is_end = true,
                }
            }
            let done = &mut checkpoint.done;
            done.objects += objects.len() as u64;
            let mut batches = stream::iter(objects)
                .map(|object| {
                    self.verifier.progress.objects(1);
                    self.read(object, &memory)
                })
                .buffer_unordered(AT_ONCE)
                .try_chunks(BATCH)
                .map_err(|error| error.1)
                .boxed();
            while let Some(batch) = batches.try_next().await? {
                let last = self.add_batch(batch, done).await?;
                let last = last.into_iter().map(|object| (object.key, object.size));
                checkpoint.last.extend(last);
            }
            drop(batches);
            if checkpoint.last.len() >= SUSPECTS {
                let last = std::mem::take(&mut checkpoint.last);
                self.judge(last, &memory, done).await?;
            }
            if finished.is_some() {
                checkpoint.range = finished;
                checkpoint.newest_row = self.newest_row().await?;
                self.save(part, &checkpoint).await?;
            }
        }
        // Last: their messages may have objects of their own.
        self.judge(checkpoint.last, &memory, &mut checkpoint.done)
            .await?;
        Ok(checkpoint.done)
    }

    /// Adds the rows of objects that were read. Gives those that are damaged, or
    /// another message's than their key says.
    async fn add_batch(&self, batch: Vec<Read>, done: &mut Rebuilt) -> Result<Vec<ObjectInfo>> {
        let (mut rows, mut unconfirmed, mut last) = (vec![], vec![], vec![]);
        for read in batch {
            match read {
                Read::Row(row) => rows.push(*row),
                Read::Unconfirmed(row, cause) => {
                    let kind = Kind::UnconfirmedObject { cause };
                    self.tell(row.key.clone(), Some(row.uuid), kind).await?;
                    unconfirmed.push(*row);
                }
                Read::Damaged(_, object, _) | Read::Stray(object) => last.push(object),
                Read::Foreign(object) => {
                    done.defects += 1;
                    let kind = Kind::ForeignObject { size: object.size };
                    self.tell(object.key, None, kind).await?;
                }
            }
        }
        if let Some(count) = &mut done.unconfirmed {
            *count += unconfirmed.len() as u64;
        }
        self.add(rows, true, done).await?;
        self.add(unconfirmed, false, done).await?;
        Ok(last)
    }

    /// Reads again what gave no row of its own, and finds out whether its message
    /// has one now.
    async fn judge(
        &self,
        objects: Vec<(String, u64)>,
        memory: &Semaphore,
        done: &mut Rebuilt,
    ) -> Result<()> {
        let mut strays = vec![];
        for (key, size) in objects {
            // Its time is not looked at.
            let object = ObjectInfo {
                key,
                size,
                modified: 0,
            };
            match self.read(object, memory).await? {
                Read::Damaged(uuid, object, kind) => {
                    self.judge_damaged(uuid, object, kind, done).await?;
                }
                Read::Stray(object) => strays.push(object),
                // It was replaced meanwhile.
                other => drop(self.add_batch(vec![other], done).await?),
            }
        }
        for object in strays {
            self.give_row(object, done).await?;
        }
        Ok(())
    }

    async fn read(&self, object: ObjectInfo, memory: &Semaphore) -> Result<Read> {
        let Some(uuid) = uuid_of(&object.key) else {
            return Ok(Read::Foreign(object));
        };
        let kib = u32::try_from(object.size / 1024 + 1).unwrap_or(MEMORY_KIB);
        // Never closed; and without a permit the work goes on all the same.
        let _room = memory.acquire_many(kib.min(MEMORY_KIB)).await.ok();
        let at = Location {
            bucket: self.verifier.store.bucket().to_owned(),
            key: object.key.clone(),
            range: None,
        };
        let bytes = match self.verifier.get(&at).await {
            Ok(bytes) => bytes,
            Err(error @ (StoreError::Unreadable { .. } | StoreError::NotFound { .. })) => {
                let cause = error.to_string();
                return Ok(Read::Damaged(
                    uuid,
                    object,
                    Kind::UnreadableObject { cause },
                ));
            }
            Err(error) => return Err(error.into()),
        };
        self.verifier.progress.read(bytes.len());
        if proved(&bytes).is_some_and(|document| document.annotations.uuid != uuid) {
            return Ok(Read::Stray(object));
        }
        Ok(match self.describe(uuid, &object, &bytes) {
            Ok((row, None)) => Read::Row(Box::new(row)),
            Ok((row, Some(cause))) => {
                let row = Row {
                    public: (self.is_public)(&row.topic),
                    signature: None,
                    ..row
                };
                Read::Unconfirmed(Box::new(row), cause)
            }
            Err(kind) => Read::Damaged(uuid, object, kind),
        })
    }

    fn describe(
        &self,
        uuid: Uuid,
        object: &ObjectInfo,
        bytes: &[u8],
    ) -> std::result::Result<(Row, Option<String>), Kind> {
        let no_message = |cause: &str| Kind::NotAMessage {
            cause: cause.to_owned(),
        };
        let document = envelope::decode(bytes).map_err(|error| match error {
            DecodeError::NotBson(error) => Kind::NotBson {
                cause: error.to_string(),
            },
            error => no_message(&error.to_string()),
        })?;
        if document.annotations.uuid != uuid {
            return Err(no_message("it is of another message than its key"));
        }
        if prove(bytes, &document).is_none() {
            return Err(no_message("its content contradicts its sums"));
        }
        let place = (self.verifier.store.bucket(), object.key.as_str());
        let row = row_of(&document, bytes, place, None);
        let row = row.ok_or_else(|| no_message("it is too large"))?;
        let keys = self.verifier.keys.as_ref();
        Ok((row, keys.and_then(|keys| unconfirmed(keys, &document))))
    }

    async fn add(&self, rows: Vec<Row>, is_confirmed: bool, done: &mut Rebuilt) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = Arc::new(rows);
        let given = rows.clone();
        let added = self.verifier.ask(move |catalogue| match is_confirmed {
            true => catalogue.upkeep().adopt(&given),
            false => catalogue.upkeep().adopt_unconfirmed(&given),
        });
        let added = added.await?.len();
        done.added += added as u64;
        if added == rows.len() {
            return Ok(());
        }
        let uuids: Vec<Uuid> = rows.iter().map(|row| row.uuid).collect();
        let there = self
            .verifier
            .ask(move |catalogue| catalogue.fetch(&uuids))
            .await?;
        let mut beside = 0;
        for row in rows.iter() {
            let its = there.iter().find(|stored| stored.row.uuid == row.uuid);
            if let Some(stored) = its.filter(|stored| stored.row.key != row.key) {
                beside += 1;
                let takes_over = is_confirmed
                    && self.verifier.keys.is_some()
                    && self.verifier.is_unconfirmed(row.uuid).await?;
                match takes_over {
                    true => self.take_over(stored, row, done).await?,
                    false => self.two_objects(stored, row, done).await?,
                }
            }
        }
        done.known += (rows.len() - added) as u64 - beside;
        Ok(())
    }

    /// The row was made of an object that nothing confirms, and this one has a
    /// valid signature.
    async fn take_over(
        &self,
        stored: &crate::catalogue::StoredRow,
        row: &Row,
        done: &mut Rebuilt,
    ) -> Result<()> {
        self.verifier.write_row(stored, row.clone()).await?;
        let uuid = row.uuid;
        self.verifier
            .ask(move |catalogue| catalogue.upkeep().confirm(uuid))
            .await?;
        if stored.row.delivery() == row.delivery() {
            done.set_aside += 1;
            let reason = "a copy of the message's object without a valid signature";
            let bucket = &stored.row.bucket;
            return self
                .verifier
                .leave_aside(bucket, &stored.row.key, reason)
                .await;
        }
        done.defects += 1;
        let size = stored.row.size as u64;
        let kind = Kind::OrphanObject { size };
        self.tell(stored.row.key.clone(), Some(uuid), kind).await
    }

    /// Two whole objects of one UUID: the row names the one in the message's own
    /// place, and the other is a copy.
    async fn two_objects(
        &self,
        stored: &crate::catalogue::StoredRow,
        row: &Row,
        done: &mut Rebuilt,
    ) -> Result<()> {
        if stored.row.delivery() != row.delivery() || stored.row.topic != row.topic {
            done.defects += 1;
            let size = row.size as u64;
            let kind = Kind::OrphanObject { size };
            return self.tell(row.key.clone(), Some(row.uuid), kind).await;
        }
        done.set_aside += 1;
        let is_own = |row: &Row| row.key.ends_with(&format!("{}.bson", row.uuid));
        let copy = match is_own(row) && !is_own(&stored.row) {
            true => {
                self.verifier.write_row(stored, row.clone()).await?;
                &stored.row
            }
            false => row,
        };
        let reason = "a copy of the message's object";
        self.verifier
            .leave_aside(&copy.bucket, &copy.key, reason)
            .await
    }

    /// An object under another message's key: its own message gets a row, with
    /// the bytes in its own place, unless it has one.
    async fn give_row(&self, object: ObjectInfo, done: &mut Rebuilt) -> Result<()> {
        let verifier = &self.verifier;
        let bucket = verifier.store.bucket();
        let bytes = verifier.bytes_at(bucket, &object.key).await?;
        let document = bytes.as_deref().and_then(proved);
        let (Some(bytes), Some(document)) = (bytes, document) else {
            done.defects += 1;
            let cause = "it has changed while it was read".to_owned();
            return self
                .tell(object.key, None, Kind::UnreadableObject { cause })
                .await;
        };
        let uuid = document.annotations.uuid;
        let place = envelope::object_key(&document.topic, document.timestamp, uuid);
        let Some(row) = row_of(&document, &bytes, (bucket, &place), None) else {
            done.defects += 1;
            let cause = "it is too large".to_owned();
            return self
                .tell(object.key, Some(uuid), Kind::NotAMessage { cause })
                .await;
        };
        match verifier.row_of_uuid(uuid).await? {
            Some(stored) if stored.row.delivery() == row.delivery() => done.set_aside += 1,
            Some(_) => {
                done.defects += 1;
                let kind = Kind::OrphanObject { size: object.size };
                return self.tell(object.key, Some(uuid), kind).await;
            }
            None => {
                let key = verifier.store_again(&row, &bytes).await?;
                let row = Row { key, ..row };
                let adopted = verifier
                    .ask(move |catalogue| catalogue.upkeep().adopt(std::slice::from_ref(&row)))
                    .await?;
                done.added += adopted.len() as u64;
            }
        }
        let reason = format!("a copy of message {uuid}");
        verifier.leave_aside(bucket, &object.key, &reason).await
    }

    /// What is damaged is of no account where its message has another object.
    async fn judge_damaged(
        &self,
        uuid: Uuid,
        object: ObjectInfo,
        kind: Kind,
        done: &mut Rebuilt,
    ) -> Result<()> {
        let row = self.verifier.row_of_uuid(uuid).await?;
        if row.is_none_or(|stored| stored.row.key == object.key) {
            done.defects += 1;
            return self.tell(object.key, Some(uuid), kind).await;
        }
        done.set_aside += 1;
        let bucket = self.verifier.store.bucket();
        let reason = "damaged, and the message's object lies elsewhere";
        self.verifier.leave_aside(bucket, &object.key, reason).await
    }

    async fn tell(&self, key: String, uuid: Option<Uuid>, kind: Kind) -> Result<()> {
        let bucket = self.verifier.store.bucket();
        let defect = Defect::of_object(bucket, key, uuid, kind);
        self.findings.tell(defect).await
    }
}
