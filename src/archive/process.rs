//! What happens to a batch, from «received» to «catalogued».
//!
//! In rounds, until no message is left: decide whose each UUID is, claim what
//! is free, store the objects of what is claimed, add the rows. A message that
//! could not go on (its UUID is claimed by a delivery that it repeats, another
//! worker was quicker, the store failed) is in the next round. Every step may
//! be repeated and may be done by two workers at once without harm, so a round
//! that failed anywhere is simply run again.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;
use uuid::Uuid;

use super::batch::Item;
use super::claims::{claim, decide, find_foreign};
use super::failure::{ArchiveError, Backoff};
use super::limit::Load;
use super::message::{Message, Next};
use super::progress::Progress;
use super::workshop::{Workshop, ask};
use super::write::store_message;
use crate::catalogue::{ReadSpan, Retry, Row};
use crate::record::TopicId;

/// Archives all of `items`, which are begun, however long it takes. An error is
/// one that no retry helps against.
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
        if outcome.is_ok() {
            // Read again by whoever has their partition then. What failed is
            // tried for as long as there is time: it may be half done.
            messages.retain(|message| message.item.ticket.is_wanted());
        }
        match outcome {
            Err(error) if !error.is_passing() => return Err(error),
            Err(_) => {}
            Ok(()) if messages.len() < before => backoff = Backoff::default(),
            Ok(()) => drop(slot.take()),
        }
        if messages.len() == before {
            tokio::time::sleep(backoff.next()).await;
        }
    }
    Ok(())
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

/// Stores the objects of all messages whose claim stands. One that fails is
/// tried again in the next round; the others go on. When somebody is in a hurry
/// the round ends with what is under way, whose rows are waited for.
async fn store(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    let hurries = messages.first().map_or(0, |m| m.item.ticket.hurries());
    let to_store: Vec<_> = messages
        .iter_mut()
        .filter(|message| message.next == Next::Store && message.row.is_none())
        .map(|message| store_one(workshop, message, hurries))
        .collect();
    let mut stored = stream::iter(to_store).buffer_unordered(workshop.puts.most());
    let mut first_error = None;
    while let Some(result) = stored.next().await {
        if let Err(error) = workshop.outages.noted("store", result) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn store_one(
    workshop: &Arc<Workshop>,
    message: &mut Message,
    hurries: u64,
) -> Result<(), ArchiveError> {
    let permit = workshop
        .puts
        .begin()
        .await
        .map_err(|error| ArchiveError::Broken {
            part: "PUT limit",
            cause: error.to_string(),
        })?;
    if message.item.ticket.hurries() != hurries {
        return Ok(());
    }
    let stored = store_message(
        workshop,
        &message.item.record,
        message.item.stream.topic_id,
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

/// Adds the rows of what is stored, remembers retries, and notes what was read.
async fn catalogue(workshop: &Arc<Workshop>, messages: &mut [Message]) -> Result<(), ArchiveError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut retries: Vec<Retry> = Vec::new();
    let mut spans: Vec<ReadSpan> = Vec::new();
    for message in messages.iter() {
        match (message.next, &message.row) {
            // The object of an equal record of an earlier topic of that name, which
            // had lost its row. This record gets another UUID in the next round.
            (Next::Store, Some(row)) if is_of_earlier_topic(message, row) => rows.push(row.clone()),
            (Next::Store, Some(row)) => {
                spans.push(message.span(Some(row.uuid)));
                rows.push(row.clone());
            }
            (Next::Remember, _) => {
                spans.push(message.span(None));
                retries.push(retry(message));
            }
            (Next::Known, _) => spans.push(message.span(None)),
            _ => {}
        }
    }
    if spans.is_empty() && rows.is_empty() {
        return Ok(());
    }
    let added = ask(workshop, move |catalogue| {
        catalogue.add_read(&rows, &retries, &spans)
    })
    .await?;
    if added.offsets_recovered > 0 {
        info!(
            offsets = added.offsets_recovered,
            "offsets recorded as lost are archived after all"
        );
    }
    let added: HashSet<Uuid> = added.rows.into_iter().collect();
    for message in messages {
        let is_other = |row: &Row| is_of_earlier_topic(message, row);
        match message.next {
            Next::Store if message.row.is_none() => {}
            Next::Store if message.row.as_ref().is_some_and(is_other) => message.row = None,
            Next::Store if added.contains(&message.candidate.uuid()) => {
                message.next = Next::Done { new: true };
            }
            // Somebody else has archived this UUID meanwhile.
            Next::Store => message.row = None,
            Next::Remember | Next::Known => message.next = Next::Done { new: false },
            _ => {}
        }
    }
    Ok(())
}

fn is_of_earlier_topic(message: &Message, row: &Row) -> bool {
    !TopicId::may_be_same(row.topic_id(), message.item.stream.topic_id)
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
        topic_id: message.item.stream.topic_id,
    }
}
