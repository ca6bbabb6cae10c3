//! The archiver: Kafka → object → row → offset, always in that order.
//!
//! One thread reads (`reader`); a task gathers batches; each batch is a task
//! of its own (`process`), a few at a time, so that one's objects are stored
//! while another's rows are committed. `failure` decides what happens when
//! something fails.

mod batch;
mod budget;
mod claims;
mod compare;
mod decide;
mod events;
mod failure;
mod flight;
mod gaps;
mod incarnation;
mod limit;
mod message;
mod process;
mod progress;
mod reader;
mod stuck;
mod stuck_list;
mod topics;
mod truncation;
mod until_end;
mod watermark;
mod workshop;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::info;

use crate::catalogue::Catalogue;
use crate::config::{ArchiveConfig, TopicSelection};
use crate::kafka::{Cluster, RecordConsumer};
use crate::shutdown::Shutdown;
use crate::store::Store;

use batch::{Item, Limits, next_batch};
use budget::Budget;
use events::Events;
use gaps::GapWatch;
use limit::PutLimit;
use process::archive_batch;
use reader::Reader;
use stuck::StuckPartitions;
use stuck_list::StuckList;
use topics::Topics;
use truncation::TruncationWatch;
use watermark::Watermarks;
use workshop::Workshop;

pub use failure::ArchiveError;
pub use progress::{
    LostRange, Progress, StuckPartition, Summary, TopicCount, Unread, UnreadableRow,
};
pub use reader::Bounds;

/// Batches that are worked on at once. Two overlap PUTs with commits; the rest
/// are for batches that wait.
const BATCHES: usize = 4;

/// Of the byte budget, what librdkafka may fetch ahead.
const QUEUE_SHARE: usize = 4;

/// What an archiver works with.
pub struct Archiver {
    pub catalogue: Arc<dyn Catalogue>,
    pub store: Arc<dyn Store>,
    pub topics: TopicSelection,
    pub topic_refresh: std::time::Duration,
    /// The consumer group.
    pub group: String,
    pub config: ArchiveConfig,
    pub bounds: Bounds,
    /// What it has done: others may look at it meanwhile.
    pub progress: Arc<Progress>,
}

/// How a run ended.
pub struct Outcome {
    pub summary: Summary,
    /// Whether everything that was received is archived and committed. Where
    /// not, the rest is read again by the next run.
    pub complete: bool,
}

impl Archiver {
    /// Archives until the bounds are reached or `shutdown` is due. Fails only
    /// with what no retry helps against.
    pub async fn run(self, cluster: &Cluster, shutdown: Shutdown) -> Result<Outcome, ArchiveError> {
        let progress = self.progress.clone();
        let (items, queue) = mpsc::unbounded_channel();
        let limits = Limits {
            records: self.config.batch_records,
            bytes: self.config.batch_bytes,
            interval: self.config.batch_interval,
        };
        let status = tokio::spawn(tell_status(progress.clone(), self.config.status_interval));
        let reader = self.start_reader(cluster, shutdown, items, &progress)?;
        let workshop = Arc::new(Workshop {
            catalogue: self.catalogue,
            store: self.store,
            topics: self.topics,
            signing: self.config.signing,
            puts: PutLimit::new(self.config.put_concurrency),
            progress: progress.clone(),
            outages: Default::default(),
            health: Default::default(),
        });
        let complete = work(workshop, queue, limits, reader).await;
        status.abort();
        Ok(Outcome {
            complete: complete?,
            summary: progress.summary(),
        })
    }

    fn start_reader(
        &self,
        cluster: &Cluster,
        shutdown: Shutdown,
        items: mpsc::UnboundedSender<Item>,
        progress: &Arc<Progress>,
    ) -> Result<oneshot::Receiver<Result<bool, ArchiveError>>, ArchiveError> {
        let watermarks = Arc::new(Watermarks::default());
        let events = Events::new(watermarks.clone());
        let queue_bytes = self.config.memory_bytes / QUEUE_SHARE;
        let reader = Reader {
            consumer: RecordConsumer::open(cluster, &self.group, queue_bytes, events.clone())?,
            events,
            topics: Topics::new(self.topics.clone(), self.topic_refresh, progress.clone()),
            bounds: self.bounds,
            out_of_range: vec![],
            stuck: StuckPartitions::new(self.catalogue.clone(), progress.clone()),
            stuck_list: StuckList::new(
                self.catalogue.clone(),
                progress.clone(),
                watermarks.clone(),
            ),
            progress: progress.clone(),
            gaps: GapWatch::new(self.catalogue.clone(), progress.clone(), watermarks.clone()),
            truncation: TruncationWatch::new(self.catalogue.clone()),
            watermarks,
            budget: Budget::new(self.config.memory_bytes - queue_bytes),
            runtime: Handle::current(),
            shutdown,
            held: VecDeque::new(),
            received: 0,
            made_anew: BTreeMap::new(),
            commit_at: Instant::now(),
            commit_under_way: false,
            is_quiet: false,
        };
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new()
            .name("kafka-reader".into())
            .spawn(move || {
                // Nobody listens when the archiver has failed before.
                let _ = tell.send(reader.run(items));
            })
            .map_err(|error| broken("reader", error))?;
        Ok(told)
    }
}

/// Archives batches until the reader has ended, and gives what it said.
async fn work(
    workshop: Arc<Workshop>,
    queue: mpsc::UnboundedReceiver<Item>,
    limits: Limits,
    reader: oneshot::Receiver<Result<bool, ArchiveError>>,
) -> Result<bool, ArchiveError> {
    let mut gathered = gather(queue, limits);
    let slots = Arc::new(Semaphore::new(BATCHES));
    let mut batches: JoinSet<Result<(), ArchiveError>> = JoinSet::new();
    let mut reader = std::pin::pin!(reader);
    let mut open = true;
    loop {
        tokio::select! {
            ended = &mut reader => {
                return ended.map_err(|error| broken("reader", error))?;
            }
            Some(done) = batches.join_next() => {
                done.map_err(|error| broken("batch", error))??;
            }
            batch = next_with_slot(&mut gathered, &slots), if open => {
                match batch {
                    Some((mut batch, slot)) => {
                        // Here, where batches are still in order.
                        batch.retain_mut(|item| item.ticket.begin());
                        batches.spawn(archive_batch(workshop.clone(), batch, slot));
                    }
                    None => open = false,
                }
            }
        }
    }
}

/// The next batch, once there is a slot for it. Dropped half-way it loses
/// neither.
async fn next_with_slot(
    gathered: &mut mpsc::Receiver<Vec<Item>>,
    slots: &Arc<Semaphore>,
) -> Option<(Vec<Item>, OwnedSemaphorePermit)> {
    // An error says that the semaphore was closed, which nobody does.
    let slot = slots.clone().acquire_owned().await.ok()?;
    Some((gathered.recv().await?, slot))
}

/// Batches, closed one ahead. A task of its own: a batch that is half gathered
/// must not be dropped because something else happened first.
fn gather(mut queue: mpsc::UnboundedReceiver<Item>, limits: Limits) -> mpsc::Receiver<Vec<Item>> {
    let (batches, gathered) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(batch) = next_batch(&mut queue, limits).await {
            if batches.send(batch).await.is_err() {
                break;
            }
        }
    });
    gathered
}

async fn tell_status(progress: Arc<Progress>, interval: std::time::Duration) {
    let mut last = progress.summary();
    loop {
        tokio::time::sleep(interval).await;
        let now = progress.summary();
        let seconds = (now.seconds - last.seconds).max(f64::EPSILON);
        info!(
            "{} archived, {} duplicates, {} bytes; {:.0} a second in the last {:.0} s",
            now.archived,
            now.duplicates,
            now.bytes,
            (now.archived - last.archived) as f64 / seconds,
            seconds,
        );
        last = now;
    }
}

fn broken(part: &'static str, cause: impl ToString) -> ArchiveError {
    ArchiveError::Broken {
        part,
        cause: cause.to_string(),
    }
}
