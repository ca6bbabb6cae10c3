//! Messages to put into a catalogue.

use archive_ingest::catalogue::{Catalogue, Claim, Origin, Owner, Retry, Row};
use archive_ingest::record::{ContentDigest, Delivery, Signature, TimestampType, TopicId};
use uuid::Uuid;

/// The message with the UUID, offset and content that follow from `n`.
pub fn message(n: u64) -> Row {
    on_topic("alerts", 1_700_000_000_000 + n as i64, n)
}

pub fn on_topic(topic: &str, timestamp: i64, n: u64) -> Row {
    Row {
        topic: topic.into(),
        timestamp,
        uuid: Uuid::from_u64_pair(0x4dd0_7c11_22f8_576d, 0x8000_0000_0000_0000 | n),
        size: 1_000 + n as i32,
        key: format!("{topic}/2023/11/14/{n}.bson"),
        bucket: "archive".into(),
        crc32: u32::MAX - n as u32,
        is_client_uuid: n.is_multiple_of(2),
        public: n.is_multiple_of(3),
        direct_upload: false,
        message_crc32: n as u32,
        title: format!("title {n}"),
        sender: "sender".into(),
        media_type: "application/json".into(),
        file_name: "file".into(),
        originator: "originator".into(),
        retracted: false,
        origin: Some(origin(n)),
        object_offset: None,
        signature: n.is_multiple_of(3).then(|| Signature {
            key_id: "k1".into(),
            mac: [n as u8; 32],
        }),
    }
}

pub fn origin(n: u64) -> Origin {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    Origin {
        partition: (n % 8) as i32,
        offset: n as i64,
        timestamp_type: TimestampType::LogAppend,
        digest: ContentDigest(digest),
        topic_id: TopicId::new(u128::from(n % 4)),
    }
}

/// A row that another archiver wrote, as SQL that both databases know. It has
/// none of our columns.
pub fn foreign_insert(row: &Row) -> String {
    format!(
        "INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid,
            public, direct_upload, message_crc32)
         VALUES ('{}', {}, '{}', {}, '{}', '{}', {}, {}, {}, {}, {});",
        row.topic,
        row.timestamp,
        row.uuid,
        row.size,
        row.key,
        row.bucket,
        row.crc32,
        row.is_client_uuid,
        row.public,
        row.direct_upload,
        row.message_crc32,
    )
}

pub fn delivery(row: &Row) -> Delivery {
    row.delivery().unwrap()
}

pub fn claim_of(row: &Row) -> Claim {
    Claim {
        uuid: row.uuid,
        delivery: delivery(row),
        topic_id: row.topic_id(),
    }
}

/// The same UUID, asked for by another delivery.
pub fn rival(row: &Row) -> Row {
    let mut origin = row.origin.clone().unwrap();
    origin.offset += 1_000_000;
    Row {
        origin: Some(origin),
        ..row.clone()
    }
}

/// The row of a record of topic "alerts", partition 0, in the life with this id.
pub fn of_life(n: u64, offset: i64, topic_id: u128) -> Row {
    Row {
        origin: Some(Origin {
            partition: 0,
            offset,
            timestamp_type: TimestampType::Create,
            topic_id: TopicId::new(topic_id),
            ..origin(n)
        }),
        ..on_topic("alerts", 1_000 + n as i64, n)
    }
}

pub fn retry_of(row: &Row, offset: i64) -> Retry {
    Retry {
        uuid: row.uuid,
        topic: row.topic.clone(),
        partition: row.origin.as_ref().unwrap().partition,
        offset,
        timestamp: row.timestamp + 5,
        timestamp_type: TimestampType::Create,
        topic_id: None,
    }
}

/// Claims and adds rows that nobody else wants.
pub fn archive(catalogue: &dyn Catalogue, rows: &[Row]) {
    let claims: Vec<Claim> = rows.iter().map(claim_of).collect();
    catalogue.claim(&claims).unwrap();
    assert_eq!(catalogue.add(rows, &[]).unwrap().rows.len(), rows.len());
}

/// Whose claim it is; panics where it is no claim.
pub fn claimant(owner: &Owner) -> &Delivery {
    match owner {
        Owner::Claim { delivery, .. } => delivery,
        Owner::Row(row) => panic!("a row: {row:?}"),
    }
}

/// The archived message; panics where it is a claim.
pub fn owning_row(owner: &Owner) -> &Row {
    match owner {
        Owner::Row(stored) => &stored.row,
        Owner::Claim { delivery, .. } => panic!("a claim of {delivery:?}"),
    }
}
