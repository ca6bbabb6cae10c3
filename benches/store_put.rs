//! How many objects a second `S3Store::put_new` stores with nothing else to
//! do: the rate that the archiver is measured against.
//!
//! ```text
//! TEST_S3_ENDPOINT=http://127.0.0.1:9000 TEST_S3_BUCKET=archive \
//! TEST_S3_ACCESS_KEY=… TEST_S3_SECRET_KEY=… cargo bench --bench store_put
//! ```
//!
//! - `BENCH_OBJECTS`: objects stored at each concurrency. Default 20000.
//! - `BENCH_SIZE`: bytes of each. Default 1500.
//! - `BENCH_CONCURRENCY`: PUTs at once, comma-separated. Default `16,64,128`.
//! - `BENCH_WORKERS`: threads of the runtime. Default: as many as processors.
//!
//! Objects go under `bench-<random>/` and stay there. A table goes to stderr,
//! one JSON document to stdout.

mod common;

use std::time::Instant;

use anyhow::{Result, ensure};
use archive_ingest::store::{Put, S3Store, Store};
use common::{bucket, concurrencies, parameter};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

/// PUTs before the first measurement: connections are made, caches are warm.
const WARM_UP: usize = 500;

fn main() -> Result<()> {
    let objects: usize = parameter("BENCH_OBJECTS", 20_000)?;
    let size: usize = parameter("BENCH_SIZE", 1_500)?;
    let workers = parameter("BENCH_WORKERS", std::thread::available_parallelism()?.get())?;
    let store = S3Store::open(&bucket()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        store.check().await?;
        run(&store, WARM_UP, size, 64).await?;
        eprintln!(
            "{:>8} {:>10} {:>10} {:>12}",
            "at once", "objects", "s", "objects/s"
        );
        let mut results = Vec::new();
        for at_once in concurrencies("16,64,128")? {
            results.push(measure(&store, objects, size, at_once).await?);
        }
        println!("{}", report(&store, size, workers, results));
        Ok(())
    })
}

fn report(store: &S3Store, size: usize, workers: usize, results: Vec<Value>) -> Value {
    json!({
        "bench": "store_put",
        "store": store.name(),
        "size_bytes": size,
        "workers": workers,
        "results": results,
    })
}

async fn measure(store: &S3Store, objects: usize, size: usize, at_once: usize) -> Result<Value> {
    let begun = Instant::now();
    run(store, objects, size, at_once).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = objects as f64 / seconds;
    eprintln!("{at_once:>8} {objects:>10} {seconds:>10.2} {rate:>12.0}");
    Ok(json!({
        "at_once": at_once,
        "objects": objects,
        "seconds": seconds,
        "objects_per_second": rate,
    }))
}

/// Stores new objects, each of other bytes, in keys as the archiver makes them.
async fn run(store: &S3Store, objects: usize, size: usize, at_once: usize) -> Result<()> {
    let prefix = format!("bench-{:08x}", rand::random::<u32>());
    stream::iter(0..objects)
        .map(Ok)
        .try_for_each_concurrent(at_once, |number| {
            let key = format!("{prefix}/2024/1/{}/{number:032x}.bson", number % 28 + 1);
            async move {
                let mut body = vec![b'x'; size];
                let seal = number.to_be_bytes();
                let end = size.min(seal.len());
                body[..end].copy_from_slice(&seal[..end]);
                let put = store.put_new(&key, body).await?;
                ensure!(put == Put::Stored, "{key} was there before");
                Ok(())
            }
        })
        .await
}
