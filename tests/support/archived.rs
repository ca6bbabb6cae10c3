//! What an archive holds, read back as any service on it would: the
//! catalogue's row, the object that it names, the document in it.

use archive_ingest::catalogue::{Catalogue, Row, RowFilter};
use archive_ingest::envelope::{self, Annotations};
use archive_ingest::record::{Record, TimestampType};
use archive_ingest::store::Store;
use futures::StreamExt;

/// An archived message.
#[derive(Clone, Debug)]
pub struct Archived {
    pub row: Row,
    /// The stored document.
    pub body: Vec<u8>,
    /// What it says about the record.
    pub record: Record,
    pub annotations: Annotations,
}

/// Every message of an archive, ordered by topic, partition and offset.
pub fn read_all(catalogue: &dyn Catalogue, store: &dyn Store) -> Vec<Archived> {
    let mut rows = vec![];
    let mut after = None;
    loop {
        let page = catalogue
            .rows(&RowFilter::default(), after, 1000, false)
            .expect("a readable catalogue");
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        rows.extend(page.into_iter().map(|stored| stored.row));
    }
    let read = futures::stream::iter(rows).map(|row| async {
        let body = store
            .get(&row.location())
            .await
            .expect("every row's object");
        archived(row, body)
    });
    let mut all: Vec<Archived> = wait_for(read.buffer_unordered(32).collect());
    all.sort_by(|a, b| place(&a.record).cmp(&place(&b.record)));
    all
}

/// The keys of every object in the store, in order.
pub fn all_keys(store: &dyn Store) -> Vec<String> {
    let mut keys = vec![];
    let mut next: Option<String> = None;
    loop {
        let page = wait_for(store.list("", next.as_deref())).expect("a listing");
        keys.extend(page.objects.into_iter().map(|object| object.key));
        next = page.next;
        if next.is_none() {
            return keys;
        }
    }
}

/// Where on the stream a record was.
pub fn place(record: &Record) -> (&str, i32, i64) {
    (&record.topic, record.partition, record.offset)
}

/// Where a message was on the stream, another archiver's document does not say:
/// then the row does, once the message was seen again.
fn archived(row: Row, body: Vec<u8>) -> Archived {
    let document = envelope::decode(&body).expect("a document of the archive");
    let origin = row.origin.as_ref();
    let record = Record {
        topic: document.topic,
        partition: document
            .partition
            .or(origin.map(|of| of.partition))
            .unwrap_or(-1),
        offset: document.offset.or(origin.map(|of| of.offset)).unwrap_or(-1),
        timestamp: document.timestamp,
        timestamp_type: document
            .timestamp_type
            .or(origin.map(|of| of.timestamp_type))
            .unwrap_or(TimestampType::None),
        key: document.key,
        value: document.value,
        headers: document.headers,
    };
    Archived {
        row,
        body,
        record,
        annotations: document.annotations,
    }
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(future)
}
