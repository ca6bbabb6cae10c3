//! Whose each UUID is: asked, compared where the catalogue cannot say it, and
//! claimed where nobody owns it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tracing::{debug, info, warn};
use uuid::Uuid;

use super::compare::{self, Compared};
use super::decide::Verdict;
use super::failure::ArchiveError;
use super::message::{Message, Next};
use super::progress::UnreadableRow;
use super::workshop::{Workshop, ask};
use super::write::{origin_of, store_message};
use crate::catalogue::{Claim, Owner, StoredRow};
use crate::record::{Delivery, Record, TopicId};

/// A claim whose row is missing for longer than this (ms) is one of a worker
/// that died, and whose record Kafka may hold no more: whoever has a retry of
/// the message archives it. Longer than any healthy batch takes.
const ABANDONED_CLAIM: i64 = 15 * 60 * 1000;

/// Records that may wait in memory for objects that cannot be read.
const MAX_WAITING: usize = 1_000;

/// Leaves no message at [`Next::Decide`].
pub(super) async fn decide(
    workshop: &Arc<Workshop>,
    messages: &mut [Message],
) -> Result<(), ArchiveError> {
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
            Verdict::Redelivery => Next::Known,
            Verdict::Retry => Next::Remember,
            Verdict::Wait {
                holder,
                topic_id,
                age_ms,
            } => {
                if age_ms >= ABANDONED_CLAIM {
                    info!(
                        "{uuid} was claimed {age_ms} ms ago and never archived: done for the one that did"
                    );
                    archive_for(workshop, message, holder, topic_id).await?;
                }
                Next::Wait
            }
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

/// Archives the delivery that claimed the message's UUID, of which the message
/// is a retry: its content is the same, and where it was the claim says. Its
/// worker may have stored the object already, and may come back at any time.
async fn archive_for(
    workshop: &Arc<Workshop>,
    message: &Message,
    holder: Delivery,
    topic_id: Option<TopicId>,
) -> Result<(), ArchiveError> {
    let first = Record {
        partition: holder.partition,
        offset: holder.offset,
        timestamp: holder.timestamp,
        ..message.item.record.clone()
    };
    let uuid = message.candidate.uuid();
    let row = store_message(workshop, &first, topic_id, &holder, uuid).await?;
    let bytes = row.size as u64;
    let added = ask(workshop, move |catalogue| catalogue.add(&[row], &[])).await?;
    if !added.rows.is_empty() {
        workshop.progress.archived(&first.topic, bytes);
    }
    Ok(())
}

/// The UUID's row does not say which delivery it was.
async fn compare_with(
    workshop: &Arc<Workshop>,
    message: &mut Message,
    row: &StoredRow,
) -> Result<Next, ArchiveError> {
    let delivery = &message.candidate.delivery;
    match same_content(workshop, row, delivery).await? {
        Compared::Same => {}
        Compared::Different => {
            message.candidate.next_uuid();
            return Ok(Next::Decide);
        }
        Compared::Unreadable(_) => {
            message.item.ticket.wait();
            return Ok(Next::Wait);
        }
    }
    if row.row.direct_upload || row.row.timestamp != delivery.timestamp {
        return Ok(Next::Remember);
    }
    give_origin(workshop, message, row.id).await
}

/// As [`compare::same_content`]. [`Compared::Unreadable`]: the record waits, so
/// that it is neither lost nor archived twice, and everything else goes on.
/// Where too many wait, what follows is archived as new: nothing may be lost.
async fn same_content(
    workshop: &Arc<Workshop>,
    row: &StoredRow,
    delivery: &Delivery,
) -> Result<Compared, ArchiveError> {
    let (store, health) = (&workshop.store, &workshop.health);
    let same = compare::same_content(store, health, row, delivery).await;
    let same = workshop
        .outages
        .noted("store", same.map_err(ArchiveError::from))?;
    let (topic, partition, offset) = (&*delivery.topic, delivery.partition, delivery.offset);
    let Compared::Unreadable(cause) = &same else {
        if workshop.progress.waits_no_longer(topic, partition, offset) {
            info!(topic, partition, offset, row = %row.row.uuid, "object can be read again");
        }
        return Ok(same);
    };
    let (waiting, is_new) = workshop.progress.waits(UnreadableRow {
        topic: topic.to_owned(),
        partition,
        offset,
        row: row.row.uuid,
        key: row.row.key.clone(),
        cause: cause.clone(),
    });
    let (key, row) = (&row.row.key, row.row.uuid);
    if waiting > MAX_WAITING {
        workshop.progress.waits_no_longer(topic, partition, offset);
        warn!(topic, partition, offset, %row, key, cause, "object unreadable, record archived as new");
        return Ok(Compared::Different);
    }
    if is_new {
        warn!(topic, partition, offset, %row, key, cause, "object unreadable, record waits to be compared");
    }
    Ok(same)
}

/// Records that another archiver has stored: their row gets its origin instead
/// of a second row beside it, and has it when the record is read once more.
pub(super) async fn find_foreign(
    workshop: &Arc<Workshop>,
    messages: &mut [Message],
) -> Result<(), ArchiveError> {
    let alike: Vec<_> = messages
        .iter()
        .filter(|message| message.next == Next::Claim)
        .map(|message| likeness(&message.item.record))
        .collect();
    if alike.is_empty() {
        return Ok(());
    }
    let mut foreign = ask(workshop, move |catalogue| catalogue.foreign_rows(&alike)).await?;
    for message in messages.iter_mut().filter(|m| m.next == Next::Claim) {
        let delivery = message.candidate.delivery.clone();
        let topic_id = message.item.stream.topic_id;
        // Before any comparison: an equal message may have a row without one.
        let is_own = |row: &StoredRow| {
            row.row.delivery().as_ref() == Some(&delivery)
                && TopicId::may_be_same(row.row.topic_id(), topic_id)
        };
        if foreign.iter().any(is_own) {
            message.next = Next::Known;
            continue;
        }
        let like = likeness(&message.item.record);
        for index in (0..foreign.len()).rev() {
            let row = &foreign[index].row;
            let is_alike = like == (row.topic.clone(), row.timestamp, row.message_crc32);
            if !is_alike || row.origin.is_some() {
                continue;
            }
            match same_content(workshop, &foreign[index], &delivery).await? {
                Compared::Different => {}
                Compared::Same => {
                    let row = foreign.swap_remove(index);
                    message.next = give_origin(workshop, message, row.id).await?;
                    break;
                }
                Compared::Unreadable(_) => {
                    message.item.ticket.wait();
                    message.next = Next::Wait;
                }
            }
        }
    }
    Ok(())
}

/// What a record's row by another archiver has in common with it.
fn likeness(record: &Record) -> (Arc<str>, i64, u32) {
    let crc = crc32fast::hash(record.value.as_deref().unwrap_or_default());
    (record.topic.clone(), record.timestamp, crc)
}

async fn give_origin(
    workshop: &Arc<Workshop>,
    message: &Message,
    id: i64,
) -> Result<Next, ArchiveError> {
    let topic_id = message.item.stream.topic_id;
    let origin = origin_of(&message.item.record, topic_id, &message.candidate.delivery);
    let given = ask(workshop, move |catalogue| catalogue.set_origin(id, &origin)).await?;
    // Otherwise another delivery was quicker: look again.
    Ok(if given { Next::Known } else { Next::Wait })
}

/// Makes the claims durable before any object is written.
pub(super) async fn claim(
    workshop: &Arc<Workshop>,
    messages: &mut [Message],
) -> Result<(), ArchiveError> {
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
