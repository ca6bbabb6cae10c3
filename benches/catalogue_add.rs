//! Rows a second of batches of 1,000 through claim and add, in a catalogue that
//! holds so many rows already.
//!
//! `cargo bench --bench catalogue_add -- [ROWS_THERE [BATCHES]]`, by default 0
//! and 50. SQLite in a temporary directory; PostgreSQL where TEST_PG_HOST and its
//! like name a server, in the database of TEST_PG_DB, which must be empty.

mod common;

use std::time::{Duration, Instant};

use archive_ingest::catalogue::{self, Catalogue, Claim, Origin, Row};
use archive_ingest::config::{DatabaseConfig, SqliteConfig};
use archive_ingest::record::{ContentDigest, TimestampType};
use uuid::Uuid;

const BATCH: u64 = 1_000;
const TOPICS: u64 = 20;

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let there = numbers.first().copied().unwrap_or(0);
    let batches = numbers.get(1).copied().unwrap_or(50);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut databases = vec![DatabaseConfig::Sqlite(SqliteConfig {
        path: directory.path().join("archive.db"),
    })];
    databases.extend(common::server(1).map(DatabaseConfig::Postgres));
    for config in &databases {
        let catalogue = catalogue::open(config).expect("a catalogue");
        catalogue.migrate().expect("its schema");
        measure(&*catalogue, there.div_ceil(BATCH), batches);
    }
}

fn measure(catalogue: &dyn Catalogue, before: u64, batches: u64) {
    for n in 0..before {
        archive(catalogue, &batch(n));
    }
    let (mut claiming, mut adding) = (Duration::ZERO, Duration::ZERO);
    for n in before..before + batches {
        let (claim, add) = archive(catalogue, &batch(n));
        claiming += claim;
        adding += add;
    }
    let rows = batches * BATCH;
    println!(
        "{}: {} rows there, {:.0} rows/s, a batch of {BATCH}: claim {:.1} ms, add {:.1} ms",
        catalogue.name(),
        before * BATCH,
        rows as f64 / (claiming + adding).as_secs_f64(),
        claiming.as_secs_f64() * 1e3 / batches as f64,
        adding.as_secs_f64() * 1e3 / batches as f64,
    );
}

fn archive(catalogue: &dyn Catalogue, rows: &[Row]) -> (Duration, Duration) {
    let claims: Vec<Claim> = rows
        .iter()
        .filter_map(|row| {
            Some(Claim {
                topic_id: None,
                uuid: row.uuid,
                delivery: row.delivery()?,
            })
        })
        .collect();
    let start = Instant::now();
    catalogue.claim(&claims).expect("claims");
    let claiming = start.elapsed();
    let added = catalogue.add(rows, &[]).expect("rows");
    assert_eq!(added.rows.len(), rows.len());
    (claiming, start.elapsed() - claiming)
}

fn batch(n: u64) -> Vec<Row> {
    (n * BATCH..(n + 1) * BATCH).map(row).collect()
}

/// UUIDs and digests lie anywhere, as real ones do.
fn row(n: u64) -> Row {
    let topic = format!("topic.{}", n % TOPICS);
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes());
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(uuid.as_bytes());
    Row {
        key: format!("{topic}/2023/11/14/{uuid}.bson"),
        topic: topic.into(),
        timestamp: 1_700_000_000_000 + n as i64,
        uuid,
        size: 1_500,
        bucket: "archive".into(),
        crc32: n as u32,
        is_client_uuid: true,
        public: false,
        direct_upload: false,
        message_crc32: n as u32,
        title: "An alert".into(),
        sender: "somebody".into(),
        media_type: "application/json".into(),
        file_name: String::new(),
        originator: String::new(),
        retracted: false,
        origin: Some(Origin {
            partition: (n % 8) as i32,
            offset: n as i64,
            timestamp_type: TimestampType::Create,
            digest: ContentDigest(digest),
            topic_id: None,
        }),
        object_offset: None,
        signature: None,
    }
}
