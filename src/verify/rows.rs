//! Catalogue → store: every row's object.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::content;
use super::defect::{Defect, Kind};
use super::finding::{Findings, Repair};
use super::logbook::Logbook;
use super::pages::{Page, Pages};
use super::place::Place;
use super::ranges::range_of;
use super::{Result, SUSPECTS, Sample, Verifier};
use crate::catalogue::{Cursor, Row, StoredRow};
use crate::envelope::{self, Document};
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
    Missing(Box<StoredRow>),
    Found(Told),
}

/// What is wrong, and what became of it.
type Told = (Vec<Defect>, Option<Repair>);

/// A row and the page that it came with, which wants to know when it is done.
struct Selected {
    row: StoredRow,
    page: Arc<Page>,
}

impl Verifier {
    /// `after`: the timestamp and serial number of the row to go on after.
    pub(super) async fn check_rows(
        &self,
        after: Option<(i64, i64)>,
        log: &mut Logbook,
        findings: &Findings,
    ) -> Result<()> {
        self.progress.expect(self.expected().await?);
        let memory = Semaphore::new(MEMORY_KIB as usize);
        let pages = Pages::default();
        let after = after.map(|(timestamp, id)| Cursor { timestamp, id });
        let mut looked = self
            .selected_rows(after, &pages)
            .map_ok(|selected| self.look_at(selected, &memory))
            .try_buffer_unordered(AT_ONCE)
            .boxed();
        let mut missing = vec![];
        while let Some((looked, page)) = looked.try_next().await? {
            self.progress.message();
            match looked {
                Looked::Found((defects, repair)) => findings.tell_of(defects, repair).await?,
                Looked::Missing(row) => missing.push(*row),
            }
            page.row_done();
            let is_save_due = self.is_save_due(log);
            if missing.len() == SUSPECTS || is_save_due {
                self.look_again(&mut missing, &memory, findings).await?;
            }
            if is_save_due && let Some((last, rows)) = pages.done_to() {
                log.settled += rows;
                self.save(log, findings, Place::after_row(last)).await;
            }
        }
        self.look_again(&mut missing, &memory, findings).await
    }

    async fn look_at(&self, selected: Selected, memory: &Semaphore) -> Result<(Looked, Arc<Page>)> {
        Ok((self.look(selected.row, memory).await?, selected.page))
    }

    /// Defects of a row, mended where that is wanted.
    async fn mended(
        &self,
        stored: &StoredRow,
        defects: Vec<Defect>,
        memory: &Semaphore,
    ) -> Result<Told> {
        if defects.is_empty() || self.mending.is_none() {
            return Ok((defects, None));
        }
        // Never closed; and without a permit the work goes on all the same.
        let _room = memory.acquire_many(room_for(&stored.row)).await.ok();
        let repair = self.mend_row(stored).await?;
        Ok((defects, repair))
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

    fn selected_rows<'a>(
        &'a self,
        after: After,
        pages: &'a Pages,
    ) -> impl Stream<Item = Result<Selected>> + Send + 'a {
        match self.sample {
            Some(Sample::Count(count)) => {
                let drawn = self.drawn_rows(count);
                stream::once(drawn)
                    .map_ok(|rows| stream::iter(selected(pages, rows).map(Ok)))
                    .try_flatten()
                    .boxed()
            }
            _ => self.all_rows(after, pages).boxed(),
        }
    }

    async fn drawn_rows(&self, count: usize) -> Result<Vec<StoredRow>> {
        let filter = self.filter.clone();
        let rows = self.ask(move |catalogue| catalogue.sample(&filter, count));
        Ok(self.of_subset(rows.await?))
    }

    fn all_rows<'a>(
        &'a self,
        after: After,
        pages: &'a Pages,
    ) -> impl Stream<Item = Result<Selected>> + Send + 'a {
        stream::try_unfold(Some(after), |after| self.page(after))
            .map_ok(move |(rows, last)| {
                let page = pages.begin(last, rows.len());
                let select = move |row| {
                    let page = page.clone();
                    Ok(Selected { row, page })
                };
                stream::iter(rows.into_iter().map(select))
            })
            .try_flatten()
    }

    /// The rows of interest of the page after a cursor, the page's last one,
    /// and the cursor of the next; `None` after the last.
    async fn page(
        &self,
        after: Option<After>,
    ) -> Result<Option<((Vec<StoredRow>, Cursor), Option<After>)>> {
        let Some(after) = after else { return Ok(None) };
        let filter = self.filter.clone();
        let rows = self.ask(move |catalogue| catalogue.rows(&filter, after, PAGE, false));
        let page = rows.await?;
        let Some(last) = page.last().map(StoredRow::cursor) else {
            return Ok(None);
        };
        let next = (page.len() == PAGE).then_some(Some(last));
        let mut rows = self.of_subset(page);
        if let Some(Sample::Share(share)) = self.sample {
            rows.retain(|_| rand::random::<f64>() < share);
        }
        Ok(Some(((rows, last), next)))
    }

    fn of_subset(&self, mut rows: Vec<StoredRow>) -> Vec<StoredRow> {
        if let Some(subset) = self.subset {
            rows.retain(|stored| subset.has_name(range_of(&stored.row.key)));
        }
        rows
    }

    /// What the store has for a row. An error of the store is no answer.
    async fn look(&self, stored: StoredRow, memory: &Semaphore) -> Result<Looked> {
        let row = &stored.row;
        let looked = match self.deep {
            true => self.read(row, memory).await,
            false => self.measure(row).await.map(|kinds| (kinds, None)),
        };
        let mut kinds = match looked {
            Ok((kinds, document)) => {
                let mut kinds = kinds;
                kinds.extend(self.check_signature(&stored, document.as_ref()).await?);
                kinds
            }
            Err(StoreError::NotFound { .. }) => return Ok(Looked::Missing(Box::new(stored))),
            Err(error @ StoreError::Unreadable { .. }) => {
                vec![Kind::UnreadableObject {
                    cause: error.to_string(),
                }]
            }
            Err(error) => return Err(error.into()),
        };
        // What an unconfirmed object says of that is not believed.
        let is_about_public =
            |kind: &Kind| matches!(kind, Kind::Disagrees { field, .. } if *field == "public");
        if kinds.iter().any(is_about_public) && self.is_unconfirmed(row.uuid).await? {
            kinds.retain(|kind| !is_about_public(kind));
        }
        let defects = kinds.into_iter().map(|kind| Defect::of_row(row, kind));
        let told = self.mended(&stored, defects.collect(), memory);
        Ok(Looked::Found(told.await?))
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
    ) -> std::result::Result<(Vec<Kind>, Option<Document>), StoreError> {
        // Never closed; and without a permit the work goes on all the same.
        let _room = memory.acquire_many(room_for(row)).await.ok();
        let bytes = self.get(&row.location()).await?;
        self.progress.read(bytes.len());
        // Only a direct upload's row lacks what its signature is about.
        let document = match row.signature.is_some() && row.origin.is_none() {
            true => envelope::decode(&bytes).ok(),
            false => None,
        };
        Ok((content::compare(row, &bytes), document))
    }

    /// Asks for the missing ones again: only what is missing twice is a defect.
    async fn look_again(
        &self,
        missing: &mut Vec<StoredRow>,
        memory: &Semaphore,
        findings: &Findings,
    ) -> Result<()> {
        let mut looked = stream::iter(missing.drain(..))
            .map(|row| self.look_for_good(row, memory))
            .buffered(AT_ONCE)
            .boxed();
        while let Some((defects, repair)) = looked.try_next().await? {
            findings.tell_of(defects, repair).await?;
        }
        Ok(())
    }

    /// As [`Verifier::look`]; what is missing now is a defect.
    async fn look_for_good(&self, stored: StoredRow, memory: &Semaphore) -> Result<Told> {
        match self.look(stored, memory).await? {
            Looked::Missing(stored) => {
                let defects = vec![Defect::of_row(&stored.row, Kind::MissingObject)];
                self.mended(&stored, defects, memory).await
            }
            Looked::Found(told) => Ok(told),
        }
    }
}

/// What reading an object takes of the memory, in KiB.
fn room_for(row: &Row) -> u32 {
    let kib = u32::try_from(row.size / 1024 + 1).unwrap_or(1);
    kib.min(MEMORY_KIB)
}

/// Drawn rows, as if they were one page.
fn selected(pages: &Pages, rows: Vec<StoredRow>) -> impl Iterator<Item = Selected> + use<> {
    let last = rows.last().map(StoredRow::cursor);
    let page = last.map(|last| pages.begin(last, rows.len()));
    rows.into_iter().filter_map(move |row| {
        let page = page.clone()?;
        Some(Selected { row, page })
    })
}
