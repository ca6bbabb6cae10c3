//! Record → BSON.

use bson::RawBinaryRef;
use bson::raw::{RawArrayBuf, RawBsonRef, RawDocumentBuf, cstr};
use bson::spec::BinarySubtype;

use super::{Annotations, annotations};
use crate::record::{Header, Record};

/// The stored document of a record.
///
/// Fields stand in the order that the archive's format names; integers take 32
/// bits where the number fits, else 64; binary has subtype 0. A direct upload
/// was never on the stream: its document has neither partition nor offset nor
/// a timestamp's type.
pub fn encode(record: &Record, annotations: &Annotations) -> Vec<u8> {
    encode_document(record, annotations).into_bytes()
}

/// As [`encode`], still a document.
pub fn encode_document(record: &Record, annotations: &Annotations) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("message"), bytes_or_null(record.value.as_deref()));
    document.append(cstr!("metadata"), metadata(record, annotations));
    document.append(cstr!("annotations"), annotated(annotations));
    document
}

/// Bytes of memory that archiving `record` takes beside the record itself: the
/// document, and the texts that are copied out of the headers. An estimate that
/// is never less than the document.
pub fn encoded_bytes(record: &Record) -> usize {
    /// Everything whose size does not depend on the record.
    const FIXED: usize = 1024;
    /// A header's BSON types, names, lengths and ends.
    const HEADER: usize = 48;
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let header = |header: &Header| {
        // A byte that is not UTF-8 takes three, and then all exact names are kept too.
        let name = match header.name.is_ascii() {
            true => 2 * header.name.len(),
            false => 4 * header.name.len(),
        };
        let value = length(&header.value);
        // A text stands in the annotations too, which are kept until the object is stored.
        let copies = match annotations::is_text(&header.name) {
            true => 3,
            false => 1,
        };
        HEADER + name + copies * value
    };
    let headers: usize = record.headers.iter().map(header).sum();
    FIXED + record.topic.len() + length(&record.key) + length(&record.value) + headers
}

fn metadata(record: &Record, annotations: &Annotations) -> RawDocumentBuf {
    let mut metadata = RawDocumentBuf::new();
    metadata.append(cstr!("timestamp"), integer(record.timestamp));
    metadata.append(cstr!("headers"), headers(&record.headers));
    metadata.append(cstr!("key"), bytes_or_null(record.key.as_deref()));
    metadata.append(cstr!("topic"), &*record.topic);
    if !annotations.direct_upload {
        metadata.append(cstr!("partition"), record.partition);
        metadata.append(cstr!("offset"), integer(record.offset));
        metadata.append(cstr!("timestamp_type"), record.timestamp_type.as_str());
        if let Some(id) = annotations.topic_id {
            metadata.append(cstr!("topic_id"), id.to_string());
        }
    }
    metadata
}

fn headers(headers: &[Header]) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    for header in headers {
        let mut pair = RawArrayBuf::new();
        pair.push(RawBsonRef::String(&String::from_utf8_lossy(&header.name)));
        pair.push(bytes_or_null(header.value.as_deref()));
        array.push(pair);
    }
    array
}

fn annotated(annotations: &Annotations) -> RawDocumentBuf {
    let mut a = RawDocumentBuf::new();
    a.append(cstr!("con_text_uuid"), annotations.uuid.to_string());
    a.append(cstr!("con_is_client_uuid"), annotations.is_client_uuid);
    a.append(
        cstr!("con_message_crc32"),
        integer(annotations.message_crc32.into()),
    );
    a.append(cstr!("public"), annotations.public);
    a.append(cstr!("direct_upload"), annotations.direct_upload);
    a.append(cstr!("media_type"), annotations.media_type.as_str());
    a.append(cstr!("title"), annotations.title.as_str());
    a.append(cstr!("sender"), annotations.sender.as_str());
    a.append(cstr!("file_name"), annotations.file_name.as_str());
    a.append(cstr!("originator"), annotations.originator.as_str());
    if let Some(digest) = annotations.digest {
        a.append(cstr!("content_digest"), digest.to_string());
    }
    if let Some(asked) = annotations.requested_uuid {
        a.append(cstr!("requested_uuid"), asked.to_string());
    }
    if let Some(names) = &annotations.raw_header_names {
        let mut array = RawArrayBuf::new();
        for name in names {
            array.push(binary(name));
        }
        a.append(cstr!("header_names_raw"), array);
    }
    if let Some(signature) = &annotations.signature {
        a.append(cstr!("signature"), hex::encode(signature.mac));
        a.append(cstr!("signing_key"), signature.key_id.as_str());
    }
    a
}

fn bytes_or_null(bytes: Option<&[u8]>) -> RawBsonRef<'_> {
    bytes.map_or(RawBsonRef::Null, binary)
}

fn binary(bytes: &[u8]) -> RawBsonRef<'_> {
    RawBsonRef::Binary(RawBinaryRef {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

fn integer(number: i64) -> RawBsonRef<'static> {
    match i32::try_from(number) {
        Ok(small) => RawBsonRef::Int32(small),
        Err(_) => RawBsonRef::Int64(number),
    }
}
