//! The BSON document of a list: `{messages: […], next, prev}`.
//!
//! BSON holds documents within documents as they are, and the catalogue knows
//! how long each is: so the whole document's length is known, and its bytes
//! are sent, before a single message is read
//! (<https://bsonspec.org/spec.html>).

use bson::raw::{RawArrayBuf, RawBsonRef, RawDocumentBuf, cstr};
use bytes::Bytes;

use super::bookmark::Bookmark;
use super::list::Page;
use super::objects::{Piece, pieces};
use crate::catalogue::Row;

const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const NULL: u8 = 0x0A;

/// The pieces of the document with the whole messages of a page, and how many
/// bytes they are together.
pub fn of_messages(page: &Page) -> (Vec<Piece>, u64) {
    let end = end(page);
    let names: Vec<Vec<u8>> = (0..page.rows.len()).map(element).collect();
    let contents: u64 = page
        .rows
        .iter()
        .zip(&names)
        .map(|(stored, name)| name.len() as u64 + stored.row.size.max(0) as u64)
        .sum();
    // A length counts itself and the 0 at the end.
    let array = contents + 5;
    let mut begin = b"messages\0".to_vec();
    begin.insert(0, ARRAY);
    let length = 4 + begin.len() as u64 + array + end.len() as u64;
    let mut head = int32(length);
    head.extend(begin);
    head.extend(int32(array));
    let mut all = vec![Piece::Bytes(head.into())];
    for (stored, name) in page.rows.iter().zip(names) {
        all.push(Piece::Bytes(name.into()));
        all.extend(pieces(&stored.row, 0..stored.row.size.max(0) as u64));
    }
    let mut tail = vec![0];
    tail.extend(end);
    all.push(Piece::Bytes(Bytes::from(tail)));
    (all, length)
}

/// Pages are bounded far below 2 GiB; one larger message is not on a page with
/// others, and its own length fits with what is added here.
fn int32(number: u64) -> Vec<u8> {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    number.to_le_bytes().to_vec()
}

/// The beginning of the array's n-th document.
fn element(n: usize) -> Vec<u8> {
    let mut name = vec![DOCUMENT];
    name.extend(n.to_string().bytes());
    name.push(0);
    name
}

/// Everything behind the array, with the 0 of the whole document.
fn end(page: &Page) -> Vec<u8> {
    let mut end = Vec::new();
    for (name, bookmark) in [("next", page.next), ("prev", page.prev)] {
        end.push(if bookmark.is_some() { STRING } else { NULL });
        end.extend(name.bytes());
        end.push(0);
        if let Some(text) = bookmark.map(Bookmark::text) {
            end.extend(int32(text.len() as u64 + 1));
            end.extend(text.bytes());
            end.push(0);
        }
    }
    end.push(0);
    end
}

/// The document with what the catalogue says of a page's messages.
pub fn of_rows(page: &Page) -> RawDocumentBuf {
    let mut messages = RawArrayBuf::new();
    for stored in &page.rows {
        messages.push(told(&stored.row));
    }
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("messages"), messages);
    for (name, bookmark) in [(cstr!("next"), page.next), (cstr!("prev"), page.prev)] {
        match bookmark.map(Bookmark::text) {
            Some(text) => document.append(name, text),
            None => document.append(name, RawBsonRef::Null),
        }
    }
    document
}

fn told(row: &Row) -> RawDocumentBuf {
    let mut metadata = RawDocumentBuf::new();
    metadata.append(cstr!("topic"), &*row.topic);
    metadata.append(cstr!("timestamp"), integer(row.timestamp));
    let mut a = RawDocumentBuf::new();
    a.append(cstr!("con_text_uuid"), row.uuid.to_string());
    a.append(cstr!("size"), row.size);
    a.append(cstr!("crc32"), integer(row.crc32.into()));
    a.append(cstr!("public"), row.public);
    a.append(
        cstr!("con_message_crc32"),
        integer(row.message_crc32.into()),
    );
    a.append(cstr!("title"), row.title.as_str());
    a.append(cstr!("sender"), row.sender.as_str());
    a.append(cstr!("media_type"), row.media_type.as_str());
    a.append(cstr!("file_name"), row.file_name.as_str());
    a.append(cstr!("originator"), row.originator.as_str());
    a.append(cstr!("retracted"), row.retracted);
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("metadata"), metadata);
    document.append(cstr!("annotations"), a);
    document
}

/// 32 bits where the number fits, as in a stored document.
pub fn integer(number: i64) -> RawBsonRef<'static> {
    match i32::try_from(number) {
        Ok(small) => RawBsonRef::Int32(small),
        Err(_) => RawBsonRef::Int64(number),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use bson::raw::RawDocument;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::catalogue::{Cursor, StoredRow};

    /// A document of about so many bytes.
    fn document(n: usize, padding: usize) -> Vec<u8> {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("n"), n as i64);
        document.append(cstr!("padding"), "x".repeat(padding));
        document.into_bytes()
    }

    fn stored(n: usize, size: usize) -> StoredRow {
        let row = Row {
            topic: "t".into(),
            timestamp: n as i64,
            uuid: Uuid::from_u128(n as u128),
            size: size as i32,
            key: n.to_string(),
            bucket: "b".into(),
            crc32: u32::MAX,
            is_client_uuid: false,
            public: true,
            direct_upload: false,
            message_crc32: 1,
            title: "title".into(),
            sender: String::new(),
            media_type: String::new(),
            file_name: String::new(),
            originator: String::new(),
            retracted: true,
            origin: None,
            object_offset: None,
            signature: None,
        };
        StoredRow { id: n as i64, row }
    }

    fn bytes_of(piece: Piece, documents: &[Vec<u8>]) -> Vec<u8> {
        match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::Stored { at, .. } => {
                let n: usize = at.key.parse().expect("its number");
                let Range { start, end } = at.range.expect("a range");
                documents[n][start as usize..end as usize].to_vec()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_one_sound_document_of_the_length_that_was_told(
            paddings in prop::collection::vec(0..3000usize, 0..20), next: bool, prev: bool
        ) {
            let documents: Vec<_> = paddings.iter().enumerate().map(|(n, p)| document(n, *p)).collect();
            let cursor = Cursor { timestamp: -1, id: i64::MAX };
            let page = Page {
                rows: documents.iter().enumerate().map(|(n, d)| stored(n, d.len())).collect(),
                next: next.then_some(Bookmark::After(cursor)),
                prev: prev.then_some(Bookmark::Before(cursor)),
            };
            let (pieces, length) = of_messages(&page);
            let sent: Vec<u8> = pieces.into_iter().flat_map(|p| bytes_of(p, &documents)).collect();
            prop_assert_eq!(sent.len() as u64, length);
            let read = RawDocument::from_bytes(&sent).expect("BSON");
            let messages = read.get_array(cstr!("messages")).expect("an array");
            let held: Vec<Vec<u8>> = messages
                .into_iter()
                .map(|m| m.expect("BSON").as_document().expect("a document").as_bytes().to_vec())
                .collect();
            prop_assert_eq!(held, documents);
            let text = |name| read.get(name).expect("BSON").expect("there").as_str().map(str::to_owned);
            prop_assert_eq!(text(cstr!("next")), page.next.map(Bookmark::text));
            prop_assert_eq!(text(cstr!("prev")), page.prev.map(Bookmark::text));
        }
    }
}
