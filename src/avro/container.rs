//! Avro object containers as others write them
//! (<https://avro.apache.org/docs/1.12.0/specification/#object-container-files>).

use std::io::Read;

use flate2::read::DeflateDecoder;
use serde_json::Value;

use super::decode::{Bounds, Decoder, Undecodable, read_long, undecodable};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;

/// Bytes that all blocks of a container may have when they are no longer
/// compressed: a few bytes can stand for any number.
const MOST_BYTES: usize = 64 << 20;

/// Values of all its data together.
const MOST_VALUES: usize = 2_000_000;

/// Whether the bytes begin as a container does.
pub fn is_container(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The JSON of everything in a container, in its order. Codecs: null, deflate,
/// snappy, zstandard.
pub fn read_container(bytes: &[u8]) -> Result<Vec<Value>, Undecodable> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return undecodable("no Avro container");
    };
    let header = Header::read(&mut rest)?;
    let decoder = match Decoder::new(&header.schema, &[]) {
        Ok(decoder) => decoder,
        Err(error) => return undecodable(error.to_string()),
    };
    let mut values = Vec::new();
    let (mut room, mut left) = (MOST_BYTES, Bounds::new(MOST_VALUES));
    while !rest.is_empty() {
        let count = read_long(&mut rest)?;
        let size = length(&mut rest)?;
        let block = header.uncompressed(take(&mut rest, size)?, &mut room)?;
        if take(&mut rest, SYNC_BYTES)? != header.sync {
            return undecodable("a block of the container does not end where it says");
        }
        values.extend(read_block(&decoder, count, &block, &mut left)?);
    }
    Ok(values)
}

fn read_block(
    decoder: &Decoder,
    count: i64,
    block: &[u8],
    left: &mut Bounds,
) -> Result<Vec<Value>, Undecodable> {
    let mut values = Vec::new();
    let mut rest = block;
    // Data may take no bytes at all: the schema null.
    let most = block.len().max(1) as i64;
    if !(0..=most).contains(&count) {
        return undecodable(format!("a block of {count} in {} bytes", block.len()));
    }
    for _ in 0..count {
        let (value, after) = decoder.decode_first(rest, left)?;
        values.push(value);
        rest = after;
    }
    match rest.len() {
        0 => Ok(values),
        more => undecodable(format!("{more} bytes are left after the data of a block")),
    }
}

struct Header<'b> {
    schema: String,
    codec: Vec<u8>,
    sync: &'b [u8],
}

impl<'b> Header<'b> {
    fn read(rest: &mut &'b [u8]) -> Result<Self, Undecodable> {
        let mut schema = None;
        let mut codec = b"null".to_vec();
        loop {
            let count = read_long(rest)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                read_long(rest)?;
            }
            for _ in 0..count.unsigned_abs() {
                let (name, value) = (bytes(rest)?, bytes(rest)?);
                match name {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = value.to_vec(),
                    _ => {}
                }
            }
        }
        let sync = take(rest, SYNC_BYTES)?;
        match schema.map(|schema| String::from_utf8(schema.to_vec())) {
            Some(Ok(schema)) => Ok(Self {
                schema,
                codec,
                sync,
            }),
            _ => undecodable("a container without a schema"),
        }
    }

    /// A block as it was before compression; `room` is what may still come.
    fn uncompressed(&self, block: &[u8], room: &mut usize) -> Result<Vec<u8>, Undecodable> {
        let out = match self.codec.as_slice() {
            b"null" => block.to_vec(),
            b"deflate" => limited(DeflateDecoder::new(block), *room)?,
            b"zstandard" => match zstd::Decoder::new(block) {
                Ok(decoder) => limited(decoder, *room)?,
                Err(error) => return undecodable(error.to_string()),
            },
            b"snappy" => unsnapped(block, *room)?,
            other => {
                let codec = String::from_utf8_lossy(other);
                return undecodable(format!("a container of the codec {codec:?}"));
            }
        };
        *room -= out.len().min(*room);
        Ok(out)
    }
}

fn limited(decoder: impl Read, room: usize) -> Result<Vec<u8>, Undecodable> {
    let mut out = Vec::new();
    match decoder.take(room as u64 + 1).read_to_end(&mut out) {
        Err(error) => undecodable(format!("a block cannot be uncompressed: {error}")),
        Ok(count) if count > room => too_large(),
        Ok(_) => Ok(out),
    }
}

/// Snappy's blocks end in the CRC-32 of what they stand for.
fn unsnapped(block: &[u8], room: usize) -> Result<Vec<u8>, Undecodable> {
    let Some((block, crc)) = block.split_last_chunk::<4>() else {
        return undecodable("a block without its CRC-32");
    };
    match snap::raw::decompress_len(block) {
        Ok(count) if count > room => return too_large(),
        _ => {}
    }
    match snap::raw::Decoder::new().decompress_vec(block) {
        Ok(out) if crc32fast::hash(&out) == u32::from_be_bytes(*crc) => Ok(out),
        Ok(_) => undecodable("a block's CRC-32 is not that of its content"),
        Err(error) => undecodable(format!("a block cannot be uncompressed: {error}")),
    }
}

fn too_large<T>() -> Result<T, Undecodable> {
    undecodable(format!(
        "a container of more than {MOST_BYTES} bytes when uncompressed"
    ))
}

fn bytes<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], Undecodable> {
    let length = length(rest)?;
    take(rest, length)
}

fn length(rest: &mut &[u8]) -> Result<usize, Undecodable> {
    let length = read_long(rest)?;
    usize::try_from(length).or_else(|_| undecodable(format!("a length of {length}")))
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Result<&'b [u8], Undecodable> {
    match rest.split_at_checked(count) {
        Some((taken, after)) => {
            *rest = after;
            Ok(taken)
        }
        None => undecodable("the container ends too early"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn long(value: i64) -> Vec<u8> {
        let mut out = vec![];
        super::super::encode::write_long(&mut out, value);
        out
    }

    fn text(bytes: &[u8]) -> Vec<u8> {
        [long(bytes.len() as i64), bytes.to_vec()].concat()
    }

    #[test]
    fn two_kilobytes_that_decode_to_gigabytes_are_refused() {
        let name = "a".repeat(1500);
        let schema = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"boolean"}}]}}"#
        );
        let mut block = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::best());
        block.write_all(&vec![0; 1_900_000]).expect("memory");
        let block = block.finish().expect("memory");
        let container = [
            MAGIC.to_vec(),
            long(2),
            text(b"avro.schema"),
            text(schema.as_bytes()),
            text(b"avro.codec"),
            text(b"deflate"),
            long(0),
            vec![7; SYNC_BYTES],
            long(1_900_000),
            text(&block),
            vec![7; SYNC_BYTES],
        ]
        .concat();
        assert!(container.len() < 5_000, "{} bytes", container.len());
        let error = read_container(&container).expect_err("3 GB");
        assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    }
}
