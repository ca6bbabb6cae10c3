//! Avro object containers: some entities of one type, with their schema.
//!
//! Written here and not by the Avro library, because that one writes the
//! schema as it has understood it: attributes that it does not know, which
//! consumers read, would be lost. The format is that of
//! <https://avro.apache.org/docs/1.12.0/specification/#object-container-files>,
//! one block a container.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::avro::{Encoded, Encoder, Misfit, SchemaError, write_long};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;

/// How a container's entities are compressed. Every Avro reader knows the
/// first two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    #[default]
    Deflate,
    Null,
    Zstandard,
}

impl Codec {
    /// Its name in a container.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Deflate => "deflate",
            Codec::Null => "null",
            Codec::Zstandard => "zstandard",
        }
    }

    fn compress(self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::Null => out.extend_from_slice(block),
            Codec::Deflate => {
                let mut encoder = DeflateEncoder::new(out, Compression::fast());
                encoder.write_all(block)?;
                encoder.finish()?;
            }
            Codec::Zstandard => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.write_all(block)?;
                encoder.finish()?;
            }
        }
        Ok(())
    }
}

/// How large a container may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entities at most, at least 1.
    pub entities: usize,
    /// Bytes at which it is cut, schema included and before compression. A
    /// schema that alone takes more than half of them leaves the entities that
    /// half; an entity that alone is larger is alone in its container.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entities: 250,
            bytes: 100_000,
        }
    }
}

/// Fills one container after another with entities of one type.
#[derive(Debug)]
pub struct ContainerWriter {
    encoder: Encoder,
    codec: Codec,
    /// All that stands before the first block.
    header: Vec<u8>,
    sync: [u8; SYNC_BYTES],
    entities: usize,
    /// Encoded bytes of entities at which the container is cut.
    room: usize,
    block: Vec<u8>,
    count: usize,
    /// Whether what is made is a header and one entity, and no container.
    is_bare: bool,
}

impl ContainerWriter {
    /// `definition` is the schema's JSON text as registered, which becomes the
    /// containers' schema byte for byte.
    pub fn new(definition: &str, codec: Codec, limits: Limits) -> Result<Self, SchemaError> {
        let sync = rand::random();
        let header = header(definition, codec, &sync);
        Ok(Self {
            encoder: Encoder::new(definition)?,
            codec,
            entities: limits.entities.max(1),
            room: limits
                .bytes
                .saturating_sub(header.len())
                .max(limits.bytes / 2),
            header,
            sync,
            block: Vec::new(),
            count: 0,
            is_bare: false,
        })
    }

    /// Makes no containers, but of each entity a message that begins with this
    /// header.
    pub fn bare(definition: &str, header: Vec<u8>) -> Result<Self, SchemaError> {
        Ok(Self {
            encoder: Encoder::new(definition)?,
            codec: Codec::Null,
            entities: 1,
            room: usize::MAX,
            header,
            sync: [0; SYNC_BYTES],
            block: Vec::new(),
            count: 0,
            is_bare: true,
        })
    }

    /// Encodes a payload into `out`, for [`ContainerWriter::push`].
    pub fn encode(&self, payload: &str, out: &mut Vec<u8>) -> Result<Encoded, Misfit> {
        self.encoder.encode(payload, out)
    }

    /// Whether an entity of so many encoded bytes belongs into the next
    /// container.
    pub fn is_full_for(&self, encoded: usize) -> bool {
        self.count == self.entities || self.count > 0 && self.block.len() + encoded > self.room
    }

    /// Adds an encoded entity.
    pub fn push(&mut self, encoded: &[u8]) {
        self.block.extend_from_slice(encoded);
        self.count += 1;
    }

    /// The container (or message) of what was added, whole; `None` when that is nothing.
    pub fn finish(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.count == 0 {
            return Ok(None);
        }
        if self.is_bare {
            let message = [self.header.as_slice(), &self.block].concat();
            self.clear();
            return Ok(Some(message));
        }
        let mut compressed = Vec::with_capacity(self.block.len() / 2);
        self.codec.compress(&self.block, &mut compressed)?;
        let size = self.header.len() + compressed.len() + 2 * 10 + SYNC_BYTES;
        let mut container = Vec::with_capacity(size);
        container.extend_from_slice(&self.header);
        write_long(&mut container, self.count as i64);
        write_long(&mut container, compressed.len() as i64);
        container.extend_from_slice(&compressed);
        container.extend_from_slice(&self.sync);
        self.clear();
        Ok(Some(container))
    }

    /// Forgets what was added since the last container.
    pub fn clear(&mut self) {
        self.block.clear();
        self.count = 0;
    }
}

fn header(definition: &str, codec: Codec, sync: &[u8; SYNC_BYTES]) -> Vec<u8> {
    let metadata = [
        ("avro.schema", definition.as_bytes()),
        ("avro.codec", codec.name().as_bytes()),
    ];
    let mut header = MAGIC.to_vec();
    write_long(&mut header, metadata.len() as i64);
    for (name, value) in metadata {
        for part in [name.as_bytes(), value] {
            write_long(&mut header, part.len() as i64);
            header.extend_from_slice(part);
        }
    }
    write_long(&mut header, 0);
    header.extend_from_slice(sync);
    header
}
