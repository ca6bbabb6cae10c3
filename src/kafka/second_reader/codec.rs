//! Decompression of batches, in other implementations than librdkafka's.

use std::io::{self, BufRead, BufReader, Read};

/// A batch that unpacks to more bytes is refused. It is never held whole but for
/// snappy without frames.
pub(super) const MAX_UNPACKED_BYTES: u64 = 2 << 30;

/// Snappy makes at most 64 bytes of 3.
const MAX_SNAPPY_RATIO: usize = 22;

const XERIAL: &[u8] = b"\x82SNAPPY\0";
/// The magic bytes and two version numbers.
const XERIAL_HEADER: usize = 16;

/// What the packed bytes unpack to. `codec` is the number in the attributes of a
/// batch; `None` where it is not known.
pub(super) fn unpack<'a>(
    codec: i16,
    packed: &'a [u8],
) -> io::Result<Option<Box<dyn BufRead + 'a>>> {
    let unpacked: Box<dyn Read + 'a> = match codec {
        0 => return Ok(Some(Box::new(packed))),
        1 => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        2 if packed.starts_with(XERIAL) => {
            let blocks = packed.get(XERIAL_HEADER..).unwrap_or_default();
            Box::new(SnappyBlocks {
                blocks,
                block: io::Cursor::default(),
            })
        }
        2 => Box::new(io::Cursor::new(unpack_snappy(packed)?)),
        3 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
        4 => Box::new(
            ruzstd::decoding::StreamingDecoder::new(packed)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?,
        ),
        _ => return Ok(None),
    };
    Ok(Some(Box::new(BufReader::new(Bounded {
        inner: unpacked,
        left: MAX_UNPACKED_BYTES,
    }))))
}

/// Fails beyond the limit.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it unpacks to more than {MAX_UNPACKED_BYTES} bytes"),
            )
        })?;
        Ok(read)
    }
}

/// Snappy as Java's clients frame it.
struct SnappyBlocks<'a> {
    blocks: &'a [u8],
    block: io::Cursor<Vec<u8>>,
}

impl Read for SnappyBlocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || self.blocks.is_empty() || buffer.is_empty() {
                return Ok(read);
            }
            let (size, rest) = self.blocks.split_first_chunk().ok_or_else(cut_off)?;
            let size = usize::try_from(u32::from_be_bytes(*size)).map_err(|_| cut_off())?;
            let (block, rest) = rest.split_at_checked(size).ok_or_else(cut_off)?;
            self.blocks = rest;
            self.block = io::Cursor::new(unpack_snappy(block)?);
        }
    }
}

fn unpack_snappy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let size = snap::raw::decompress_len(packed)?;
    if size > packed.len().saturating_mul(MAX_SNAPPY_RATIO) {
        return Err(cut_off());
    }
    Ok(snap::raw::Decoder::new().decompress_vec(packed)?)
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a snappy block is cut off")
}
