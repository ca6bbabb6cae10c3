//! The cluster that is restored to goes away, and comes back.

use super::{assert_same_stream, real, wait_for_records};
use crate::support::broker::plain_records;
use crate::support::{Broker, OwnKafka};

#[test]
fn a_cluster_that_dies_and_comes_back_during_a_restore_has_each_record_once() {
    let (Some((broker, mut place)), Some(mut kafka)) = (real(), OwnKafka::start(1)) else {
        return;
    };
    let topic = broker.create("away", 2);
    let records = plain_records(&topic, 2, 600);
    broker.send(&records);
    place.run_to_end();

    let new = Broker::at(&kafka.address);
    place.set("hop", "hop-hostname", &format!("{:?}", kafka.address));
    let target = broker.foreign_name("away-restored");
    let options = ["--topic", &*topic, "--to", &target, "--create-topics"];
    // Twelve seconds, so that the cluster is missed.
    let slow = [&["restore", "--json"], &options[..], &["--rate", "50/s"]].concat();
    let process = place.start(&slow);
    process.wait_for("restoring");
    wait_for_records(&new, &target, &process);
    kafka.kill(0);
    kafka.begin(0);
    kafka.wait_for_nodes(1);
    let ended = process.ended();
    assert_eq!(ended.code, Some(0), "{ended}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a report");
    assert_eq!(report["restored"], records.len());
    assert_same_stream(&records, &new.committed(&target));
}
