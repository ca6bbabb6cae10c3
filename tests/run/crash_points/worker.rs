//! The archiver as `run` starts it, in a process that ends at a point.

use std::sync::Arc;
use std::time::{Duration, Instant};

use archive_ingest::archive::{Archiver, Bounds};
use archive_ingest::catalogue;
use archive_ingest::config::{Config, GroupName};
use archive_ingest::kafka::{Admin, Cluster, Offsets, TopicPartition};
use archive_ingest::shutdown;
use archive_ingest::store;

use super::dying::{DyingCatalogue, DyingStore, Fuse, end};
use super::point::{Effect, Point};
use crate::support::Place;
use crate::support::place::config_of_environment;
use crate::support::program::{Ended, Process};

/// Tells the process where it ends.
const POINT: &str = "CRASH_POINT";

/// Runs the archiver in `place` until its process ends at `point`.
#[track_caller]
pub fn crash(place: &Place, point: Point) {
    let mut command = place.again("crash_points::worker::the_process_that_ends_at_a_point");
    command.env(POINT, point.to_string());
    let ended: Ended = Process::start(command).ended();
    let signal = ended.code.is_none();
    assert!(signal, "it never came to {point}: {ended}");
}

/// Nothing, unless [`crash`] has started this executable.
#[test]
fn the_process_that_ends_at_a_point() {
    let Ok(point) = std::env::var(POINT) else {
        return;
    };
    let point: Point = point.parse().expect("a point");
    let config = config_of_environment();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_trigger, shutdown) = shutdown::signal();
    let (archiver, cluster) = archiver(&config, point);
    let ran = runtime.block_on(archiver.run(&cluster, shutdown));
    let complete = ran.expect("it works until it ends").complete;
    println!("the end was reached before {point}; all archived: {complete}");
}

fn archiver(config: &Config, point: Point) -> (Archiver, Arc<Cluster>) {
    let hop = config.hop().expect("sound");
    let archive = config.archive().expect("sound");
    let GroupName::Named(group) = hop.group.clone() else {
        panic!("a group of that name goes on where it was");
    };
    let cluster = Arc::new(Cluster::open(&hop).expect("a cluster"));
    let fuse = Fuse::new(point);
    let catalogue = DyingCatalogue {
        inner: catalogue::open(&config.database().expect("sound")).expect("a catalogue"),
        fuse: fuse.clone(),
        before_rows: before_rows(fuse.clone(), cluster.clone(), group.clone()),
    };
    catalogue.inner.migrate().expect("a schema");
    let store = DyingStore {
        inner: store::open(&config.store().expect("sound")).expect("a store"),
        fuse,
    };
    let archiver = Archiver {
        catalogue: Arc::new(catalogue),
        store: Arc::new(store),
        topics: hop.topics.clone(),
        topic_refresh: hop.topic_refresh,
        group,
        bounds: Bounds {
            until_eos: true,
            max_messages: None,
            rest_after: None,
            drain: archive.shutdown,
        },
        config: archive,
        progress: Arc::default(),
    };
    (archiver, cluster)
}

/// Offsets are committed by Kafka's client: the process ends once the group's
/// have moved, while the rows of a later batch are still to be added.
fn before_rows(
    fuse: Arc<Fuse>,
    cluster: Arc<Cluster>,
    group: String,
) -> Box<dyn Fn() + Send + Sync> {
    let committed = move || -> Offsets {
        let admin = Admin::open(&cluster, &group).expect("a client");
        let topics = admin.topics().expect("topics");
        let partitions: Vec<TopicPartition> = topics
            .iter()
            .flat_map(|topic| {
                let of = |&p: &i32| TopicPartition::new(&topic.name, p);
                topic.partitions.iter().map(of)
            })
            .collect();
        admin.committed(&partitions).expect("offsets")
    };
    let at_start = committed();
    Box::new(move || {
        if !fuse.comes(Effect::Commit) {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while committed() == at_start {
            assert!(Instant::now() < deadline, "nothing was ever committed");
        }
        end();
    })
}
