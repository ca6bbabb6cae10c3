//! A store or a database that misbehaves while `run` works: nothing is lost,
//! nothing is archived twice, and the user is told once.

mod away;
mod credentials;
mod database;
mod full_disk;
mod refused;
mod stopping;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive_ingest::record::Record;

use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::program::Ended;
use crate::support::{Broker, Place, Process};

/// A Kafka, and a place whose services are real.
fn services() -> Option<(Broker, Place)> {
    let broker = Broker::connect()?;
    let place = Place::real(&broker)?;
    Some((broker, place))
}

/// Ends a run that has archived everything; how it ended.
#[track_caller]
fn finish(place: &Place, process: Process, records: &[Record]) -> Ended {
    place.wait_for_rows(records.len() as u64);
    process.signal("TERM");
    let ended = process.ended().clean();
    assert_all_there(place, records);
    ended
}

#[track_caller]
fn assert_all_there(place: &Place, records: &[Record]) {
    let archived = place.archived();
    assert_exactly(records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}

/// One outage of `part` was told: when it began, and when it was over.
#[track_caller]
fn assert_told_once(ended: &Ended, part: &str) {
    let warnings = lines(&ended.stderr, "WARN");
    assert_eq!(warnings.len(), 1, "{ended}");
    assert!(
        warnings[0].contains("trying again until it works"),
        "{ended}"
    );
    let works = format!("the {part} works again after");
    assert_eq!(lines(&ended.stderr, &works).len(), 1, "{ended}");
}

fn lines<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(text)).collect()
}

/// Counts what it is asked to.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// The number of this one, from 1 on.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    #[track_caller]
    fn wait_for(&self, least: usize) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while self.count() < least {
            assert!(std::time::Instant::now() < deadline, "never {least}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
