//! The row of a document, as the document itself tells.

use std::sync::Arc;

use super::{Row, storable};
use crate::envelope::Annotations;

/// A document as it lies in the store, or is about to.
#[derive(Clone, Copy, Debug)]
pub struct Lying<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub bytes: &'a [u8],
}

impl Row {
    /// The row of a message that is alone in its object, not retracted and of
    /// no known origin. `None` where it is larger than a document can be.
    pub fn describe(
        topic: &Arc<str>,
        timestamp: i64,
        notes: &Annotations,
        object: Lying<'_>,
    ) -> Option<Self> {
        Some(Self {
            topic: topic.clone(),
            timestamp,
            uuid: notes.uuid,
            size: i32::try_from(object.bytes.len()).ok()?,
            key: object.key.to_owned(),
            bucket: object.bucket.to_owned(),
            crc32: crc32fast::hash(object.bytes),
            is_client_uuid: notes.is_client_uuid,
            public: notes.public,
            direct_upload: notes.direct_upload,
            message_crc32: notes.message_crc32,
            title: storable(&notes.title).into_owned(),
            sender: storable(&notes.sender).into_owned(),
            media_type: storable(&notes.media_type).into_owned(),
            file_name: storable(&notes.file_name).into_owned(),
            originator: storable(&notes.originator).into_owned(),
            retracted: false,
            origin: None,
            object_offset: None,
            signature: notes.signature.clone(),
        })
    }
}
