//! Whatever writers do within the condition, reading up to the bound, page after
//! page, finds every entity once and none too late.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use archive_ingest::entities::{self, EntitySource, Position};
use archive_ingest::shutdown;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::kernel::{Kernel, Stranger, Type, WINDOW, random_uuid, row_now, stamp};

const LASTING: Duration = Duration::from_secs(10);

/// Stamps up to the window before its transaction begins, writes, and commits
/// at once or after a while, or not at all.
fn write(kernel: &Kernel, of: &[Type], seed: u64, end: Instant) -> Vec<Uuid> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut application = kernel.application();
    let mut committed = Vec::new();
    let pause = |random: &mut StdRng, most: u64| {
        thread::sleep(Duration::from_millis(random.random_range(0..=most)));
    };
    while Instant::now() < end {
        let rows: Vec<_> = (0..random.random_range(1..4))
            .map(|_| (random.random_range(0..of.len()), row_now(Duration::ZERO)))
            .collect();
        let window = u64::try_from(WINDOW.as_millis()).unwrap();
        let stamped = Instant::now();
        pause(&mut random, window - 20);
        application.begin();
        if stamped.elapsed() > WINDOW {
            // The machine was slow: this one would break the condition.
            application.execute("ROLLBACK");
            continue;
        }
        let is_long = kernel.is_postgres() && random.random_bool(0.05);
        if is_long {
            pause(&mut random, 1500);
        }
        for (of_type, row) in &rows {
            application.insert(&of[*of_type], row);
        }
        if kernel.is_postgres() {
            pause(&mut random, if is_long { 1500 } else { 100 });
        }
        if random.random_bool(0.1) {
            application.execute("ROLLBACK");
        } else {
            application.commit();
            committed.extend(rows.iter().map(|(_, row)| row.id));
        }
    }
    committed
}

/// Reads as a producer does, until it has read up to a bound that was taken
/// after `done` was set.
fn follow(source: &dyn EntitySource, of: &Type, done: &AtomicBool) -> Vec<Uuid> {
    let mut read = Vec::new();
    let mut after = Position::start();
    let mut last_round = None;
    loop {
        let is_done = done.load(Ordering::SeqCst);
        let bound = source.bound().unwrap();
        loop {
            let page = source.page(&of.id, &after, &bound, 7, 1 << 20).unwrap();
            for entity in &page.entities {
                assert!(
                    entity.modified > after,
                    "{} comes too late",
                    entity.modified
                );
                assert!(entity.modified < bound.below);
                after = entity.modified.clone();
                read.push(entity.id);
            }
            if !page.more {
                after = after.max(bound.below.clone());
                break;
            }
        }
        if is_done {
            let end = last_round.get_or_insert_with(|| stamp(Duration::ZERO));
            if bound.below.as_str() > end.as_str() {
                return read;
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn nothing_is_missed(kernel: &Kernel, source: &dyn EntitySource, writers: u64, seed: u64) {
    let schema = random_uuid();
    // Two realms share a schema.
    let types = [
        kernel.register("r1", schema, "Person"),
        kernel.register("r2", schema, "Person"),
    ];
    let done = AtomicBool::new(false);
    let end = Instant::now() + LASTING;
    let (mut committed, mut read) = thread::scope(|scope| {
        let writers: Vec<_> = (0..writers)
            .map(|n| {
                let types = &types;
                scope.spawn(move || write(kernel, types, seed + n, end))
            })
            .collect();
        let followers: Vec<_> = types
            .iter()
            .map(|of| {
                let done = &done;
                scope.spawn(move || follow(source, of, done))
            })
            .collect();
        let committed: Vec<_> = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        done.store(true, Ordering::SeqCst);
        let read: Vec<_> = followers
            .into_iter()
            .flat_map(|follower| follower.join().unwrap())
            .collect();
        (committed, read)
    });
    assert!(committed.len() > 20, "{} written", committed.len());
    let unique: HashSet<_> = read.iter().collect();
    assert_eq!(unique.len(), read.len(), "something was read twice");
    committed.sort();
    read.sort();
    assert_eq!(read, committed, "seed {seed}");
}

#[test]
fn with_transactions_of_any_length_nothing_is_missed() {
    if let Some(kernel) = Kernel::postgres() {
        nothing_is_missed(&kernel, &*kernel.source, 8, rand::random::<u64>() >> 1);
    }
}

#[test]
fn nothing_is_missed_where_a_language_orders_positions() {
    if let Some(kernel) = Kernel::postgres_of_a_language() {
        nothing_is_missed(&kernel, &*kernel.source, 6, rand::random::<u64>() >> 1);
    }
}

#[test]
fn nothing_is_missed_without_the_privilege_to_see_when_transactions_began() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    if let Some(stranger) = Stranger::of(&kernel) {
        let source = stranger.open(&kernel);
        nothing_is_missed(&kernel, &*source, 4, rand::random::<u64>() >> 1);
    }
}

#[test]
fn nothing_is_missed_on_the_demo_kernel_beside_its_own_writer() {
    let kernel = Kernel::demo();
    let (_trigger, shutdown) = shutdown::signal();
    let _writer = entities::start_demo(&kernel.config, shutdown).unwrap();
    nothing_is_missed(&kernel, &*kernel.source, 3, rand::random::<u64>() >> 1);
}
