//! A disk that is full, until somebody frees space on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use archive_ingest::envelope;

use super::{assert_told_once, finish};
use crate::support::broker::{Access, plain_records};
use crate::support::skip;
use crate::support::{Broker, Place};

/// A small file system of its own, gone when this is dropped.
struct Disk {
    path: PathBuf,
    /// What has to go before as root, if anything.
    root: &'static [&'static str],
}

impl Disk {
    /// `None`, said loudly, where nobody may mount one.
    fn mount(path: PathBuf, bytes: usize) -> Option<Self> {
        std::fs::create_dir(&path).expect("a folder of ours");
        let size = format!("size={bytes},mode=0777");
        let arguments = ["mount", "-t", "tmpfs", "-o", &size, "tmpfs"];
        for root in [&[][..], &["sudo", "-n"]] {
            if run(root, &arguments, &path) {
                return Some(Self { path, root });
            }
        }
        skip::skipped("a tmpfs cannot be mounted here (it takes root, or sudo without a password)");
        None
    }

    /// Takes all but so many bytes.
    fn fill(&self, bytes: usize, left: usize) -> PathBuf {
        let ballast = self.path.join("ballast");
        std::fs::write(&ballast, vec![1; bytes - left]).expect("it fits");
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(
            run(self.root, &["umount", "--lazy"], &self.path) || std::thread::panicking(),
            "{} is still mounted",
            self.path.display()
        );
    }
}

fn run(before: &[&str], arguments: &[&str], path: &Path) -> bool {
    let words: Vec<&str> = before.iter().chain(arguments).copied().collect();
    Command::new(words[0])
        .args(&words[1..])
        .arg(path)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// On Kafka, with SQLite and a directory.
fn place(broker: &Broker) -> Option<Place> {
    let mut place = Place::embedded();
    place.use_kafka(broker, Access::Plaintext)?;
    Some(place)
}

/// Every file in the bucket is a whole document.
fn assert_nothing_half_written(place: &Place) {
    let bucket = place.path("disk/objects/archive");
    for key in place.object_keys() {
        let document = std::fs::read(bucket.join(&key)).expect("it was listed");
        assert!(envelope::decode(&document).is_ok(), "{key} is half written");
    }
}

#[test]
fn a_full_disk_below_the_store_is_told_by_name_and_waited_for_until_there_is_room() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = place(&broker) else {
        return;
    };
    const SIZE: usize = 16 << 20;
    let Some(disk) = Disk::mount(place.path("disk"), SIZE) else {
        return;
    };
    let ballast = disk.fill(SIZE, 2 << 20);
    place.set_path("store", "store-path", "disk/objects");
    let topic = broker.create("full", 2);
    let mut records = plain_records(&topic, 2, 60);
    for record in &mut records {
        record.value = Some(vec![record.offset as u8; 100_000]);
    }
    broker.send(&records);
    let process = place.start(&["run", "--json"]);
    process.wait_for("free some space");
    assert!(process.log().contains("disk/objects"), "{}", process.log());
    assert_nothing_half_written(&place);

    std::fs::remove_file(ballast).expect("a file of ours");
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "store");
    let unfinished = std::fs::read_dir(place.path("disk/objects/.unfinished"));
    assert_eq!(unfinished.expect("a folder").count(), 0);
    assert_eq!(ended.summary().archived, 60);
}

#[test]
fn a_full_disk_below_sqlite_is_told_by_name_and_waited_for_until_there_is_room() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = place(&broker) else {
        return;
    };
    const SIZE: usize = 64 << 20;
    let Some(disk) = Disk::mount(place.path("disk"), SIZE) else {
        return;
    };
    let ballast = disk.fill(SIZE, 2 << 20);
    place.set_path("db", "db-path", "disk/catalogue.sqlite");
    place.set("archive", "archive-batch-records", "100");
    let topic = broker.create("full", 2);
    let records = plain_records(&topic, 2, 1500);
    broker.send(&records);
    let process = place.start(&["run", "--json"]);
    process.wait_for("free some space");
    assert!(
        process.log().contains("disk/catalogue.sqlite"),
        "{}",
        process.log()
    );

    std::fs::remove_file(ballast).expect("a file of ours");
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "catalogue");
    assert_eq!(ended.summary().archived, 1500);
}
