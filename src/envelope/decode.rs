//! BSON → record.

use std::sync::Arc;

use bson::raw::{RawArray, RawBsonRef, RawDocument};
use uuid::Uuid;

use super::Annotations;
use crate::record::{ContentDigest, Header, Signature, TimestampType, TopicId};
use crate::signing::SignedMessage;

/// A stored document, read back. What `archive-core` does not write is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub topic: Arc<str>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub timestamp_type: Option<TimestampType>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// With the exact names where the document keeps them.
    pub headers: Vec<Header>,
    pub annotations: Annotations,
}

impl Document {
    /// What its signature is about, with the digest that it says itself. `None`
    /// in another archiver's document.
    pub fn signed(&self) -> Option<SignedMessage<'_>> {
        self.annotations.signed(
            &self.topic,
            self.partition.zip(self.offset),
            self.timestamp,
            self.timestamp_type.unwrap_or(TimestampType::None),
        )
    }
}

/// Why bytes are no document of the archive.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not BSON: {0}")]
    NotBson(#[from] bson::error::Error),
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{field} is {found}, not {expected}")]
    Unexpected {
        field: &'static str,
        expected: &'static str,
        found: String,
    },
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads a document written here or by `archive-core`. Nothing is guessed: a
/// field that is missing or of another type is an error that names it.
pub fn decode(bytes: &[u8]) -> Result<Document> {
    let root = Fields(RawDocument::from_bytes(bytes)?);
    let metadata = root.document("metadata")?;
    let mut annotations = annotations(&root.document("annotations")?)?;
    annotations.topic_id = metadata.optional("topic_id", topic_id)?;
    let mut headers = match metadata.get("headers")? {
        // archive-core's way to say that there are none.
        RawBsonRef::Null => vec![],
        _ => headers(metadata.array("headers")?)?,
    };
    if let Some(names) = &annotations.raw_header_names {
        restore_names(&mut headers, names)?;
    }
    Ok(Document {
        topic: metadata.text("topic")?.into(),
        timestamp: metadata.integer("timestamp")?,
        partition: metadata.optional("partition", Fields::small_integer)?,
        offset: metadata.optional("offset", Fields::integer)?,
        timestamp_type: metadata.optional("timestamp_type", timestamp_type)?,
        key: metadata.bytes_or_null("key")?,
        value: root.bytes_or_null("message")?,
        headers,
        annotations,
    })
}

fn annotations(fields: &Fields<'_>) -> Result<Annotations> {
    let text = |name| {
        Ok::<_, DecodeError>(
            fields
                .optional(name, Fields::text)?
                .unwrap_or_default()
                .to_owned(),
        )
    };
    Ok(Annotations {
        uuid: uuid(fields, "con_text_uuid")?,
        is_client_uuid: fields.boolean("con_is_client_uuid")?,
        message_crc32: crc32(fields, "con_message_crc32")?,
        public: fields
            .optional("public", Fields::boolean)?
            .unwrap_or_default(),
        direct_upload: fields
            .optional("direct_upload", Fields::boolean)?
            .unwrap_or_default(),
        media_type: text("media_type")?,
        title: text("title")?,
        sender: text("sender")?,
        file_name: text("file_name")?,
        originator: text("originator")?,
        digest: fields.optional("content_digest", digest)?,
        requested_uuid: fields.optional("requested_uuid", uuid)?,
        raw_header_names: fields.optional("header_names_raw", raw_names)?,
        topic_id: None,
        signature: fields.optional("signature", signature)?,
    })
}

fn headers(array: &RawArray) -> Result<Vec<Header>> {
    array
        .into_iter()
        .map(|pair| {
            let pair = match pair? {
                RawBsonRef::Array(pair) => pair,
                other => return Err(unexpected("metadata.headers", "[name, value]", other)),
            };
            let mut parts = pair.into_iter();
            let name = match parts.next().transpose()? {
                Some(RawBsonRef::String(name)) => name.as_bytes().to_vec(),
                Some(other) => return Err(unexpected("a header's name", "a string", other)),
                None => {
                    return Err(DecodeError::Missing {
                        field: "a header's name",
                    });
                }
            };
            let value = match parts.next().transpose()? {
                Some(value) => bytes_or_null("a header's value", value)?,
                None => {
                    return Err(DecodeError::Missing {
                        field: "a header's value",
                    });
                }
            };
            Ok(Header { name, value })
        })
        .collect()
}

fn restore_names(headers: &mut [Header], names: &[Vec<u8>]) -> Result<()> {
    if headers.len() != names.len() {
        return Err(DecodeError::Unexpected {
            field: "annotations.header_names_raw",
            expected: "one name a header",
            found: format!("{} names for {} headers", names.len(), headers.len()),
        });
    }
    for (header, name) in headers.iter_mut().zip(names) {
        header.name.clone_from(name);
    }
    Ok(())
}

fn raw_names(fields: &Fields<'_>, name: &'static str) -> Result<Vec<Vec<u8>>> {
    fields
        .array(name)?
        .into_iter()
        .map(|element| match element? {
            RawBsonRef::Binary(binary) => Ok(binary.bytes.to_vec()),
            other => Err(unexpected(name, "binary", other)),
        })
        .collect()
}

fn timestamp_type(fields: &Fields<'_>, name: &'static str) -> Result<TimestampType> {
    let word = fields.text(name)?;
    TimestampType::parse(word).ok_or_else(|| DecodeError::Unexpected {
        field: name,
        expected: "create, log_append or none",
        found: format!("{word:?}"),
    })
}

fn uuid(fields: &Fields<'_>, name: &'static str) -> Result<Uuid> {
    let text = fields.text(name)?;
    Uuid::try_parse(text).map_err(|_| DecodeError::Unexpected {
        field: name,
        expected: "a UUID",
        found: format!("{text:?}"),
    })
}

fn crc32(fields: &Fields<'_>, name: &'static str) -> Result<u32> {
    let number = fields.integer(name)?;
    u32::try_from(number).map_err(|_| DecodeError::Unexpected {
        field: name,
        expected: "a number of 32 bits without sign",
        found: number.to_string(),
    })
}

fn digest(fields: &Fields<'_>, name: &'static str) -> Result<ContentDigest> {
    let text = fields.text(name)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| DecodeError::Unexpected {
        field: name,
        expected: "64 hex digits",
        found: format!("{text:?}"),
    })?;
    Ok(ContentDigest(digest))
}

fn topic_id(fields: &Fields<'_>, name: &'static str) -> Result<TopicId> {
    let text = fields.text(name)?;
    TopicId::parse(text.as_bytes()).ok_or_else(|| DecodeError::Unexpected {
        field: name,
        expected: "a topic id",
        found: format!("{text:?}"),
    })
}

fn signature(fields: &Fields<'_>, name: &'static str) -> Result<Signature> {
    Ok(Signature {
        key_id: fields.text("signing_key")?.to_owned(),
        mac: digest(fields, name)?.0,
    })
}

fn bytes_or_null(field: &'static str, value: RawBsonRef<'_>) -> Result<Option<Vec<u8>>> {
    match value {
        RawBsonRef::Null => Ok(None),
        RawBsonRef::Binary(binary) => Ok(Some(binary.bytes.to_vec())),
        other => Err(unexpected(field, "binary or null", other)),
    }
}

fn unexpected(field: &'static str, expected: &'static str, found: RawBsonRef<'_>) -> DecodeError {
    DecodeError::Unexpected {
        field,
        expected,
        found: format!("{:?}", found.element_type()),
    }
}

/// A document whose fields are asked for by name and type.
struct Fields<'a>(&'a RawDocument);

impl<'a> Fields<'a> {
    fn get(&self, field: &'static str) -> Result<RawBsonRef<'a>> {
        self.0.get(field)?.ok_or(DecodeError::Missing { field })
    }

    /// `None` where the field is missing; an error where it is wrong.
    fn optional<T>(
        &self,
        field: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.0.get(field)? {
            None => Ok(None),
            Some(_) => read(self, field).map(Some),
        }
    }

    fn document(&self, field: &'static str) -> Result<Fields<'a>> {
        match self.get(field)? {
            RawBsonRef::Document(document) => Ok(Fields(document)),
            other => Err(unexpected(field, "a document", other)),
        }
    }

    fn array(&self, field: &'static str) -> Result<&'a RawArray> {
        match self.get(field)? {
            RawBsonRef::Array(array) => Ok(array),
            other => Err(unexpected(field, "an array", other)),
        }
    }

    fn text(&self, field: &'static str) -> Result<&'a str> {
        match self.get(field)? {
            RawBsonRef::String(text) => Ok(text),
            other => Err(unexpected(field, "a string", other)),
        }
    }

    fn boolean(&self, field: &'static str) -> Result<bool> {
        match self.get(field)? {
            RawBsonRef::Boolean(value) => Ok(value),
            other => Err(unexpected(field, "a boolean", other)),
        }
    }

    fn integer(&self, field: &'static str) -> Result<i64> {
        match self.get(field)? {
            RawBsonRef::Int32(number) => Ok(number.into()),
            RawBsonRef::Int64(number) => Ok(number),
            other => Err(unexpected(field, "an integer", other)),
        }
    }

    fn small_integer(&self, field: &'static str) -> Result<i32> {
        match self.get(field)? {
            RawBsonRef::Int32(number) => Ok(number),
            other => Err(unexpected(field, "an integer of 32 bits", other)),
        }
    }

    fn bytes_or_null(&self, field: &'static str) -> Result<Option<Vec<u8>>> {
        bytes_or_null(field, self.get(field)?)
    }
}
