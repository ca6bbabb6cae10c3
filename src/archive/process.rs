//! What happens to a batch, from «received» to «catalogued».
//!
//! In rounds, until no message is left: decide whose each UUID is, claim what
//! is free, store the objects of what is claimed, add the rows. A message that
//! could not go on (its UUID is claimed by a delivery that it repeats, another
//! worker was quicker, the store failed) is in the next round. Every step may
//! be repeated and may be done by two workers at once without harm, so a round
//! that failed anywhere is simply run again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, info};
use uuid::Uuid;

use super::batch::Item;
use super::compare;
use super::decide::{Candidate, Verdict};
use super::failure::{ArchiveError, Backoff, Outages};
use super::limit::{Load, PutLimit};
use super::progress::Progress;
use super::write::{origin_of, store_message};
use crate::catalogue::{Catalogue, CatalogueError, Claim, Owner, Retry, Row, StoredRow};
use crate::config::TopicSelection;
use crate::record::Delivery;
use crate::store::Store;

/// A claim whose row is missing for longer than this (ms) is one of a worker
/// that died, and whose record Kafka may hold no more: a retry of the message
/// takes it over. Longer than any healthy batch takes.
const ABANDONED_CLAIM: i64 = 15 * 60 * 1000;

/// What a batch is archived with.
pub(super) struct Workshop {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    pub topics: TopicSelection,
    pub puts: PutLimit,
    pub progress: Arc<Progress>,
    pub outages: Outages,
}

struct Message {
    item: Item,
    candidate: Candidate,
    /// Its object, once stored.
    row: Option<Row>,
    next: Next,
}

/// What a message needs in this round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is not known whose its UUID is.
    Decide,
    /// Nobody owns its UUID.
    Claim,
    /// Its claim stands: object and row.
    Store,
    /// The message is archived; this delivery of it is to be remembered.
    Remember,
    /// Nothing more can be done in this round.
    Wait,
    /// Archived; `Done(false)` if it was before this round.
    Done { new: bool },
}

/// Archives all of `items`, however long it takes. An error is one that no
/// retry helps against.
///
/// `slot` is what bounds the batches that are worked on. Messages that only
/// wait give it back: what they wait for may be in a batch yet to come (after a
/// crash the owner of a claim is read again, perhaps later than its retries),
/// and the byte budget goes on bounding them.
pub(super) async fn archive_batch(
    workshop: Arc<Workshop>,
    items: Vec<Item>,
    slot: OwnedSemaphorePermit,
) -> Result<(), ArchiveError> {
    let mut slot = Some(slot);
    let mut messages: Vec<Message> = items.into_iter().map(Message::new).collect();
    let mut backoff = Backoff::default();
    while !messages.is_empty() {
        let before = messages.len();
        let outcome = round(&workshop, &mut messages).await;
        messages = finish(&workshop.progress, messages);
        match outcome {
            Err(error) if !error.is_passing() => return Err(error),
            Err(error) => workshop.outages.failed(&error),
            Ok(()) if messages.len() < before => backoff = Backoff::default(),
            Ok(()) => drop(slot.take()),
        }
        if messages.len() == before {
            tokio::time::sleep(backoff.next()).await;
        }
    }
    Ok(())
}

impl Message {
    fn new(item: Item) -> Self {
        Self {
            candidate: Candidate::new(&item.record),
            item,
            row: None,
            next: Next::Decide,
        }
    }

    fn claim(&self) -> Claim {
        Claim {
            uuid: self.candidate.uuid(),
            delivery: self.candidate.delivery.clone(),
        }
    }
}

/// Lets go of what is archived and gives back the rest, undecided again.
fn finish(progress: &Progress, messages: Vec<Message>) -> Vec<Message> {
    let mut left = Vec::new();
    for mut message in messages {
        let topic = &message.item.record.topic;
        match (message.next, &message.row) {
            (Next::Done { new: true }, Some(row)) => progress.archived(topic, row.size as u64),
            (Next::Done { .. }, _) => progress.duplicate(topic),
            _ => {
                message.next = Next::Decide;
                left.push(message);
                continue;
            }
        }
        message.item.ticket.done();
        drop(message.item.room);
    }
    left
}

async fn round(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    decide(workshop, messages).await?;
    find_foreign(workshop, messages).await?;
    claim(workshop, messages).await?;
    let stored = store(workshop, messages).await;
    catalogue(workshop, messages).await?;
    stored
}

/// Leaves no message at [`Next::Decide`].
async fn decide(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    loop {
        let asked: HashSet<Uuid> = messages
            .iter()
            .filter(|message| message.next == Next::Decide)
            .map(|message| message.candidate.uuid())
            .collect();
        if asked.is_empty() {
            break;
        }
        let asked: Vec<Uuid> = asked.into_iter().collect();
        let owners = ask(workshop, move |catalogue| catalogue.owners(&asked)).await?;
        judge(workshop, messages, &owners.into_iter().collect()).await?;
    }
    one_each(messages);
    Ok(())
}

async fn judge(
    workshop: &Arc<Workshop>,
    messages: &mut [Message],
    owners: &HashMap<Uuid, Owner>,
) -> Result<(), ArchiveError> {
    for message in messages.iter_mut().filter(|m| m.next == Next::Decide) {
        let uuid = message.candidate.uuid();
        message.next = match message.candidate.judge(owners.get(&uuid)) {
            Verdict::Free => Next::Claim,
            Verdict::Mine => Next::Store,
            Verdict::Redelivery => Next::Done { new: false },
            Verdict::Retry => Next::Remember,
            Verdict::Wait { holder, age_ms } => wait(workshop, message, holder, age_ms).await?,
            Verdict::Compare(row) => compare_with(workshop, message, &row).await?,
            Verdict::Taken => {
                debug!("{uuid} belongs to another message; the next one is tried");
                message.candidate.next_uuid();
                message.row = None;
                Next::Decide
            }
        };
    }
    Ok(())
}

/// Of several messages of one batch that want the same UUID, the first goes
/// on; the others see in the next round what it left them.
fn one_each(messages: &mut [Message]) {
    let mut chosen = HashSet::new();
    for message in messages {
        let wants = matches!(message.next, Next::Claim | Next::Store);
        if wants && !chosen.insert(message.candidate.uuid()) {
            message.next = Next::Wait;
        }
    }
}

async fn wait(
    workshop: &Arc<Workshop>,
    message: &Message,
    holder: Delivery,
    age_ms: i64,
) -> Result<Next, ArchiveError> {
    if age_ms < ABANDONED_CLAIM {
        return Ok(Next::Wait);
    }
    let to = message.candidate.delivery.clone();
    let from = Claim {
        uuid: message.candidate.uuid(),
        delivery: holder,
    };
    info!(
        "{} was claimed {age_ms} ms ago and never archived: taken over",
        from.uuid
    );
    let taken = ask(workshop, move |catalogue| catalogue.take_over(&from, &to)).await?;
    Ok(if taken { Next::Store } else { Next::Wait })
}

/// The UUID's row does not say which delivery it was.
async fn compare_with(
    workshop: &Arc<Workshop>,
    message: &mut Message,
    row: &StoredRow,
) -> Result<Next, ArchiveError> {
    let delivery = &message.candidate.delivery;
    if !compare::same_content(&workshop.store, row, delivery).await? {
        message.candidate.next_uuid();
        return Ok(Next::Decide);
    }
    if row.row.direct_upload || row.row.timestamp != delivery.timestamp {
        return Ok(Next::Remember);
    }
    give_origin(workshop, message, row.id).await
}

/// Records that another archiver has stored: their row gets its origin instead
/// of a second row beside it.
async fn find_foreign(
    workshop: &Arc<Workshop>,
    messages: &mut [Message],
) -> Result<(), ArchiveError> {
    let alike: Vec<_> = messages
        .iter()
        .filter(|message| message.next == Next::Claim)
        .map(|message| {
            let record = &message.item.record;
            let crc = crc32fast::hash(record.value.as_deref().unwrap_or_default());
            (record.topic.clone(), record.timestamp, crc)
        })
        .collect();
    if alike.is_empty() {
        return Ok(());
    }
    let mut foreign = ask(workshop, move |catalogue| catalogue.foreign_rows(&alike)).await?;
    for message in messages.iter_mut().filter(|m| m.next == Next::Claim) {
        let delivery = message.candidate.delivery.clone();
        for index in (0..foreign.len()).rev() {
            let row = &foreign[index].row;
            if row.topic != delivery.topic || row.timestamp != delivery.timestamp {
                continue;
            }
            if compare::same_content(&workshop.store, &foreign[index], &delivery).await? {
                let row = foreign.swap_remove(index);
                message.next = give_origin(workshop, message, row.id).await?;
                break;
            }
        }
    }
    Ok(())
}

async fn give_origin(
    workshop: &Arc<Workshop>,
    message: &Message,
    id: i64,
) -> Result<Next, ArchiveError> {
    let origin = origin_of(&message.item.record, &message.candidate.delivery);
    let given = ask(workshop, move |catalogue| catalogue.set_origin(id, &origin)).await?;
    // Otherwise another delivery was quicker: look again.
    Ok(if given {
        Next::Done { new: false }
    } else {
        Next::Wait
    })
}

/// Makes the claims durable before any object is written.
async fn claim(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    let claims: Vec<Claim> = messages
        .iter()
        .filter(|message| message.next == Next::Claim)
        .map(Message::claim)
        .collect();
    if claims.is_empty() {
        return Ok(());
    }
    let owners = ask(workshop, move |catalogue| catalogue.claim(&claims)).await?;
    let owners: HashMap<Uuid, Owner> = owners.into_iter().collect();
    for message in messages.iter_mut().filter(|m| m.next == Next::Claim) {
        let owner = owners.get(&message.candidate.uuid());
        message.next = match message.candidate.judge(owner) {
            Verdict::Mine => Next::Store,
            _ => Next::Wait,
        };
    }
    Ok(())
}

/// Stores the objects of all messages whose claim stands. One that fails is
/// tried again in the next round; the others go on.
async fn store(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    let to_store: Vec<_> = messages
        .iter_mut()
        .filter(|message| message.next == Next::Store && message.row.is_none())
        .map(|message| store_one(workshop, message))
        .collect();
    let mut stored = stream::iter(to_store).buffer_unordered(workshop.puts.most());
    let mut first_error = None;
    while let Some(result) = stored.next().await {
        match result {
            Ok(()) => workshop.outages.works("store"),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn store_one(workshop: &Arc<Workshop>, message: &mut Message) -> Result<(), ArchiveError> {
    let permit = workshop
        .puts
        .begin()
        .await
        .map_err(|error| ArchiveError::Broken {
            part: "PUT limit",
            cause: error.to_string(),
        })?;
    let stored = store_message(
        &workshop.store,
        &workshop.topics,
        &message.item.record,
        &message.candidate.delivery,
        message.candidate.uuid(),
    )
    .await;
    let load = match &stored {
        Err(error) if error.is_passing() => Load::Overloaded,
        _ => Load::KeptUp,
    };
    workshop.puts.end(permit, load);
    message.row = Some(stored?);
    Ok(())
}

/// Adds the rows of what is stored and remembers retries.
async fn catalogue(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    let rows: Vec<Row> = messages
        .iter()
        .filter(|message| message.next == Next::Store)
        .filter_map(|message| message.row.clone())
        .collect();
    let retries: Vec<Retry> = messages
        .iter()
        .filter(|message| message.next == Next::Remember)
        .map(retry)
        .collect();
    if rows.is_empty() && retries.is_empty() {
        return Ok(());
    }
    let added = ask(workshop, move |catalogue| catalogue.add(&rows, &retries)).await?;
    let added: HashSet<Uuid> = added.rows.into_iter().collect();
    for message in messages {
        match message.next {
            Next::Store if message.row.is_none() => {}
            Next::Store if added.contains(&message.candidate.uuid()) => {
                message.next = Next::Done { new: true };
            }
            // Somebody else has archived this UUID meanwhile.
            Next::Store => message.row = None,
            Next::Remember => message.next = Next::Done { new: false },
            _ => {}
        }
    }
    Ok(())
}

fn retry(message: &Message) -> Retry {
    let record = &message.item.record;
    Retry {
        uuid: message.candidate.uuid(),
        topic: record.topic.clone(),
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        timestamp_type: record.timestamp_type,
    }
}

/// Asks the catalogue, whose calls block.
async fn ask<T: Send + 'static>(
    workshop: &Arc<Workshop>,
    question: impl FnOnce(&dyn Catalogue) -> Result<T, CatalogueError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let catalogue = workshop.catalogue.clone();
    let answer = tokio::task::spawn_blocking(move || question(&*catalogue))
        .await
        .map_err(|error| ArchiveError::Broken {
            part: "catalogue call",
            cause: error.to_string(),
        })??;
    workshop.outages.works("catalogue");
    Ok(answer)
}
