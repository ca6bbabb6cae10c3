//! `fetch-uuid`: messages out of the archive, by their UUIDs.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::asked_uuids::AskedUuids;
use super::decodings::Decodes;
use super::destination::{Destination, Form};
use super::message_json::MessageJson;
use super::{Exit, UsageError, message_text, open, output};
use crate::catalogue::{Catalogue, Row};
use crate::cli::FetchArgs;
use crate::config::Config;
use crate::envelope::{self, Document};
use crate::retry::patiently;
use crate::store::{Store, StoreError};

/// Objects that are read at once.
const AT_ONCE: usize = 8;

/// Of objects read at once, in KiB; a larger object is read alone.
const MEMORY_KIB: u32 = 32 * 1024;

/// `fetch-uuid`: writes the messages in the order in which they were asked for.
/// One that is missing or damaged is a line on stderr and exit 1 at the end; a
/// text that is no UUID is exit 2, with what was asked before it done. Blocks.
pub fn fetch(config: &Config, args: &FetchArgs, json: bool) -> anyhow::Result<Exit> {
    let form = form(args, json)?;
    let mut asked = AskedUuids::of(&args.uuids, io::stdin())?;
    let catalogue = open::catalogue_to_read(config)?;
    // Only requests to the store run on it: the catalogue's calls block.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let store = runtime.block_on(open::store_to_read(config))?;
    let is_for_several = args.uuids.len() > 1 || args.uuids.iter().any(|uuid| uuid == "-");
    let destination = Destination::open(args.output.as_deref(), is_for_several)?;
    let mut fetch = Fetch {
        store,
        destination,
        form,
        decodes: Decodes::open(config)?,
        written: 0,
        is_whole: true,
    };
    loop {
        let batch = asked.next()?;
        if !batch.uuids.is_empty() {
            let rows = rows(&*catalogue, &batch.uuids)?;
            runtime.block_on(fetch.write_all(&batch.uuids, &rows))?;
        }
        match (batch.bad, batch.uuids.is_empty()) {
            (Some(bad), _) => return Err(bad.into()),
            (None, true) => break,
            (None, false) => {}
        }
    }
    Ok(match fetch.is_whole {
        true => Exit::Clean,
        false => Exit::Found,
    })
}

fn form(args: &FetchArgs, json: bool) -> Result<Form, UsageError> {
    match (args.payload, args.bson, json) {
        (true, _, true) | (_, true, true) => Err(UsageError(
            "--json shows a message, --payload and --bson write its bytes: leave one of them out"
                .to_owned(),
        )),
        (true, _, _) => Ok(Form::Payload),
        (_, true, _) => Ok(Form::Bson),
        (_, _, true) => Ok(Form::Json),
        _ => Ok(Form::Text),
    }
}

fn rows(catalogue: &dyn Catalogue, uuids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Row>> {
    let rows = catalogue.fetch(uuids)?;
    Ok(rows
        .into_iter()
        .map(|row| (row.row.uuid, row.row))
        .collect())
}

struct Fetch {
    store: Arc<dyn Store>,
    destination: Destination,
    form: Form,
    decodes: Decodes,
    written: u64,
    /// Whether everything so far was there and sound.
    is_whole: bool,
}

impl Fetch {
    async fn write_all(&mut self, uuids: &[Uuid], rows: &HashMap<Uuid, Row>) -> anyhow::Result<()> {
        let store = Arc::clone(&self.store);
        let memory = Semaphore::new(MEMORY_KIB as usize);
        // Permits are given in the order of the UUIDs, so that the next object to
        // be written never waits for one that is read ahead.
        let mut objects = stream::iter(uuids)
            .map(|uuid| object(&*store, *uuid, rows.get(uuid), &memory))
            .buffered(AT_ONCE);
        while let Some((uuid, found, _permit)) = objects.next().await {
            match found {
                Found::Nothing => self.complain(&format!("the archive has no message {uuid}")),
                Found::Object(row, Ok(bytes)) => self.write(row, &bytes).await?,
                Found::Object(row, Err(StoreError::NotFound { .. })) => self.complain(&format!(
                    "the object {} of message {uuid} is missing from {}",
                    row.key,
                    store.name()
                )),
                Found::Object(_, Err(error @ StoreError::Unreadable { .. })) => {
                    self.complain(&format!("message {uuid}: {error}"));
                }
                Found::Object(_, Err(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn complain(&mut self, what: &str) {
        output::error(what);
        self.is_whole = false;
    }

    async fn write(&mut self, row: &Row, bytes: &[u8]) -> anyhow::Result<()> {
        if let Err(damage) = check(row, bytes) {
            self.damaged(row, &damage);
            if self.form != Form::Bson {
                return Ok(());
            }
        }
        if self.form == Form::Bson {
            return self.put(row, |out| out.write_all(bytes));
        }
        let document = match envelope::decode(bytes) {
            Ok(document) => document,
            Err(error) => {
                self.damaged(row, &error.to_string());
                return Ok(());
            }
        };
        self.write_document(row, &document).await
    }

    fn damaged(&mut self, row: &Row, how: &str) {
        let advice = match self.form {
            Form::Bson => "written as it is",
            _ => "--bson writes it as it is",
        };
        self.complain(&format!(
            "the object {} of message {} is damaged: {how}; {advice}",
            row.key, row.uuid
        ));
    }

    async fn write_document(&mut self, row: &Row, document: &Document) -> anyhow::Result<()> {
        if self.form == Form::Payload {
            if document.value.is_none() {
                let what = format!("message {} is a tombstone: it has no value", row.uuid);
                output::note(&what);
            }
            let value = document.value.as_deref().unwrap_or_default();
            return self.put(row, |out| out.write_all(value));
        }
        let decodings = self.decodes.of(document).await;
        if self.form == Form::Json {
            let line = serde_json::to_string(&MessageJson::of(row, document, &decodings))?;
            return self.put(row, |out| writeln!(out, "{line}"));
        }
        let limit = match self.destination.is_terminal() {
            true => message_text::ON_A_TERMINAL,
            false => usize::MAX,
        };
        let is_first = self.written == 0 || !matches!(self.destination, Destination::Stdout(_));
        self.put(row, |out| {
            if !is_first {
                writeln!(out)?;
            }
            message_text::show(row, document, &decodings, limit, out)
        })
    }

    fn put(
        &mut self,
        row: &Row,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.destination.put(row.uuid, self.form, write)?;
        self.written += 1;
        Ok(())
    }
}

/// What became of one UUID.
enum Found<'a> {
    Nothing,
    Object(&'a Row, Result<Vec<u8>, StoreError>),
}

async fn object<'a>(
    store: &dyn Store,
    uuid: Uuid,
    row: Option<&'a Row>,
    memory: &'a Semaphore,
) -> (Uuid, Found<'a>, Option<SemaphorePermit<'a>>) {
    let Some(row) = row else {
        return (uuid, Found::Nothing, None);
    };
    let kib = u32::try_from(row.size / 1024 + 1).unwrap_or(1);
    // Never closed; and without a permit the work goes on all the same.
    let permit = memory.acquire_many(kib.min(MEMORY_KIB)).await.ok();
    let at = row.location();
    let bytes = patiently(|| store.get(&at), StoreError::is_passing).await;
    (uuid, Found::Object(row, bytes), permit)
}

/// Whether these are the bytes that the catalogue's row describes; the error
/// says how they are not.
fn check(row: &Row, bytes: &[u8]) -> Result<(), String> {
    let found = crc32fast::hash(bytes);
    match found == row.crc32 {
        true => Ok(()),
        false => Err(format!(
            "its CRC-32 is {found:08x} and the catalogue says {:08x}",
            row.crc32
        )),
    }
}
