use std::io::Write;

use proptest::prelude::*;

use super::*;

/// An independent writer of version 2.
#[derive(Debug)]
struct Written {
    codec: i16,
    attributes: i16,
    producer_id: i64,
    base_offset: i64,
    base_timestamp: i64,
    records: Vec<Record>,
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint(out, -1),
        Some(bytes) => {
            varint(out, bytes.len() as i64);
            out.extend(bytes);
        }
    }
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for record in &self.records {
            let mut body = vec![0];
            varint(
                &mut body,
                record.timestamp.wrapping_sub(self.base_timestamp),
            );
            varint(&mut body, record.offset - self.base_offset);
            nullable(&mut body, record.key.as_deref());
            nullable(&mut body, record.value.as_deref());
            varint(&mut body, record.headers.len() as i64);
            for header in &record.headers {
                nullable(&mut body, Some(&header.name));
                nullable(&mut body, header.value.as_deref());
            }
            varint(&mut records, body.len() as i64);
            records.extend(body);
        }
        let last = self
            .records
            .last()
            .map_or(0, |r| r.offset - self.base_offset);
        let mut rest = Vec::new();
        rest.extend((self.attributes | self.codec).to_be_bytes());
        rest.extend((last as i32).to_be_bytes());
        rest.extend(self.base_timestamp.to_be_bytes());
        rest.extend(777i64.to_be_bytes());
        rest.extend(self.producer_id.to_be_bytes());
        rest.extend(0i16.to_be_bytes());
        rest.extend(0i32.to_be_bytes());
        rest.extend((self.records.len() as i32).to_be_bytes());
        rest.extend(pack(self.codec, &records));
        let mut out = Vec::new();
        out.extend(self.base_offset.to_be_bytes());
        out.extend((rest.len() as i32 + 9).to_be_bytes());
        out.extend(0i32.to_be_bytes());
        out.push(2);
        out.extend(crc32c::crc32c(&rest).to_be_bytes());
        out.extend(rest);
        out
    }
}

fn pack(codec: i16, bytes: &[u8]) -> Vec<u8> {
    match codec {
        0 => bytes.to_vec(),
        1 => {
            let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        2 => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for block in bytes.chunks(100) {
                let packed = snap::raw::Encoder::new().compress_vec(block).unwrap();
                out.extend((packed.len() as u32).to_be_bytes());
                out.extend(packed);
            }
            out
        }
        3 => {
            let mut writer = lz4_flex::frame::FrameEncoder::new(vec![]);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        _ => zstd::encode_all(bytes, 3).unwrap(),
    }
}

fn read(bytes: &[u8], aborted: &[Aborted], from: i64, to: i64) -> (Vec<Record>, Consumed) {
    let topic: Arc<str> = "t".into();
    let wanted = Wanted {
        topic: &topic,
        partition: 1,
        from,
        to,
    };
    let mut records = vec![];
    let consumed = read_batches(bytes, aborted, &wanted, &mut |record| {
        records.push(record);
        Reading::GoOn
    });
    (records, consumed.unwrap())
}

fn some_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..50))
}

fn some_record() -> impl Strategy<Value = Record> {
    let header = (prop::collection::vec(any::<u8>(), 0..9), some_bytes());
    let header = header.prop_map(|(name, value)| Header { name, value });
    (
        any::<i64>(),
        some_bytes(),
        some_bytes(),
        prop::collection::vec(header, 0..5),
    )
        .prop_map(|(timestamp, key, value, headers)| Record {
            topic: "t".into(),
            partition: 1,
            offset: 0,
            timestamp,
            timestamp_type: TimestampType::Create,
            key,
            value,
            headers,
        })
}

fn some_batch() -> impl Strategy<Value = Written> {
    (
        0i16..5,
        0i64..1 << 40,
        any::<i64>(),
        prop::collection::vec((some_record(), 1i64..4), 0..20),
    )
        .prop_map(|(codec, base_offset, base_timestamp, records)| {
            let mut offset = base_offset;
            let numbered = records.into_iter().map(|(mut record, step)| {
                record.offset = offset;
                offset += step;
                record
            });
            Written {
                codec,
                attributes: 0,
                producer_id: -1,
                base_offset,
                base_timestamp,
                records: numbered.collect(),
            }
        })
}

fn plain(base_offset: i64, producer_id: i64, attributes: i16, key: &[u8]) -> Written {
    let record = Record {
        topic: "t".into(),
        partition: 1,
        offset: base_offset,
        timestamp: 5,
        timestamp_type: TimestampType::Create,
        key: Some(key.to_vec()),
        value: None,
        headers: vec![],
    };
    Written {
        codec: 0,
        attributes,
        producer_id,
        base_offset,
        base_timestamp: 5,
        records: vec![record],
    }
}

fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[test]
fn aborted_transactions_and_markers_are_left_out() {
    let (abort, commit) = (b"\0\0\0\0", b"\0\0\0\x01");
    let control = TRANSACTIONAL | CONTROL;
    let log = [
        plain(0, 7, TRANSACTIONAL, b"aborted"),
        plain(1, 8, TRANSACTIONAL, b"committed"),
        plain(2, -1, 0, b"without"),
        plain(3, 7, control, abort),
        plain(4, 7, TRANSACTIONAL, b"committed later"),
        plain(5, 8, control, commit),
        plain(6, 7, control, commit),
        plain(7, 7, TRANSACTIONAL, b"aborted again"),
        plain(8, 7, control, abort),
        plain(9, -1, 0, b"last"),
    ];
    let bytes: Vec<u8> = log.iter().flat_map(Written::bytes).collect();
    let aborted = [7, 0].map(|first_offset| Aborted {
        producer_id: 7,
        first_offset,
    });
    let (records, consumed) = read(&bytes, &aborted, 0, 100);
    assert_eq!(offsets(&records), [1, 2, 4, 9]);
    assert_eq!(consumed.next, 10);
}

#[test]
fn log_append_time_is_the_time_of_the_batch() {
    let (records, _) = read(&plain(3, -1, LOG_APPEND_TIME, b"").bytes(), &[], 0, 9);
    assert_eq!(records[0].timestamp, 777);
    assert_eq!(records[0].timestamp_type, TimestampType::LogAppend);
}

#[test]
fn any_number_of_headers_is_read() {
    let mut batch = plain(0, -1, 0, b"many");
    batch.records[0].headers = (0..150_000)
        .map(|_| Header {
            name: vec![],
            value: None,
        })
        .collect();
    let (records, _) = read(&batch.bytes(), &[], 0, 1);
    assert_eq!(records, batch.records);
}

fn message(magic: u8, attributes: u8, offset: i64, timestamp: i64, value: &[u8]) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend(timestamp.to_be_bytes());
    }
    body.extend((-1i32).to_be_bytes());
    body.extend((value.len() as i32).to_be_bytes());
    body.extend(value);
    let mut out = offset.to_be_bytes().to_vec();
    out.extend((body.len() as i32 + 4).to_be_bytes());
    out.extend(crc32fast::hash(&body).to_be_bytes());
    out.extend(body);
    out
}

#[test]
fn message_sets_of_old_formats_are_read() {
    for codec in [1u8, 2, 3] {
        let inner: Vec<u8> = (0..3)
            .flat_map(|at| message(1, 0, at, 40 + at, b"v"))
            .collect();
        let outer = message(1, codec, 12, 42, &pack(codec.into(), &inner));
        let bytes = [outer, message(1, 8, 13, 99, b"append")].concat();
        let (records, consumed) = read(&bytes, &[], 11, 100);
        assert_eq!(offsets(&records), [11, 12, 13]);
        assert_eq!((records[0].timestamp, records[2].timestamp), (41, 99));
        assert_eq!(records[2].timestamp_type, TimestampType::LogAppend);
        assert_eq!(consumed.next, 14);
    }
    let inner: Vec<u8> = (5..7).flat_map(|at| message(0, 0, at, 0, b"v")).collect();
    let (records, _) = read(&message(0, 1, 6, 0, &pack(1, &inner)), &[], 0, 100);
    assert_eq!(offsets(&records), [5, 6]);
    assert_eq!(records[0].timestamp_type, TimestampType::None);
    assert_eq!(records[0].timestamp, -1);
}

proptest! {
    #[test]
    fn records_come_back_as_written(batch in some_batch(), cut in any::<prop::sample::Index>()) {
        let bytes = batch.bytes();
        let (records, consumed) = read(&bytes, &[], 0, i64::MAX);
        prop_assert_eq!(&records, &batch.records);
        let last = batch.records.last().map_or(batch.base_offset, |r| r.offset);
        prop_assert_eq!(consumed.next, last + 1);
        // The end of a response may lack a part of its last batch.
        let (records, consumed) = read(&bytes[..cut.index(bytes.len())], &[], 0, i64::MAX);
        prop_assert_eq!((records.len(), consumed.next), (0, 0));
    }

    #[test]
    fn only_the_range_is_given(batch in some_batch(), from in 0i64..40, length in 0i64..40) {
        let range = batch.base_offset + from..batch.base_offset + from + length;
        let (records, _) = read(&batch.bytes(), &[], range.start, range.end);
        let mut expected = batch.records.clone();
        expected.retain(|record| range.contains(&record.offset));
        prop_assert_eq!(records, expected);
    }

    #[test]
    fn damage_is_an_error_or_changes_nothing(
        batch in some_batch(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut bytes = batch.bytes();
        let at = 21 + at.index(bytes.len() - 21);
        bytes[at] ^= 1 << bit;
        let topic: Arc<str> = "t".into();
        let wanted = Wanted { topic: &topic, partition: 1, from: 0, to: i64::MAX };
        prop_assert!(read_batches(&bytes, &[], &wanted, &mut |_| Reading::GoOn).is_err());
    }

    #[test]
    fn arbitrary_records_never_panic(
        codec in 0i16..8,
        count in any::<i32>(),
        body in prop::collection::vec(any::<u8>(), 0..300),
        magic in 0u8..4,
    ) {
        let mut batch = plain(0, -1, 0, b"").bytes();
        batch.truncate(HEADER);
        batch[MAGIC_AT] = magic;
        batch[21..23].copy_from_slice(&codec.to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        batch.extend(body);
        let length = batch.len() as i32 - PREFIX as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let checksum = match magic {
            2 => crc32c::crc32c(&batch[21..]),
            _ => crc32fast::hash(&batch[MAGIC_AT..]),
        };
        let at = if magic == 2 { 17 } else { PREFIX };
        batch[at..at + 4].copy_from_slice(&checksum.to_be_bytes());
        let topic: Arc<str> = "t".into();
        let wanted = Wanted { topic: &topic, partition: 1, from: 0, to: i64::MAX };
        let _ = read_batches(&batch, &[], &wanted, &mut |_| Reading::GoOn);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let topic: Arc<str> = "t".into();
        let wanted = Wanted { topic: &topic, partition: 1, from: 0, to: i64::MAX };
        let _ = read_batches(&bytes, &[], &wanted, &mut |_| Reading::GoOn);
    }
}
