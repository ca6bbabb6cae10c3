//! Out of the archive: appearances in order, their objects many at once.

use std::sync::Arc;

use futures::{Stream, TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::outcome::{LeftOut, Why};
use super::record::{Aim, Near};
use super::{MEMORY_KIB, RestoreError, Restorer, Result};
use crate::catalogue::{Appearance, Catalogue, CatalogueError, StreamFilter, StreamPlace};
use crate::envelope;
use crate::record::Record;
use crate::store::{Health, Location, Store, StoreError};

/// Objects asked for at once, for each topic.
const AT_ONCE: usize = 64;

/// Appearances asked of the catalogue at once, and how many such pages wait.
const PAGE: usize = 500;
const PAGES: usize = 2;

/// An appearance, and what the archive gave for it.
pub(super) struct Fetched {
    pub appearance: Appearance,
    pub given: std::result::Result<(Record, Vec<Near>), LeftOut>,
    /// Its share of the memory, until it is dropped.
    pub room: OwnedSemaphorePermit,
}

/// Reads objects, away from whoever waits for them.
#[derive(Clone)]
struct Fetcher {
    catalogue: Arc<dyn Catalogue>,
    store: Arc<dyn Store>,
    health: Arc<Health>,
    topic: Arc<str>,
    aim: Arc<Aim>,
}

impl Restorer {
    /// What a filter selects after a place, in order. The first failure is the
    /// last item.
    pub(super) fn fetch(
        &self,
        filter: &StreamFilter,
        after: StreamPlace,
        aim: Aim,
    ) -> impl Stream<Item = Result<Fetched>> + Send + use<> {
        let fetcher = Fetcher {
            catalogue: self.catalogue.clone(),
            store: self.store.clone(),
            health: Arc::default(),
            topic: (&*filter.topic).into(),
            aim: Arc::new(aim),
        };
        let memory = self.memory.clone();
        appearances(self.catalogue.clone(), filter.clone(), after)
            // In order, so that the next one to be taken never waits for room
            // that later ones hold.
            .and_then(move |appearance| with_room(appearance, memory.clone()))
            .map_ok(move |(appearance, room)| {
                let fetched = tokio::spawn(fetcher.clone().fetch(appearance, room));
                async move { fetched.await? }
            })
            .try_buffered(AT_ONCE)
    }
}

async fn with_room(
    appearance: Appearance,
    memory: Arc<Semaphore>,
) -> Result<(Appearance, OwnedSemaphorePermit)> {
    let kib = u32::try_from(appearance.size / 1024 + 1).unwrap_or(1);
    let room = memory.acquire_many_owned(kib.min(MEMORY_KIB)).await;
    // Nobody closes it.
    let room = room.map_err(|_| RestoreError::Refused("there is no memory left".to_owned()))?;
    Ok((appearance, room))
}

/// From the catalogue's thread, page by page.
fn appearances(
    catalogue: Arc<dyn Catalogue>,
    filter: StreamFilter,
    after: StreamPlace,
) -> impl Stream<Item = Result<Appearance>> + Send {
    let (give, pages) = mpsc::channel::<Vec<Appearance>>(PAGES);
    let reading = tokio::task::spawn_blocking(move || {
        let mut receive = |page| give.blocking_send(page).is_ok();
        catalogue.streams().read(&filter, after, PAGE, &mut receive)
    });
    stream::try_unfold((pages, Some(reading)), next_page)
        .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
}

type Reading = JoinHandle<std::result::Result<(), CatalogueError>>;
type Pages = (mpsc::Receiver<Vec<Appearance>>, Option<Reading>);

/// Whether there is no more, the reading says.
async fn next_page((mut pages, mut reading): Pages) -> Result<Option<(Vec<Appearance>, Pages)>> {
    if let Some(page) = pages.recv().await {
        return Ok(Some((page, (pages, reading))));
    }
    if let Some(reading) = reading.take() {
        reading.await??;
    }
    Ok(None)
}

impl Fetcher {
    async fn fetch(self, appearance: Appearance, room: OwnedSemaphorePermit) -> Result<Fetched> {
        let given = match self.object(&appearance).await? {
            Ok(bytes) => self.read(&appearance, &bytes),
            Err(left_out) => Err(left_out),
        };
        Ok(Fetched {
            appearance,
            given,
            room,
        })
    }

    /// The bytes; an error of the store is no answer.
    async fn object(
        &self,
        appearance: &Appearance,
    ) -> Result<std::result::Result<Vec<u8>, LeftOut>> {
        let mut got = self.health.get(&*self.store, &appearance.location).await;
        if got.as_ref().is_err_and(StoreError::is_of_one_object)
            && let Some(mended) = self.mended(appearance).await
        {
            got = self.health.get(&*self.store, &mended).await;
        }
        let why = match &got {
            Err(StoreError::NotFound { .. }) => Why::MissingObject,
            Err(StoreError::Unreadable { .. }) => Why::UnreadableObject,
            _ => return Ok(Ok(got?)),
        };
        let cause = got
            .err()
            .map_or_else(String::new, |error| error.to_string());
        Ok(Err(self.left_out(appearance, why, cause)))
    }

    /// Another place where the row says by now that the object lies. Where the
    /// catalogue cannot be asked, the store's answer holds.
    async fn mended(&self, appearance: &Appearance) -> Option<Location> {
        let (catalogue, uuid) = (self.catalogue.clone(), appearance.uuid);
        let rows = tokio::task::spawn_blocking(move || catalogue.fetch(&[uuid])).await;
        let location = rows.ok()?.ok()?.first()?.row.location();
        (location != appearance.location).then_some(location)
    }

    fn read(
        &self,
        appearance: &Appearance,
        bytes: &[u8],
    ) -> std::result::Result<(Record, Vec<Near>), LeftOut> {
        let damaged = |cause| self.left_out(appearance, Why::DamagedObject, cause);
        let found = crc32fast::hash(bytes);
        if found != appearance.crc32 {
            return Err(damaged(format!(
                "its CRC-32 is {found:08x} and the catalogue says {:08x}",
                appearance.crc32
            )));
        }
        let document = envelope::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(self.aim.record(document, appearance))
    }

    fn left_out(&self, appearance: &Appearance, why: Why, cause: String) -> LeftOut {
        LeftOut {
            uuid: appearance.uuid,
            topic: Some(self.topic.to_string()),
            partition: appearance.partition,
            offset: appearance.offset,
            key: Some(appearance.location.key.clone()),
            why,
            cause,
        }
    }
}
