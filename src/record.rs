//! A Kafka record with nothing lost.
//!
//! Key, value and every header value may be null, empty or bytes: three
//! different things, kept apart here as `None`, `Some(vec![])` and bytes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// What the broker says a record's timestamp means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The record carries no timestamp.
    None,
    /// Set by the producer.
    Create,
    /// Set by the broker when it appended the record.
    LogAppend,
}

impl TimestampType {
    /// The word for it in a stored object and in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Create => "create",
            Self::LogAppend => "log_append",
        }
    }

    /// The inverse of [`TimestampType::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "create" => Some(Self::Create),
            "log_append" => Some(Self::LogAppend),
            _ => None,
        }
    }
}

/// One header. The broker takes any bytes as a name; a name may repeat and may
/// be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// A record as a consumer received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970-01-01 UTC; may be −1, 0 or far in the future.
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// In the order in which the producer wrote them.
    pub headers: Vec<Header>,
}

impl Record {
    /// Bytes of memory that this record holds: its parts, the structures that
    /// hold them, and what the allocator adds to each.
    pub fn bytes(&self) -> usize {
        let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, |b| allocated(b.len()));
        let contents: usize = self
            .headers
            .iter()
            .map(|header| allocated(header.name.len()) + optional(&header.value))
            .sum();
        let headers = allocated(self.headers.capacity() * size_of::<Header>());
        size_of::<Self>() + optional(&self.key) + optional(&self.value) + headers + contents
    }
}

/// Bytes that the C library's allocator takes for an allocation of `length`.
fn allocated(length: usize) -> usize {
    match length {
        0 => 0,
        _ => (length + size_of::<usize>()).next_multiple_of(16).max(32),
    }
}

/// SHA-256 over a record's content, as the archive defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(pub [u8; 32]);

impl std::fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// One appearance of a record on the stream. The same delivery seen again is a
/// redelivery and changes nothing; a topic created anew starts at offset 0
/// again, which timestamp and digest tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Delivery {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    pub digest: ContentDigest,
}

impl Delivery {
    /// Whether `other` carries the same content on the same topic: what a
    /// producer's retry has in common with the message it repeats.
    pub fn same_message(&self, other: &Delivery) -> bool {
        self.topic == other.topic && self.digest == other.digest
    }
}

/// The id that a Kafka cluster (2.8 and later, KIP-516) gives to a topic when it
/// creates it. A topic that is deleted and created again has another one. Never
/// zero. Displayed in URL-safe base64 without padding, as Kafka's tools do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(Uuid);

impl TopicId {
    /// `None` for zero, which stands for "no id".
    pub fn new(bits: u128) -> Option<Self> {
        (bits != 0).then_some(Self(Uuid::from_u128(bits)))
    }

    /// Reads what [`TopicId`] displays.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Self::new(u128::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Whether two records of one topic name may be of the same topic: their ids
    /// are equal, or one of them is not known.
    pub fn may_be_same(one: Option<Self>, other: Option<Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    /// `None` for the nil UUID.
    pub fn from_uuid(uuid: Uuid) -> Option<Self> {
        Self::new(uuid.as_u128())
    }

    /// As the catalogue's columns hold it.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// Proof that a row was written by a holder of the signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Names the key, so that keys can be rotated.
    pub key_id: String,
    /// HMAC-SHA-256.
    pub mac: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `Uuid.toString` of Kafka's clients: URL-safe base64, not padded.
    #[test]
    fn an_id_is_shown_as_kafkas_tools_show_it() {
        let id = TopicId::new(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        assert_eq!(
            id.map(|id| id.to_string()).as_deref(),
            Some("ASNFZ4mrze_-3LqYdlQyEA")
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(bits in 1u128..) {
            let id = TopicId::new(bits);
            prop_assert_eq!(id.and_then(|id| TopicId::parse(id.to_string().as_bytes())), id);
        }

        #[test]
        fn anything_else_is_no_id(text in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(id) = TopicId::parse(&text) {
                prop_assert_eq!(id.to_string().into_bytes(), text);
            }
        }
    }
}
