//! Record → BSON.

use bson::RawBinaryRef;
use bson::raw::{RawArrayBuf, RawBsonRef, RawDocumentBuf, cstr};
use bson::spec::BinarySubtype;

use super::Annotations;
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
