//! Stored documents on their way to a client: read piece by piece, a few
//! pieces ahead of what is sent, so that no message is held whole.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{error, warn};
use uuid::Uuid;

use super::Archive;
use crate::catalogue::Row;
use crate::http::body::{self, Body, BodyError};
use crate::http::problem::Problem;
use crate::retry::patiently;
use crate::store::{Location, Store, StoreError};

/// Bytes that are read at once.
const PIECE: u64 = 256 * 1024;

/// Pieces of one answer that are read ahead. With [`PIECE`] and the transfers
/// that there may be at once this bounds the memory of all answers.
const AHEAD: usize = 4;

/// A part of what is sent.
pub enum Piece {
    /// As it is.
    Bytes(Bytes),
    /// To be read.
    Stored {
        at: Location,
        uuid: Uuid,
        check: Check,
    },
}

/// What is done with a piece that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the document is not read whole.
    None,
    /// It goes into the document's CRC-32.
    Counts,
    /// It is the last one, and the CRC-32 must be this now.
    Ends(u32),
}

/// Why bytes could not be read as the catalogue describes them.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("message {uuid}: {cause}")]
    Store { uuid: Uuid, cause: StoreError },
    #[error("message {uuid}: its object is damaged: its CRC-32 is not the catalogue's")]
    Damaged { uuid: Uuid },
}

/// The pieces of `part` of a row's document.
pub fn pieces(row: &Row, part: Range<u64>) -> Vec<Piece> {
    let whole = 0..row.size.max(0) as u64;
    let base = row.object_offset.unwrap_or(0).max(0) as u64;
    let mut pieces = Vec::new();
    let mut from = part.start;
    while from < part.end {
        let to = (from + PIECE).min(part.end);
        pieces.push(Piece::Stored {
            at: Location {
                range: Some(base + from..base + to),
                ..row.location()
            },
            uuid: row.uuid,
            check: match part == whole {
                false => Check::None,
                true if to == part.end => Check::Ends(row.crc32),
                true => Check::Counts,
            },
        });
        from = to;
    }
    pieces
}

impl Archive {
    /// A body of these pieces, in order. What goes wrong before the first byte
    /// is an error (500, 503); after it the body is cut off.
    pub async fn send(&self, pieces: Vec<Piece>) -> Result<Body, Problem> {
        let slot = self.transfer().await?;
        let mut chunks = read(self.store.clone(), pieces, slot);
        // Up to the first byte that comes out of the store.
        let mut begun = Vec::new();
        while let Some((is_stored, chunk)) = chunks.try_next().await.map_err(|f| told(&f))? {
            begun.push(Ok(chunk));
            if is_stored {
                break;
            }
        }
        let rest = chunks.map(|chunk| match chunk {
            Ok((_, bytes)) => Ok(bytes),
            Err(failure) => {
                told(&failure);
                Err(BodyError::from(failure))
            }
        });
        Ok(body::stream(stream::iter(begun).chain(rest)))
    }

    /// The bytes of a part, held in memory.
    pub async fn read_part(&self, row: &Row, part: Range<u64>) -> Result<Vec<u8>, Problem> {
        let slot = self.transfer().await?;
        let mut chunks = read(self.store.clone(), pieces(row, part), slot);
        let mut bytes = Vec::new();
        while let Some((_, chunk)) = chunks.try_next().await.map_err(|f| told(&f))? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Each piece's bytes, and whether they come out of the store.
fn read(
    store: Arc<dyn Store>,
    pieces: Vec<Piece>,
    slot: OwnedSemaphorePermit,
) -> BoxStream<'static, Result<(bool, Bytes), Failure>> {
    let mut crc = crc32fast::Hasher::new();
    stream::iter(pieces)
        .map(move |piece| fetch(store.clone(), piece))
        .buffered(AHEAD)
        .map(move |fetched| {
            let _held_until_the_end = &slot;
            let (uuid, check, bytes) = match fetched? {
                Fetched::Bytes(bytes) => return Ok((false, bytes)),
                Fetched::Stored { uuid, check, bytes } => (uuid, check, bytes),
            };
            if check != Check::None {
                crc.update(&bytes);
            }
            if let Check::Ends(expected) = check
                && std::mem::take(&mut crc).finalize() != expected
            {
                return Err(Failure::Damaged { uuid });
            }
            Ok((true, bytes))
        })
        .boxed()
}

enum Fetched {
    Bytes(Bytes),
    Stored {
        uuid: Uuid,
        check: Check,
        bytes: Bytes,
    },
}

async fn fetch(store: Arc<dyn Store>, piece: Piece) -> Result<Fetched, Failure> {
    let (at, uuid, check) = match piece {
        Piece::Bytes(bytes) => return Ok(Fetched::Bytes(bytes)),
        Piece::Stored { at, uuid, check } => (at, uuid, check),
    };
    match patiently(|| store.get(&at), StoreError::is_passing).await {
        Ok(bytes) => Ok(Fetched::Stored {
            uuid,
            check,
            bytes: bytes.into(),
        }),
        Err(cause) => Err(Failure::Store { uuid, cause }),
    }
}

/// Logs what only the operator can mend, and says to the client what helps.
fn told(failure: &Failure) -> Problem {
    match failure {
        Failure::Store { cause, .. } if cause.is_passing() => {
            warn!("{failure}");
            Problem::unavailable("the object store does not answer: try again later")
        }
        _ => {
            error!("{failure}");
            Problem::internal("the message's object is missing or damaged")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(size: i32, object_offset: Option<i64>) -> Row {
        Row {
            topic: "t".into(),
            timestamp: 0,
            uuid: Uuid::nil(),
            size,
            key: "k".into(),
            bucket: "b".into(),
            crc32: 7,
            is_client_uuid: false,
            public: true,
            direct_upload: false,
            message_crc32: 0,
            title: String::new(),
            sender: String::new(),
            media_type: String::new(),
            file_name: String::new(),
            originator: String::new(),
            retracted: false,
            origin: None,
            object_offset,
            signature: None,
        }
    }

    proptest! {
        #[test]
        fn pieces_are_the_part_without_gap_or_overlap(
            size in 1..10_000_000_i32, base in prop::option::of(0..1_000_000_i64), a: u64, b: u64
        ) {
            let (a, b) = (a % size as u64, b % size as u64);
            let part = a.min(b)..a.max(b) + 1;
            let mut next = base.unwrap_or(0) as u64 + part.start;
            for piece in pieces(&row(size, base), part.clone()) {
                let Piece::Stored { at, .. } = piece else { panic!("all is stored") };
                let range = at.range.expect("a range");
                prop_assert!(range.end - range.start <= PIECE);
                prop_assert_eq!(range.start, next);
                next = range.end;
            }
            prop_assert_eq!(next, base.unwrap_or(0) as u64 + part.end);
        }
    }

    #[test]
    fn only_a_whole_document_is_checked_and_at_its_end() {
        let checks = |part: Range<u64>| -> Vec<Check> {
            let of = |piece| match piece {
                Piece::Stored { check, .. } => check,
                Piece::Bytes(_) => panic!("all is stored"),
            };
            pieces(&row(600_000, None), part)
                .into_iter()
                .map(of)
                .collect()
        };
        assert_eq!(
            checks(0..600_000),
            [Check::Counts, Check::Counts, Check::Ends(7)]
        );
        assert_eq!(checks(0..10), [Check::None]);
    }
}
