//! Catalogue → store: every row's object.

use std::future::ready;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::content;
use super::defect::{Defect, Kind};
use super::{Findings, Result, SUSPECTS, Sample, Verifier};
use crate::catalogue::{Cursor, Row, StoredRow};
use crate::store::StoreError;

/// Objects asked for at once.
const AT_ONCE: usize = 32;

/// Rows asked for, and held, at once.
const PAGE: usize = 1_000;

/// Of objects read at once, in KiB; a larger object is read alone.
const MEMORY_KIB: u32 = 64 * 1024;

/// Where a page begins; `None` is the first row of all.
type After = Option<Cursor>;

/// What the store says of a row's object.
enum Looked {
    /// That there is none.
    Missing(Box<Row>),
    Found(Vec<Defect>),
}

impl Verifier {
    pub(super) async fn check_rows(&self, findings: &Findings) -> Result<()> {
        self.progress.expect(self.expected().await?);
        let memory = Semaphore::new(MEMORY_KIB as usize);
        let mut looked = self
            .selected_rows()
            .map_ok(|row| self.look(row.row, &memory))
            .try_buffer_unordered(AT_ONCE)
            .boxed();
        let mut missing = vec![];
        while let Some(looked) = looked.try_next().await? {
            self.progress.message();
            match looked {
                Looked::Found(defects) => findings.tell_all(defects).await?,
                Looked::Missing(row) => missing.push(*row),
            }
            if missing.len() == SUSPECTS {
                self.look_again(&mut missing, &memory, findings).await?;
            }
        }
        self.look_again(&mut missing, &memory, findings).await
    }

    /// About how many rows there are to look at.
    async fn expected(&self) -> Result<u64> {
        let filter = self.filter.clone();
        let topics = self.ask(move |catalogue| catalogue.count_by_topic(&filter));
        let messages: i64 = topics.await?.iter().map(|topic| topic.messages).sum();
        let messages = u64::try_from(messages).unwrap_or_default();
        Ok(match self.sample {
            None => messages,
            Some(Sample::Count(count)) => messages.min(count as u64),
            Some(Sample::Share(share)) => (messages as f64 * share).ceil() as u64,
        })
    }

    fn selected_rows(&self) -> impl Stream<Item = Result<StoredRow>> + Send + '_ {
        match self.sample {
            None => self.all_rows().boxed(),
            Some(Sample::Count(count)) => {
                stream::once(self.drawn_rows(count)).try_flatten().boxed()
            }
            Some(Sample::Share(share)) => self
                .all_rows()
                .try_filter(move |_| ready(rand::random::<f64>() < share))
                .boxed(),
        }
    }

    async fn drawn_rows(
        &self,
        count: usize,
    ) -> Result<impl Stream<Item = Result<StoredRow>> + use<>> {
        let filter = self.filter.clone();
        let rows = self.ask(move |catalogue| catalogue.sample(&filter, count));
        Ok(stream::iter(rows.await?.into_iter().map(Ok)))
    }

    fn all_rows(&self) -> impl Stream<Item = Result<StoredRow>> + Send + '_ {
        stream::try_unfold(Some(None), |after| self.page(after))
            .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
            .try_flatten()
    }

    /// The page after a cursor, and the cursor of the next; `None` after the
    /// last.
    async fn page(&self, after: Option<After>) -> Result<Option<(Vec<StoredRow>, Option<After>)>> {
        let Some(after) = after else { return Ok(None) };
        let filter = self.filter.clone();
        let rows = self.ask(move |catalogue| catalogue.rows(&filter, after, PAGE, false));
        let page = rows.await?;
        let next = match page.last() {
            Some(last) if page.len() == PAGE => Some(Some(last.cursor())),
            _ => None,
        };
        Ok(Some((page, next)))
    }

    /// What the store has for a row. An error of the store is no answer.
    async fn look(&self, row: Row, memory: &Semaphore) -> Result<Looked> {
        let looked = match self.deep {
            true => self.read(&row, memory).await,
            false => self.measure(&row).await,
        };
        let kinds = match looked {
            Ok(kinds) => kinds,
            Err(StoreError::NotFound { .. }) => return Ok(Looked::Missing(Box::new(row))),
            Err(error @ StoreError::Unreadable { .. }) => vec![Kind::UnreadableObject {
                cause: error.to_string(),
            }],
            Err(error) => return Err(error.into()),
        };
        let defects = kinds.into_iter().map(|kind| Defect::of_row(&row, kind));
        Ok(Looked::Found(defects.collect()))
    }

    async fn measure(&self, row: &Row) -> std::result::Result<Vec<Kind>, StoreError> {
        let at = row.location();
        let object = self.head(&at).await?;
        let is_right = match at.range {
            None => object.size as i64 == i64::from(row.size),
            Some(range) => object.size >= range.end,
        };
        Ok(match is_right {
            true => vec![],
            false => vec![Kind::WrongSize {
                object: object.size,
                catalogue: row.size.into(),
            }],
        })
    }

    async fn read(
        &self,
        row: &Row,
        memory: &Semaphore,
    ) -> std::result::Result<Vec<Kind>, StoreError> {
        let kib = u32::try_from(row.size / 1024 + 1).unwrap_or(1);
        // Never closed; and without a permit the work goes on all the same.
        let _room = memory.acquire_many(kib.min(MEMORY_KIB)).await.ok();
        let bytes = self.get(&row.location()).await?;
        self.progress.read(bytes.len());
        Ok(content::compare(row, &bytes))
    }

    /// Asks for the missing ones again: only what is missing twice is a defect.
    async fn look_again(
        &self,
        missing: &mut Vec<Row>,
        memory: &Semaphore,
        findings: &Findings,
    ) -> Result<()> {
        let mut looked = stream::iter(missing.drain(..))
            .map(|row| self.look(row, memory))
            .buffered(AT_ONCE)
            .boxed();
        while let Some(looked) = looked.try_next().await? {
            match looked {
                Looked::Found(defects) => findings.tell_all(defects).await?,
                Looked::Missing(row) => {
                    findings
                        .tell(Defect::of_row(&row, Kind::MissingObject))
                        .await?;
                }
            }
        }
        Ok(())
    }
}
