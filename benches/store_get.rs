//! How many objects a second `S3Store::get` reads with nothing else to do, and
//! how many `verify --deep` reads and compares and `restore` brings back onto
//! Kafka, in turns.
//!
//! ```text
//! TEST_S3_ENDPOINT=http://127.0.0.1:9000 TEST_S3_BUCKET=archive \
//! TEST_S3_ACCESS_KEY=… TEST_S3_SECRET_KEY=… cargo bench --bench store_get
//! ```
//!
//! - `BENCH_OBJECTS`: objects in the archive. Default 20000.
//! - `BENCH_SIZE`: bytes of each value. Default 1000.
//! - `BENCH_CONCURRENCY`: GETs at once, comma-separated. Default `16,32,64`;
//!   verify and restore are measured against the best of them, over all rounds.
//! - `BENCH_ROUNDS`: how often each is measured, in turns. Default 3.
//! - `TEST_KAFKA`: HOST:PORT of the broker to restore to, each time into a topic
//!   of its own, which stays; without it restore is not measured.
//!
//! The objects are those of a private archive, under a topic of a random name,
//! and stay there; its catalogue is a SQLite file that goes. A table goes to
//! stderr, one JSON document to stdout, with the largest share of memory that
//! the process had.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use archive_ingest::catalogue::{Catalogue, Row, RowFilter, SqliteCatalogue, StreamFilter};
use archive_ingest::config::{Config, Environment, Selection, SqliteConfig};
use archive_ingest::kafka::Cluster;
use archive_ingest::record::{Record, TimestampType};
use archive_ingest::restore::{Options, Restorer};
use archive_ingest::store::{Location, Put, S3Store, Store};
use archive_ingest::verify::{Rebuild, Verifier};
use archive_ingest::{catalogue, envelope, shutdown};
use common::{bucket, concurrencies, parameter};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

fn main() -> Result<()> {
    let objects: usize = parameter("BENCH_OBJECTS", 20_000)?;
    let size: usize = parameter("BENCH_SIZE", 1_000)?;
    let rounds: usize = parameter("BENCH_ROUNDS", 3)?;
    let folder = tempfile::tempdir()?;
    let catalogue = open_catalogue(folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let store: Arc<dyn Store> = Arc::new(S3Store::open(&bucket()?)?);
    runtime.block_on(async {
        store.check().await?;
        fill(&store, objects, size).await?;
        Ok::<_, anyhow::Error>(())
    })?;
    // What other archives lie in the bucket is not measured.
    let topic = topic();
    adopt(&runtime, &store, &catalogue, topic)?;
    let keys = keys(&*catalogue, topic, objects)?;
    eprintln!(
        "{:>16} {:>10} {:>8} {:>12}",
        "what", "objects", "s", "objects/s"
    );
    let cluster = cluster(folder.path())?;
    let mut gets = BTreeMap::<usize, Vec<f64>>::new();
    let (mut verifies, mut restores) = (vec![], vec![]);
    if let Some(cluster) = &cluster {
        // A broker's first transactions make topics of its own; the store has
        // been read once already. Not counted.
        restore_all(&runtime, &store, &catalogue, cluster, objects)?;
    }
    for _ in 0..rounds {
        for at_once in concurrencies("16,32,64")? {
            let rate = runtime.block_on(get_all(&store, &keys, at_once))?;
            gets.entry(at_once).or_default().push(rate);
        }
        verifies.push(runtime.block_on(verify_all(&store, &catalogue, topic, objects))?);
        if let Some(cluster) = &cluster {
            restores.push(restore_all(&runtime, &store, &catalogue, cluster, objects)?);
        }
    }
    println!("{}", report(&store, size, &gets, &verifies, &restores)?);
    Ok(())
}

/// Of all rounds together, so that a moment at which the machine was busy weighs
/// on both alike.
fn report(
    store: &Arc<dyn Store>,
    size: usize,
    gets: &BTreeMap<usize, Vec<f64>>,
    verifies: &[f64],
    restores: &[f64],
) -> Result<Value> {
    let overall = |rates: &[f64]| {
        let seconds: f64 = rates.iter().map(|rate| rate.recip()).sum();
        rates.len() as f64 / seconds
    };
    let gets: BTreeMap<usize, f64> = gets
        .iter()
        .map(|(at_once, rates)| (*at_once, overall(rates)))
        .collect();
    let best = gets.values().copied().fold(0.0, f64::max);
    Ok(json!({
        "bench": "store_get",
        "store": store.name(),
        "value_bytes": size,
        "gets_per_second": gets,
        "verified_per_second": overall(verifies),
        "ratio": overall(verifies) / best,
        "restored_per_second": overall(restores),
        "restore_ratio": (!restores.is_empty()).then(|| overall(restores) / best),
        "peak_memory_bytes": peak_memory()?,
    }))
}

/// A topic that no other run has.
fn topic() -> &'static str {
    static TOPIC: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TOPIC.get_or_init(|| format!("bench-{:08x}", rand::random::<u32>()))
}

fn record(number: usize, size: usize) -> Record {
    let mut value = vec![b'x'; size];
    let seal = number.to_be_bytes();
    let end = size.min(seal.len());
    value[..end].copy_from_slice(&seal[..end]);
    Record {
        topic: topic().into(),
        partition: 0,
        offset: number as i64,
        timestamp: 1_700_000_000_000 + number as i64,
        timestamp_type: TimestampType::Create,
        key: None,
        value: Some(value),
        headers: vec![],
    }
}

/// Stores the objects of an archive.
async fn fill(store: &Arc<dyn Store>, objects: usize, size: usize) -> Result<()> {
    stream::iter(0..objects)
        .map(Ok)
        .try_for_each_concurrent(64, |number| async move {
            let record = record(number, size);
            let delivery = envelope::delivery(&record);
            let uuid = envelope::derived_uuid(&delivery, 0);
            let notes = envelope::annotate(&record, delivery.digest, uuid, false);
            let key = envelope::object_key(&record.topic, record.timestamp, uuid);
            let put = store
                .put_new(&key, envelope::encode(&record, &notes))
                .await?;
            ensure!(put == Put::Stored, "{key} was there before");
            Ok(())
        })
        .await
}

fn open_catalogue(folder: &Path) -> Result<Arc<dyn Catalogue>> {
    let catalogue = SqliteCatalogue::open(&SqliteConfig {
        path: folder.join("catalogue.sqlite"),
    })?;
    catalogue.migrate()?;
    Ok(Arc::new(catalogue))
}

/// The rows, by way of a rebuild.
fn adopt(
    runtime: &tokio::runtime::Runtime,
    store: &Arc<dyn Store>,
    catalogue: &Arc<dyn Catalogue>,
    topic: &str,
) -> Result<()> {
    let rebuild = Rebuild {
        catalogue: catalogue.clone(),
        store: store.clone(),
        shard: None,
        from_start: true,
        progress: Arc::default(),
        keys: None,
        is_public: Arc::new(|_| false),
    };
    let began = Instant::now();
    let rebuilt = runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(64);
        let listen = tokio::spawn(async move { while told.recv().await.is_some() {} });
        let rebuilt = rebuild.run(tell).await;
        listen.await?;
        anyhow::Ok(rebuilt?)
    })?;
    show("rebuild", rebuilt.objects as usize, began);
    ensure!(rebuilt.added > 0, "no object of {topic}");
    Ok(())
}

fn keys(catalogue: &dyn Catalogue, topic: &str, expected: usize) -> Result<Vec<Location>> {
    let filter = of_topic(topic);
    let (mut keys, mut after) = (vec![], None);
    loop {
        let page = catalogue.rows(&filter, after, 1_000, false)?;
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        keys.extend(page.iter().map(|stored| Row::location(&stored.row)));
    }
    ensure!(keys.len() == expected, "{} rows of {expected}", keys.len());
    Ok(keys)
}

fn of_topic(topic: &str) -> RowFilter {
    catalogue::RowFilter {
        topics: Some(vec![topic.to_owned()]),
        ..RowFilter::default()
    }
}

/// Objects a second.
async fn get_all(store: &Arc<dyn Store>, keys: &[Location], at_once: usize) -> Result<f64> {
    let began = Instant::now();
    let mut bytes = stream::iter(keys)
        .map(|at| store.get(at))
        .buffer_unordered(at_once);
    while let Some(read) = bytes.try_next().await? {
        ensure!(!read.is_empty(), "an empty object");
    }
    Ok(show(&format!("get, {at_once} at once"), keys.len(), began))
}

/// Objects a second, in both directions: objects are read in the first, and
/// listed in the second.
async fn verify_all(
    store: &Arc<dyn Store>,
    catalogue: &Arc<dyn Catalogue>,
    topic: &str,
    objects: usize,
) -> Result<f64> {
    let verifier = Verifier {
        filter: of_topic(topic),
        deep: true,
        ..Verifier::new(catalogue.clone(), store.clone())
    };
    let began = Instant::now();
    let (tell, mut told) = mpsc::channel(64);
    let listen = tokio::spawn(async move { told.recv().await });
    let checked = verifier.run(tell).await?;
    let rate = show("verify --deep", objects, began);
    let first = listen.await?;
    ensure!(first.is_none(), "a defect: {first:?}");
    ensure!(checked.messages == objects as u64, "{checked:?}");
    Ok(rate)
}

/// Where records are restored to, if that is named.
fn cluster(folder: &Path) -> Result<Option<Arc<Cluster>>> {
    let Ok(address) = std::env::var("TEST_KAFKA") else {
        return Ok(None);
    };
    let file = folder.join("bench.toml");
    std::fs::write(
        &file,
        format!("[hop]\nhop-type = \"kafka\"\nhop-hostname = {address:?}\n"),
    )?;
    let selection = Selection {
        config_file: Some(file),
        hop: Some("hop".to_owned()),
        ..Selection::default()
    };
    let config = Config::load_in(&selection, Environment::default())?;
    Ok(Some(Arc::new(Cluster::open(&config.hop()?)?)))
}

/// Objects a second, into a new topic.
fn restore_all(
    runtime: &tokio::runtime::Runtime,
    store: &Arc<dyn Store>,
    catalogue: &Arc<dyn Catalogue>,
    cluster: &Arc<Cluster>,
    objects: usize,
) -> Result<f64> {
    let options = Options {
        create_topics: true,
        connections: 8,
        ..Options::default()
    };
    let (_trigger, shutdown) = shutdown::signal();
    let (catalogue, store) = (catalogue.clone(), store.clone());
    let restorer = Restorer::new(catalogue, store, cluster.clone(), options, shutdown)?;
    let target = format!("{}-{:08x}", topic(), rand::random::<u32>());
    let filter = StreamFilter {
        topic: topic().to_owned(),
        ..StreamFilter::default()
    };
    let began = Instant::now();
    let jobs = [restorer.job(&target, filter, "everything")?];
    let plan = restorer.plan(&jobs, 1_800_000_000_000)?;
    ensure!(plan.refused.is_empty(), "{:?}", plan.refused);
    restorer.make_topics(&jobs, &plan)?;
    let outcomes = runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(64);
        let listen = tokio::spawn(async move { told.recv().await });
        let outcomes = restorer.run(&jobs, tell).await;
        ensure!(listen.await?.is_none(), "something was left out");
        anyhow::Ok(outcomes)
    })?;
    let rate = show("restore", objects, began);
    ensure!(outcomes[0].restored == objects as u64, "{:?}", outcomes[0]);
    Ok(rate)
}

fn show(what: &str, objects: usize, began: Instant) -> f64 {
    let seconds = began.elapsed().as_secs_f64();
    let rate = objects as f64 / seconds;
    eprintln!("{what:>16} {objects:>10} {seconds:>8.2} {rate:>12.0}");
    rate
}

/// The largest resident set that this process had, bytes.
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("no VmHWM")?.trim().parse()?;
    Ok(kib * 1024)
}
