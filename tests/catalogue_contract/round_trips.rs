//! How often a call waits for PostgreSQL.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use archive_ingest::catalogue::{self, Catalogue, ReadSpan, Row, StreamKey};
use archive_ingest::config::DatabaseConfig;

use crate::messages::*;
use crate::place::{Place, ServerDatabase};

/// Leads to a server and counts how often something is asked after an answer.
struct Counter {
    port: u16,
    trips: Arc<AtomicU64>,
}

impl Counter {
    fn new(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let trips = Arc::new(AtomicU64::new(0));
        let counted = trips.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).unwrap();
                let is_answered = Arc::new(AtomicBool::new(true));
                let (trips, asked) = (counted.clone(), is_answered.clone());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    pass(from, to, || {
                        if asked.swap(false, Ordering::SeqCst) {
                            trips.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                });
                thread::spawn(move || {
                    pass(server, client, || is_answered.store(true, Ordering::SeqCst))
                });
            }
        });
        Self { port, trips }
    }
}

/// Everything that comes, until one side ends; `seen` is called before each part is
/// passed on.
fn pass(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut()) {
    let _ = to.set_nodelay(true);
    let mut part = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut part) {
        seen();
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The nth batch of a topic's 8 partitions, and what was read of them.
fn batch(n: u64, rows: u64) -> (Vec<Row>, Vec<ReadSpan>) {
    let rows: Vec<Row> = (n * rows..(n + 1) * rows)
        .map(|n| {
            let mut row = on_topic("alerts", n as i64, n);
            let origin = row.origin.as_mut().unwrap();
            (origin.offset, origin.topic_id) = (n as i64 / 8, None);
            row
        })
        .collect();
    let spans = rows
        .iter()
        .map(|row| {
            let origin = row.origin.as_ref().unwrap();
            ReadSpan {
                stream: Arc::new(StreamKey {
                    topic: row.topic.clone(),
                    partition: origin.partition,
                    topic_id: None,
                }),
                from: origin.offset,
                to: origin.offset + 1,
                holds_record: true,
                row: Some(row.uuid),
            }
        })
        .collect();
    (rows, spans)
}

fn add(catalogue: &dyn Catalogue, (rows, spans): &(Vec<Row>, Vec<ReadSpan>)) {
    let claims: Vec<_> = rows.iter().map(claim_of).collect();
    catalogue.claim(&claims).unwrap();
    let added = catalogue.add_read(rows, &[], spans).unwrap();
    assert_eq!(added.rows.len(), rows.len());
}

/// One to look at the connection, BEGIN, one for the rows and all that is recorded
/// of their streams, one that moves the positions, COMMIT.
#[test]
fn batch_is_added_in_five_round_trips() {
    let Some(database) = ServerDatabase::create() else {
        return;
    };
    let server = format!("{}:{}", database.config.host, database.config.port);
    let counter = Counter::new(server);
    let mut config = database.config.clone();
    config.host = "127.0.0.1".into();
    config.port = counter.port;
    let catalogue = catalogue::open(&DatabaseConfig::Postgres(config)).unwrap();
    catalogue.migrate().unwrap();
    for n in 0..2 {
        add(&*catalogue, &batch(n, 16));
    }
    let (rows, spans) = batch(2, 16);
    let claims: Vec<_> = rows.iter().map(claim_of).collect();
    catalogue.claim(&claims).unwrap();
    let before = counter.trips.load(Ordering::SeqCst);
    let added = catalogue.add_read(&rows, &[], &spans).unwrap();
    let trips = counter.trips.load(Ordering::SeqCst) - before;
    assert_eq!(added.rows.len(), rows.len());
    let positions = catalogue.positions().all_positions().unwrap();
    assert!(positions.len() == 8 && positions.iter().all(|stream| stream.next == 6));
    assert!(trips <= 5, "{trips} round trips");
}

/// Batches that are seen again, or only in part, on streams that are new or not.
#[test]
fn positions_follow_the_rows_that_are_added() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let (rows, spans) = batch(0, 32);
    let claims: Vec<_> = rows.iter().take(20).map(claim_of).collect();
    place.catalogue.claim(&claims).unwrap();
    let position = |partition: i32| {
        let all = place.catalogue.positions().all_positions().unwrap();
        let mut of = all.iter().filter(|one| one.key.partition == partition);
        of.next().map(|one| (one.first, one.next))
    };
    // The others have no claim: their rows are not added, their spans do not count.
    let added = place.catalogue.add_read(&rows, &[], &spans).unwrap();
    assert_eq!(added.rows.len(), 20);
    assert_eq!((position(0), position(7)), (Some((0, 3)), Some((0, 2))));
    let added = place.catalogue.add_read(&rows, &[], &spans).unwrap();
    assert_eq!(added.rows.len(), 0);
    assert_eq!((position(0), position(7)), (Some((0, 3)), Some((0, 2))));
    let only_last: Vec<Row> = rows[28..].to_vec();
    let claims: Vec<_> = only_last.iter().map(claim_of).collect();
    place.catalogue.claim(&claims).unwrap();
    place.catalogue.add_read(&rows, &[], &spans).unwrap();
    assert_eq!((position(0), position(7)), (Some((0, 3)), Some((0, 2))));
    let claims: Vec<_> = rows[20..28].iter().map(claim_of).collect();
    place.catalogue.claim(&claims).unwrap();
    place.catalogue.add_read(&rows, &[], &spans).unwrap();
    assert_eq!((position(0), position(7)), (Some((0, 4)), Some((0, 4))));
}

/// `cargo test --release --test catalogue_contract -- --ignored --nocapture batches`
#[test]
#[ignore = "measures"]
fn batches_a_second() {
    let Some(place) = Place::postgres() else {
        return;
    };
    for rows in [16, 1_000] {
        let batches: Vec<_> = (1_000..1_100).map(|n| batch(n, rows)).collect();
        let mut took: Vec<_> = batches
            .iter()
            .map(|batch| {
                let claims: Vec<_> = batch.0.iter().map(claim_of).collect();
                place.catalogue.claim(&claims).unwrap();
                let start = Instant::now();
                place.catalogue.add_read(&batch.0, &[], &batch.1).unwrap();
                start.elapsed()
            })
            .collect();
        took.sort();
        println!("{rows} rows: median {:?}, fastest {:?}", took[50], took[0]);
    }
}
