//! Records gathered until count, bytes or time close a batch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};

use super::budget::Taken;
use super::flight::Ticket;
use crate::catalogue::StreamKey;
use crate::record::Record;

/// A record on its way through the archiver, with what it holds.
pub(super) struct Item {
    pub record: Record,
    pub stream: Arc<StreamKey>,
    /// The offset that was due: from it to the record nothing else was read.
    pub from: i64,
    pub ticket: Ticket,
    pub room: Taken,
}

/// What closes a batch.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub records: usize,
    /// Bytes of memory, see [`Record::bytes`].
    pub bytes: usize,
    /// Since the first record.
    pub interval: Duration,
}

/// The next batch; `None` when nothing will come any more. The queue is
/// bounded by the byte budget that each item in it holds.
pub(super) async fn next_batch(
    queue: &mut UnboundedReceiver<Item>,
    limits: Limits,
) -> Option<Vec<Item>> {
    let first = queue.recv().await?;
    let closes = Instant::now() + limits.interval;
    let mut bytes = first.record.bytes();
    let mut batch = vec![first];
    while batch.len() < limits.records && bytes < limits.bytes {
        match timeout_at(closes, queue.recv()).await {
            Ok(Some(item)) => {
                bytes += item.record.bytes();
                batch.push(item);
            }
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}
