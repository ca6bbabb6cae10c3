//! What the archive adds to a record.

use uuid::Uuid;

use super::identity;
use super::media_type::media_type;
use crate::record::{ContentDigest, Header, Record, Signature, TimestampType, TopicId};
use crate::signing::{SignedMessage, SigningKeys};

/// The third part of a stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotations {
    pub uuid: Uuid,
    /// Whether the client chose the UUID.
    pub is_client_uuid: bool,
    /// CRC-32/ISO-HDLC of the value; of no bytes for a tombstone.
    pub message_crc32: u32,
    pub public: bool,
    pub direct_upload: bool,
    pub media_type: String,
    pub title: String,
    pub sender: String,
    pub file_name: String,
    pub originator: String,
    /// `None` in documents that another archiver wrote.
    pub digest: Option<ContentDigest>,
    /// The client UUID that was asked for but belongs to another message.
    pub requested_uuid: Option<Uuid>,
    /// The exact header names, in order, where one of them is not UTF-8 and so
    /// stands in `metadata.headers` with replacement characters.
    pub raw_header_names: Option<Vec<Vec<u8>>>,
    /// Kafka's id of the topic, where it is known. In the document it stands in
    /// the metadata.
    pub topic_id: Option<TopicId>,
    /// `None` where no signing key is configured.
    pub signature: Option<Signature>,
}

const TITLE: &[u8] = b"title";
const SENDER: &[u8] = b"_sender";
const FILE_NAME: &[u8] = b"file_name";
const ORIGINATOR: &[u8] = b"originator";

/// Whether the value of a header of that name becomes a text of the annotations.
pub(super) fn is_text(name: &[u8]) -> bool {
    [TITLE, SENDER, FILE_NAME, ORIGINATOR].contains(&name)
}

impl Annotations {
    /// Signs the message, if there is a key. Everything else must be as it will
    /// be stored. A document without a digest is another archiver's, and is not
    /// signed.
    pub fn sign(&mut self, record: &Record, keys: Option<&SigningKeys>) {
        let signed = self.signed(
            &record.topic,
            (!self.direct_upload).then_some((record.partition, record.offset)),
            record.timestamp,
            record.timestamp_type,
        );
        self.signature = keys.zip(signed).map(|(keys, signed)| keys.sign(&signed));
    }

    /// What a signature of the message is about. `place`: partition and offset.
    pub(super) fn signed<'a>(
        &self,
        topic: &'a str,
        place: Option<(i32, i64)>,
        timestamp: i64,
        timestamp_type: TimestampType,
    ) -> Option<SignedMessage<'a>> {
        Some(SignedMessage {
            uuid: self.uuid,
            digest: self.digest?,
            topic,
            partition: place.map(|(partition, _)| partition),
            offset: place.map(|(_, offset)| offset),
            timestamp,
            timestamp_type,
            topic_id: self.topic_id,
            public: self.public,
        })
    }
}

/// The annotations of a record that is archived under `uuid`.
pub fn annotate(record: &Record, digest: ContentDigest, uuid: Uuid, public: bool) -> Annotations {
    let value = record.value.as_deref().unwrap_or_default();
    let requested = identity::client_uuid(&record.headers);
    let text = |name| first_text(&record.headers, name);
    Annotations {
        uuid,
        is_client_uuid: requested == Some(uuid),
        message_crc32: crc32fast::hash(value),
        public,
        direct_upload: false,
        media_type: media_type(value, &record.headers).to_owned(),
        title: text(TITLE),
        sender: text(SENDER),
        file_name: text(FILE_NAME),
        originator: text(ORIGINATOR),
        digest: Some(digest),
        requested_uuid: requested.filter(|&asked| asked != uuid),
        raw_header_names: raw_names(&record.headers),
        topic_id: None,
        signature: None,
    }
}

/// The first header of that name whose value decodes as UTF-8; "" without one.
fn first_text(headers: &[Header], name: &[u8]) -> String {
    headers
        .iter()
        .filter(|header| header.name == name)
        .find_map(|header| std::str::from_utf8(header.value.as_deref()?).ok())
        .unwrap_or_default()
        .to_owned()
}

fn raw_names(headers: &[Header]) -> Option<Vec<Vec<u8>>> {
    headers
        .iter()
        .any(|header| std::str::from_utf8(&header.name).is_err())
        .then(|| headers.iter().map(|header| header.name.clone()).collect())
}
