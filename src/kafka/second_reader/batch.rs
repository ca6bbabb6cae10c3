//! Record batches as Kafka stores them: version 2, and the message sets before
//! it.
//!
//! Records are unpacked one by one: memory holds the packed batch and one
//! record (of a packed message set of an old format: all of it).

use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::sync::Arc;

use super::ReadError;
use super::codec::{MAX_UNPACKED_BYTES, unpack};
use crate::kafka::Reading;
use crate::record::{Header, Record, TimestampType};

/// A larger record is refused: Kafka's own protocol cannot carry it.
const MAX_RECORD_BYTES: usize = i32::MAX as usize;

/// Base offset and length, which precede every batch.
const PREFIX: usize = 12;
const MAGIC_AT: usize = 16;
const HEADER: usize = 61;

const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const CODEC: i16 = 0x07;

/// A transaction that was aborted, in the range that was fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// Which records are given on.
pub(super) struct Wanted<'a> {
    pub topic: &'a Arc<str>,
    pub partition: i32,
    /// Offsets [from, to).
    pub from: i64,
    pub to: i64,
}

/// How far a partition's bytes went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Consumed {
    /// What to fetch next; [`Wanted::from`] where no batch was whole.
    pub next: i64,
    pub is_stopped: bool,
}

struct Batch<'a> {
    base_offset: i64,
    /// From the base offset on, without what follows the batch.
    bytes: &'a [u8],
}

impl Batch<'_> {
    fn i16(&self, at: usize) -> i16 {
        i16::from_be_bytes(array(self.bytes, at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_be_bytes(array(self.bytes, at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_be_bytes(array(self.bytes, at))
    }
}

/// Zeros where the bytes are not that long.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().unwrap_or([0; N])
}

/// Gives on the committed records of one partition's part of a fetch response,
/// in order. `aborted` is the response's list.
pub(super) fn read_batches(
    mut bytes: &[u8],
    aborted: &[Aborted],
    wanted: &Wanted<'_>,
    each: &mut dyn FnMut(Record) -> Reading,
) -> Result<Consumed, ReadError> {
    let mut aborted = aborted.to_vec();
    aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let mut aborting: HashSet<i64> = HashSet::new();
    let mut next = wanted.from;
    while next < wanted.to
        && let Some(batch) = split(&mut bytes, wanted)?
    {
        let magic = batch.bytes[MAGIC_AT];
        let last = match magic {
            0 | 1 => batch.base_offset,
            2 => batch.base_offset.saturating_add(i64::from(batch.i32(23))),
            _ => return Err(wrong(wanted, &batch, format!("format {magic} is unknown"))),
        };
        let is_wanted = if magic == 2 {
            check_header(wanted, &batch)?;
            while let Some(first) = aborted.pop_if(|first| first.first_offset <= last) {
                aborting.insert(first.producer_id);
            }
            let (attributes, producer) = (batch.i16(21), batch.i64(43));
            if attributes & CONTROL != 0 {
                if is_abort_marker(wanted, &batch)? {
                    aborting.remove(&producer);
                }
                false
            } else {
                attributes & TRANSACTIONAL == 0 || !aborting.contains(&producer)
            }
        } else {
            true
        };
        if is_wanted && last >= wanted.from {
            let mut receive = |record: Record| {
                if (next..wanted.to).contains(&record.offset) {
                    return each(record);
                }
                Reading::GoOn
            };
            let reading = match magic {
                2 => read_batch(wanted, &batch, &mut receive)?,
                _ => read_message_set(wanted, &batch, &mut receive)?,
            };
            if reading == Reading::Stop {
                return Ok(Consumed {
                    next,
                    is_stopped: true,
                });
            }
        }
        next = next.max(last.saturating_add(1));
    }
    Ok(Consumed {
        next,
        is_stopped: false,
    })
}

/// The next batch, if it is there whole: the last one of a response may not be.
fn split<'a>(bytes: &mut &'a [u8], wanted: &Wanted<'_>) -> Result<Option<Batch<'a>>, ReadError> {
    if bytes.len() <= MAGIC_AT {
        return Ok(None);
    }
    let (base_offset, length) = (
        i64::from_be_bytes(array(bytes, 0)),
        i32::from_be_bytes(array(bytes, 8)),
    );
    let head = Batch { base_offset, bytes };
    let length = match usize::try_from(length) {
        Ok(length) if length > MAGIC_AT - PREFIX && base_offset >= 0 => length + PREFIX,
        _ => return Err(wrong(wanted, &head, format!("its length is {length}"))),
    };
    let Some((batch, rest)) = bytes.split_at_checked(length) else {
        return Ok(None);
    };
    *bytes = rest;
    Ok(Some(Batch {
        base_offset,
        bytes: batch,
    }))
}

fn wrong(wanted: &Wanted<'_>, batch: &Batch<'_>, why: impl ToString) -> ReadError {
    ReadError::Unreadable(format!(
        "{} partition {}: the batch at offset {} cannot be read: {}",
        wanted.topic,
        wanted.partition,
        batch.base_offset,
        why.to_string()
    ))
}

fn check_header(wanted: &Wanted<'_>, batch: &Batch<'_>) -> Result<(), ReadError> {
    let (delta, count) = (batch.i32(23), batch.i32(57));
    if batch.bytes.len() < HEADER || delta < 0 || count < 0 {
        return Err(wrong(wanted, batch, "its header is not whole"));
    }
    let checksum = crc32c::crc32c(&batch.bytes[21..]);
    if checksum != u32::from_be_bytes(array(batch.bytes, 17)) {
        return Err(wrong(wanted, batch, "its checksum does not match"));
    }
    Ok(())
}

/// Whether a control batch ends a transaction with an abort.
fn is_abort_marker(wanted: &Wanted<'_>, batch: &Batch<'_>) -> Result<bool, ReadError> {
    let mut is_abort = false;
    read_batch(wanted, batch, &mut |record| {
        // Version, then type: 0 aborts, 1 commits.
        let key = record.key.unwrap_or_default();
        is_abort = key.get(2..4) == Some(&[0, 0]);
        Reading::GoOn
    })?;
    Ok(is_abort)
}

fn read_batch(
    wanted: &Wanted<'_>,
    batch: &Batch<'_>,
    each: &mut dyn FnMut(Record) -> Reading,
) -> Result<Reading, ReadError> {
    let attributes = batch.i16(21);
    let codec = attributes & CODEC;
    let inner = match unpack(codec, &batch.bytes[HEADER..]) {
        Ok(Some(inner)) => inner,
        Ok(None) => return Err(wrong(wanted, batch, format!("codec {codec} is unknown"))),
        Err(error) => return Err(wrong(wanted, batch, error)),
    };
    let mut fields = Fields { inner, left: 0 };
    let (base_timestamp, max_timestamp) = (batch.i64(27), batch.i64(35));
    let last_delta = batch.i32(23);
    for _ in 0..batch.i32(57) {
        let mut record = fields.record().map_err(|why| wrong(wanted, batch, why))?;
        if !(0..=i64::from(last_delta)).contains(&record.offset) {
            return Err(wrong(wanted, batch, "a record's offset is not the batch's"));
        }
        record.offset = batch.base_offset.saturating_add(record.offset);
        if attributes & LOG_APPEND_TIME != 0 {
            record.timestamp = max_timestamp;
            record.timestamp_type = TimestampType::LogAppend;
        } else {
            record.timestamp = base_timestamp.wrapping_add(record.timestamp);
        }
        record.topic = wanted.topic.clone();
        record.partition = wanted.partition;
        if each(record) == Reading::Stop {
            return Ok(Reading::Stop);
        }
    }
    match fields.inner.fill_buf() {
        Ok([]) => Ok(Reading::GoOn),
        Ok(_) => Err(wrong(wanted, batch, "it holds more than its records")),
        Err(error) => Err(wrong(wanted, batch, error)),
    }
}

/// Reads the fields of version 2's records.
struct Fields<'a> {
    inner: Box<dyn BufRead + 'a>,
    /// Bytes of the present record.
    left: usize,
}

impl Fields<'_> {
    /// With deltas for offset and timestamp.
    fn record(&mut self) -> Result<Record, String> {
        self.left = 10;
        let length = self.varint()?;
        self.left = match usize::try_from(length) {
            Ok(length) if length <= MAX_RECORD_BYTES => length,
            _ => return Err(format!("a record of {length} bytes")),
        };
        self.byte()?;
        let (timestamp, offset) = (self.varint()?, self.varint()?);
        let (key, value) = (self.nullable()?, self.nullable()?);
        let count = self.varint()?;
        if count < 0 {
            return Err(format!("a record has {count} headers"));
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = self.nullable()?;
            headers.push(Header {
                name: name.ok_or("a header has no name")?,
                value: self.nullable()?,
            });
        }
        if self.left > 0 {
            return Err(format!(
                "a record is {} bytes longer than its fields",
                self.left
            ));
        }
        Ok(Record {
            topic: "".into(),
            partition: 0,
            offset,
            timestamp,
            timestamp_type: TimestampType::Create,
            key,
            value,
            headers,
        })
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.left = self.left.checked_sub(1).ok_or_else(too_short)?;
        let buffer = self.inner.fill_buf().map_err(|error| error.to_string())?;
        let byte = *buffer.first().ok_or_else(cut_off)?;
        self.inner.consume(1);
        Ok(byte)
    }

    /// A zigzag number of at most 64 bits.
    fn varint(&mut self) -> Result<i64, String> {
        let mut bits = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err("a number has more than 64 bits".to_owned())
    }

    /// Memory grows with what is there, not with what is announced.
    fn nullable(&mut self) -> Result<Option<Vec<u8>>, String> {
        let length = match self.varint()? {
            -1 => return Ok(None),
            length => usize::try_from(length).map_err(|_| format!("a field of {length} bytes"))?,
        };
        self.left = self.left.checked_sub(length).ok_or_else(too_short)?;
        let mut bytes = Vec::with_capacity(length.min(64 << 10));
        let mut field = (&mut self.inner).take(length as u64);
        field
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        match bytes.len() == length {
            true => Ok(Some(bytes)),
            false => Err(cut_off()),
        }
    }
}

fn too_short() -> String {
    "a record is shorter than its fields".to_owned()
}

fn cut_off() -> String {
    "a record is cut off".to_owned()
}

/// A message of an old format (0 or 1), which may hold packed ones.
fn read_message_set(
    wanted: &Wanted<'_>,
    batch: &Batch<'_>,
    each: &mut dyn FnMut(Record) -> Reading,
) -> Result<Reading, ReadError> {
    let outer = read_message(wanted, batch)?;
    let codec = i16::from(outer.codec);
    if codec == 0 {
        return Ok(each(outer.record));
    }
    let magic = batch.bytes[MAGIC_AT];
    if codec == 3 && magic == 0 {
        return Err(wrong(wanted, batch, "lz4 of format 0 has a wrong checksum"));
    }
    let packed = outer.record.value.unwrap_or_default();
    let mut unpacked = Vec::new();
    match unpack(codec, &packed) {
        Ok(Some(inner)) => inner
            .take(MAX_UNPACKED_BYTES)
            .read_to_end(&mut unpacked)
            .map_err(|error| wrong(wanted, batch, error))?,
        Ok(None) => return Err(wrong(wanted, batch, format!("codec {codec} is unknown"))),
        Err(error) => return Err(wrong(wanted, batch, error)),
    };
    let mut rest = &unpacked[..];
    let mut messages = Vec::new();
    while let Some(inner) = split(&mut rest, wanted)? {
        if inner.bytes[MAGIC_AT] != magic {
            return Err(wrong(wanted, batch, "formats are mixed in it"));
        }
        let message = read_message(wanted, &inner)?;
        if message.codec != 0 {
            return Err(wrong(wanted, batch, "it is packed twice"));
        }
        messages.push(message.record);
    }
    if !rest.is_empty() {
        return Err(wrong(wanted, batch, "a message is cut off"));
    }
    // Format 1 counts from the first; the outer offset is that of the last.
    let last = messages.last().map_or(0, |message| message.offset);
    let base = match magic {
        1 => batch.base_offset.saturating_sub(last),
        _ => 0,
    };
    for mut message in messages {
        message.offset = base.saturating_add(message.offset);
        if outer.record.timestamp_type == TimestampType::LogAppend {
            message.timestamp = outer.record.timestamp;
            message.timestamp_type = TimestampType::LogAppend;
        }
        if each(message) == Reading::Stop {
            return Ok(Reading::Stop);
        }
    }
    Ok(Reading::GoOn)
}

struct Message {
    record: Record,
    codec: u8,
}

fn read_message(wanted: &Wanted<'_>, batch: &Batch<'_>) -> Result<Message, ReadError> {
    let is_short = || wrong(wanted, batch, "a message is cut off");
    let body = batch.bytes.get(MAGIC_AT..).ok_or_else(is_short)?;
    if crc32fast::hash(body) != u32::from_be_bytes(array(batch.bytes, PREFIX)) {
        return Err(wrong(wanted, batch, "its checksum does not match"));
    }
    let mut body = super::wire::Reader(body);
    let mut read = || -> Result<Message, ReadError> {
        let (magic, attributes) = (body.i8()?, body.i8()? as u8);
        let (timestamp, timestamp_type) = match magic {
            1 if attributes & LOG_APPEND_TIME as u8 != 0 => (body.i64()?, TimestampType::LogAppend),
            1 => (body.i64()?, TimestampType::Create),
            _ => (-1, TimestampType::None),
        };
        let mut nullable = || -> Result<Option<Vec<u8>>, ReadError> {
            match usize::try_from(body.i32()?) {
                Ok(length) => Ok(Some(body.take(length)?.to_vec())),
                Err(_) => Ok(None),
            }
        };
        let (key, value) = (nullable()?, nullable()?);
        Ok(Message {
            codec: attributes & CODEC as u8,
            record: Record {
                topic: wanted.topic.clone(),
                partition: wanted.partition,
                offset: batch.base_offset,
                timestamp,
                timestamp_type,
                key,
                value,
                headers: vec![],
            },
        })
    };
    let message = read().map_err(|_| is_short())?;
    match body.0 {
        [] => Ok(message),
        _ => Err(wrong(wanted, batch, "a message is longer than its fields")),
    }
}

#[cfg(test)]
mod tests;
