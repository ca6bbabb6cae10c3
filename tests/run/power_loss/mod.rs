//! A power cut costs no message on the embedded backends: what Kafka was told
//! is archived is on the disk, and the next run does the rest.
//!
//! A run is traced by strace, and disks are made as they may be after a cut at
//! any moment of it: without all that was not synced until then, with names
//! whose bytes are lost, or with any part of what was not synced.

mod disk;
mod trace;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use archive_ingest::record::Record;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::disk::{Disk, Loss};
use self::trace::Step;
use crate::support::broker::Group;
use crate::support::compare::{assert_each_once, assert_no_orphan};
use crate::support::records::crowded;
use crate::support::skip::service;
use crate::support::{Broker, Place, Process};

const PARTITIONS: i32 = 3;
const RECORDS: usize = 600;

/// They come in so many parts, each once the one before is committed.
const PARTS: usize = 3;

/// Cuts at random moments, beside those at which offsets were committed.
const CUTS: usize = 20;

/// After each so many of all cuts the archiver runs again.
const RUNS_AFTER: usize = 9;

/// What a group had committed at a moment, or earlier.
struct Committed {
    /// Seconds since 1970-01-01 UTC.
    at: f64,
    offsets: Vec<Option<i64>>,
}

struct Traced {
    topic: String,
    records: Vec<Record>,
    retries: usize,
    steps: Vec<Step>,
    commits: Vec<Committed>,
    place: Place,
}

#[test]
fn a_power_cut_at_any_moment_of_a_run_costs_no_message() {
    let (Some(broker), Some(strace)) = (Broker::connect(), service("TEST_STRACE")) else {
        return;
    };
    let Some(traced) = Traced::run(&broker, &strace) else {
        return;
    };
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut disk = Disk::below(&traced.place.path(""));
    let cuts = traced.cuts(&mut chance);
    let mut number = 0;
    for (taken, step) in traced.steps.iter().enumerate() {
        disk.take(step);
        if !cuts.contains(&taken) {
            continue;
        }
        for mut loss in losses(&mut chance) {
            number += 1;
            let Some(place) = Place::local(&broker) else {
                return;
            };
            disk.after_power_cut(&mut loss, &place.path(""));
            let cut = Cut {
                place,
                committed: traced.committed_after(taken),
                number,
            };
            cut.assert_keeps_what_was_committed(&traced);
            if number % RUNS_AFTER == 0 {
                cut.assert_next_run_finishes(&traced, &broker);
            }
        }
    }
    let commits = traced.commits.len();
    eprintln!("{number} power cuts; the offsets moved {commits} times");
    assert!(commits > PARTS, "offsets were not seen to be committed");
}

fn losses(chance: &mut StdRng) -> [Loss; 3] {
    let part = StdRng::seed_from_u64(chance.random());
    [Loss::Everything, Loss::Bytes, Loss::Part(Box::new(part))]
}

impl Traced {
    fn run(broker: &Broker, strace: &str) -> Option<Self> {
        let topic = broker.create("power", PARTITIONS);
        let (records, retries) = crowded(&topic, PARTITIONS, RECORDS);
        let mut place = Place::local(broker)?;
        place.set("archive", "archive-batch-records", "20");
        place.set("archive", "archive-put-concurrency", "2");
        let log = tempfile::NamedTempFile::new().expect("a file of ours");
        let command = place.command(&["run", "--max-messages", &RECORDS.to_string()]);
        let process = Process::start(trace::traced(strace, &command, log.path()));
        let has_ended = AtomicBool::new(false);
        let commits = std::thread::scope(|scope| {
            let watch = || watch(broker, &topic, &has_ended);
            let watching = scope.spawn(watch);
            let group = broker.group(&broker.name("group"), &topic, PARTITIONS);
            for (number, part) in records.chunks(RECORDS / PARTS).enumerate() {
                broker.send(part);
                wait_for_commit(&group, (number + 1) * part.len());
            }
            let ended = process.ended();
            has_ended.store(true, Ordering::Relaxed);
            let commits = watching.join().expect("it only asks");
            ended.clean();
            commits
        });
        let mut steps = trace::read(log.path());
        steps.retain(|step| step.is_below(&place.path("")));
        Some(Self {
            steps,
            topic,
            records,
            retries,
            commits,
            place,
        })
    }

    /// Numbers of steps: those at which offsets were seen to be committed, and
    /// some at random.
    fn cuts(&self, chance: &mut StdRng) -> BTreeSet<usize> {
        let seen = self.commits.iter().map(|commit| {
            let after = self.steps.partition_point(|step| step.at < commit.at);
            after.saturating_sub(1)
        });
        let mut cuts: BTreeSet<usize> = seen.collect();
        cuts.extend((0..CUTS).map(|_| chance.random_range(0..self.steps.len())));
        cuts
    }

    /// What the group is known to have committed while the disk was as this step
    /// has left it.
    fn committed_after(&self, step: usize) -> Vec<Option<i64>> {
        let until = self.steps.get(step + 1).map_or(f64::MAX, |next| next.at);
        let known = self.commits.iter().rev().find(|commit| commit.at <= until);
        known.map_or(vec![None; PARTITIONS as usize], |known| {
            known.offsets.clone()
        })
    }
}

/// Waits until the offsets of so many records are committed.
fn wait_for_commit(group: &Group, records: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let committed: i64 = group.offsets().into_iter().flatten().sum();
        if committed as usize >= records {
            return;
        }
        assert!(Instant::now() < deadline, "{committed} of {records}");
    }
}

/// Asks for the group's offsets until the run has ended, and gives each change.
fn watch(broker: &Broker, topic: &str, has_ended: &AtomicBool) -> Vec<Committed> {
    let mut changes: Vec<Committed> = vec![];
    let group = broker.group(&broker.name("group"), topic, PARTITIONS);
    let deadline = Instant::now() + Duration::from_secs(120);
    while !has_ended.load(Ordering::Relaxed) && Instant::now() < deadline {
        let offsets = group.offsets();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = now.expect("after 1970").as_secs_f64();
        if changes.last().is_none_or(|last| last.offsets != offsets) {
            changes.push(Committed { at, offsets });
        }
    }
    changes
}

/// A disk after a power cut.
struct Cut {
    place: Place,
    committed: Vec<Option<i64>>,
    number: usize,
}

impl Cut {
    /// Every row's object is whole, and every record below the group's offsets
    /// has its row, or is remembered as a retry.
    fn assert_keeps_what_was_committed(&self, traced: &Traced) {
        let catalogue = self.place.catalogue();
        catalogue.migrate().expect("a sound file, or none yet");
        // Panics where a row's object is missing, or is no message.
        let archived = self.place.archived();
        for message in &archived {
            let found = crc32fast::hash(&message.body);
            assert_eq!(found, message.row.crc32, "cut {}", self.number);
        }
        let mut kept: BTreeSet<(i32, i64)> = archived
            .iter()
            .map(|message| (message.record.partition, message.record.offset))
            .collect();
        for partition in 0..PARTITIONS {
            let retries = catalogue.retries(&traced.topic, partition, 0..i64::MAX);
            let retries = retries.expect("a readable catalogue");
            kept.extend(retries.iter().map(|retry| (partition, retry.offset)));
        }
        for (partition, end) in (0..).zip(&self.committed) {
            for offset in 0..end.unwrap_or(0) {
                assert!(
                    kept.contains(&(partition, offset)),
                    "cut {}: partition {partition} offset {offset} is lost, committed: {:?}",
                    self.number,
                    self.committed
                );
            }
        }
        if !self.place.path("archive/store/archive").exists() {
            return;
        }
        // A cut before the first row leaves nothing to check.
        self.place
            .run(&["verify", "--deep", "--allow-empty"])
            .clean();
    }

    /// With the group's offsets as they were at the moment of the cut.
    fn assert_next_run_finishes(mut self, traced: &Traced, broker: &Broker) {
        let group = broker.name(&format!("after-cut-{}", self.number));
        broker
            .group(&group, &traced.topic, PARTITIONS)
            .commit(&self.committed);
        self.place
            .set("hop", "hop-groupname", &format!("{group:?}"));
        self.place.run_to_end();
        let archived = self.place.archived();
        let catalogue = self.place.catalogue();
        assert_each_once(&traced.records, traced.retries, &archived, &*catalogue);
        assert_no_orphan(&archived, &self.place.object_keys());
        self.place.run(&["verify", "--deep"]).clean();
    }
}
