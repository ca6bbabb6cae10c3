//! Signatures that prove that a row, and the object of its message, were
//! written by a holder of the archive's signing key.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::record::{ContentDigest, Signature, TimestampType, TopicId};

/// What begins everything that is signed: a key that also signs something else
/// signs nothing that could be taken for a message.
const DOMAIN: &[u8] = b"archive_ingest message 1";

/// Bytes of a key: as many as SHA-256 gives at least (RFC 2104, section 3), and
/// no more than one of its blocks.
const MIN_KEY: usize = 32;
const MAX_KEY: usize = 64;

const MAX_KEY_ID: usize = 64;

/// The key that signs, and those that signed before. No output shows a key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys {
    /// The first one signs.
    keys: Vec<(String, Vec<u8>)>,
}

/// What is signed of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedMessage<'a> {
    pub uuid: Uuid,
    pub digest: ContentDigest,
    pub topic: &'a str,
    /// `None` in direct uploads, as is `offset`.
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    pub topic_id: Option<TopicId>,
    pub public: bool,
}

/// What a signature says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    Invalid,
    /// No key of this id is configured.
    UnknownKey,
}

/// Why a text is no key. It never contains the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    #[error(
        "a key is ID:HEX, and this has no colon; write for example 2026a: and the output of `openssl rand -hex 32`"
    )]
    NoColon,
    #[error("the id of a key has 1 to {MAX_KEY_ID} letters, digits, dots, hyphens and underscores")]
    Id,
    #[error("key {0} is not hexadecimal, or has not {min} to {max} digits; make one with `openssl rand -hex 32`", min = 2 * MIN_KEY, max = 2 * MAX_KEY)]
    Key(String),
    #[error("the key id {0} is there twice")]
    Twice(String),
}

impl SigningKeys {
    /// `current` is `ID:HEX`; `old` has any number of those with commas.
    pub fn parse(current: &str, old: &str) -> Result<Self, SigningKeyError> {
        let mut keys: Vec<(String, Vec<u8>)> = vec![];
        let old = old.split(',').map(str::trim).filter(|key| !key.is_empty());
        for text in std::iter::once(current).chain(old) {
            let (id, hex_key) = text.split_once(':').ok_or(SigningKeyError::NoColon)?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            if id.is_empty() || id.len() > MAX_KEY_ID || !id.chars().all(is_plain) {
                return Err(SigningKeyError::Id);
            }
            let key = hex::decode(hex_key).ok();
            let key = key.filter(|key| (MIN_KEY..=MAX_KEY).contains(&key.len()));
            let key = key.ok_or_else(|| SigningKeyError::Key(id.to_owned()))?;
            if keys.iter().any(|(known, _)| known == id) {
                return Err(SigningKeyError::Twice(id.to_owned()));
            }
            keys.push((id.to_owned(), key));
        }
        Ok(Self { keys })
    }

    /// Signs with the current key. The same message always gets the same
    /// signature.
    pub fn sign(&self, message: &SignedMessage<'_>) -> Signature {
        let (id, key) = &self.keys[0];
        Signature {
            key_id: id.clone(),
            mac: mac(id, key, message).finalize().into_bytes().into(),
        }
    }

    /// In constant time.
    pub fn check(&self, signature: &Signature, message: &SignedMessage<'_>) -> Verdict {
        let mut keys = self.keys.iter();
        let Some((id, key)) = keys.find(|(id, _)| *id == signature.key_id) else {
            return Verdict::UnknownKey;
        };
        match mac(id, key, message).verify_slice(&signature.mac) {
            Ok(()) => Verdict::Valid,
            Err(_) => Verdict::Invalid,
        }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|(id, _)| id.as_str()).collect();
        write!(out, "SigningKeys({})", ids.join(", "))
    }
}

fn mac(key_id: &str, key: &[u8], message: &SignedMessage<'_>) -> Hmac<Sha256> {
    // As RFC 2104 does with a key that is shorter than a block.
    let mut block = [0; MAX_KEY];
    block[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    mac.update(&encode(key_id, message));
    mac
}

/// Each field with its length (four bytes, big-endian) before it, in a fixed
/// order and number: two messages never have the same encoding. A field that is
/// not there is empty.
fn encode(key_id: &str, message: &SignedMessage<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192 + message.topic.len());
    let mut put = |field: &[u8]| {
        bytes.extend((field.len() as u32).to_be_bytes());
        bytes.extend(field);
    };
    put(DOMAIN);
    put(key_id.as_bytes());
    put(message.uuid.as_bytes());
    put(&message.digest.0);
    put(message.topic.as_bytes());
    put(&message.partition.map_or(vec![], |n| n.to_be_bytes().into()));
    put(&message.offset.map_or(vec![], |n| n.to_be_bytes().into()));
    put(&message.timestamp.to_be_bytes());
    put(message.timestamp_type.as_str().as_bytes());
    let topic_id = message.topic_id.map(TopicId::as_uuid);
    put(&topic_id.map_or(vec![], |id| id.as_bytes().to_vec()));
    put(&[u8::from(message.public)]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const OLD: &str = "k0:1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";

    fn keys() -> SigningKeys {
        SigningKeys::parse(KEY, "").expect("a key")
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Owned {
        key_id: String,
        uuid: u128,
        digest: [u8; 32],
        topic: String,
        partition: Option<i32>,
        offset: Option<i64>,
        timestamp: i64,
        timestamp_type: u8,
        topic_id: u128,
        public: bool,
    }

    impl Owned {
        fn message(&self) -> SignedMessage<'_> {
            SignedMessage {
                uuid: Uuid::from_u128(self.uuid),
                digest: ContentDigest(self.digest),
                topic: &self.topic,
                partition: self.partition,
                offset: self.offset,
                timestamp: self.timestamp,
                timestamp_type: match self.timestamp_type {
                    0 => TimestampType::None,
                    1 => TimestampType::Create,
                    _ => TimestampType::LogAppend,
                },
                topic_id: TopicId::new(self.topic_id),
                public: self.public,
            }
        }

        fn encoded(&self) -> Vec<u8> {
            encode(&self.key_id, &self.message())
        }
    }

    prop_compose! {
        /// Of few values, so that two of them often agree in most fields.
        fn owned()(
            key_id in "k?[a0]{1,2}",
            uuid in prop_oneof![Just(1u128), any::<u128>()],
            digest in prop_oneof![Just([7u8; 32]), any::<[u8; 32]>()],
            topic in "[a0.]{1,3}",
            partition in proptest::option::of(0i32..2),
            offset in proptest::option::of(0i64..2),
            timestamp in 0i64..2,
            timestamp_type in 0u8..3,
            topic_id in prop_oneof![Just(0u128), Just(1), any::<u128>()],
            public: bool,
        ) -> Owned {
            Owned {
                key_id, uuid, digest, topic, partition, offset, timestamp, timestamp_type,
                topic_id, public,
            }
        }
    }

    /// The fields of an encoding, read back.
    fn fields(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut fields = vec![];
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let (field, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            fields.push(field.to_vec());
            bytes = rest;
        }
        assert!(bytes.is_empty());
        fields
    }

    proptest! {
        #[test]
        fn two_messages_have_one_encoding_only_if_they_are_equal(a in owned(), b in owned()) {
            prop_assert_eq!(a == b, a.encoded() == b.encoded());
        }

        #[test]
        fn an_encoding_tells_every_field(a in owned()) {
            let read = fields(&a.encoded());
            let id = TopicId::new(a.topic_id).map(TopicId::as_uuid);
            let expected: Vec<Vec<u8>> = vec![
                DOMAIN.to_vec(),
                a.key_id.clone().into_bytes(),
                a.uuid.to_be_bytes().into(),
                a.digest.into(),
                a.topic.clone().into_bytes(),
                a.partition.map_or(vec![], |n| n.to_be_bytes().into()),
                a.offset.map_or(vec![], |n| n.to_be_bytes().into()),
                a.timestamp.to_be_bytes().into(),
                a.message().timestamp_type.as_str().into(),
                id.map_or(vec![], |id| id.as_bytes().to_vec()),
                vec![u8::from(a.public)],
            ];
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn a_signature_is_valid_for_its_message_alone(a in owned(), b in owned()) {
            let signature = keys().sign(&a.message());
            let same = a.message() == b.message();
            prop_assert_eq!(keys().check(&signature, &a.message()), Verdict::Valid);
            let of_b = keys().check(&signature, &b.message());
            prop_assert_eq!(of_b == Verdict::Valid, same);
        }

        #[test]
        fn a_changed_signature_is_invalid(a in owned(), at in 0usize..32, bit in 0..8) {
            let mut signature = keys().sign(&a.message());
            signature.mac[at] ^= 1u8 << bit;
            prop_assert_eq!(keys().check(&signature, &a.message()), Verdict::Invalid);
        }

        #[test]
        fn no_text_panics_and_no_error_shows_a_key(text in "\\PC{0,80}", old in "\\PC{0,80}") {
            if let Err(error) = SigningKeys::parse(&text, &old) {
                let hex = text.split_once(':').map_or("", |(_, hex)| hex);
                prop_assert!(hex.len() < 20 || !error.to_string().contains(hex));
            }
        }
    }

    #[test]
    fn an_old_key_still_checks_and_signs_nothing() {
        let message = Owned {
            key_id: String::new(),
            uuid: 1,
            digest: [2; 32],
            topic: "t".to_owned(),
            partition: Some(0),
            offset: Some(3),
            timestamp: 4,
            timestamp_type: 1,
            topic_id: 5,
            public: false,
        };
        let before = SigningKeys::parse(OLD, "")
            .expect("a key")
            .sign(&message.message());
        let rotated = SigningKeys::parse(KEY, OLD).expect("keys");
        assert_eq!(rotated.check(&before, &message.message()), Verdict::Valid);
        assert_eq!(rotated.sign(&message.message()).key_id, "k1");
        assert_eq!(
            keys().check(&before, &message.message()),
            Verdict::UnknownKey
        );
        // Under the name of another key it is not valid either.
        let renamed = Signature {
            key_id: "k1".to_owned(),
            ..before
        };
        assert_eq!(
            rotated.check(&renamed, &message.message()),
            Verdict::Invalid
        );
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_reason() {
        use SigningKeyError::{Id, Key, NoColon, Twice};
        let hex = &KEY[3..];
        for (current, old, error) in [
            (hex.to_owned(), "", NoColon),
            (format!(":{hex}"), "", Id),
            (format!("a b:{hex}"), "", Id),
            ("k:00".to_owned(), "", Key("k".to_owned())),
            (format!("k:{hex}{hex}00"), "", Key("k".to_owned())),
            (
                format!("k:{}", hex.replace('0', "x")),
                "",
                Key("k".to_owned()),
            ),
            (KEY.to_owned(), KEY, Twice("k1".to_owned())),
            (KEY.to_owned(), "k2", NoColon),
        ] {
            assert_eq!(SigningKeys::parse(&current, old), Err(error));
        }
        assert_eq!(format!("{:?}", keys()), "SigningKeys(k1)");
    }
}
