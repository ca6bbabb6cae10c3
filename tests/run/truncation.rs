//! Logs that an unclean election truncated below what was archived of them.

use archive_ingest::record::Record;
use serde_json::Value;

use crate::support::broker::{plain_records, plain_records_from};
use crate::support::own_kafka::OwnKafka;
use crate::support::{Broker, Place};

/// Nodes by index; Kafka's ids are one more. Node 0 is the controller and holds
/// nothing of the topic.
const LEADER: usize = 1;
const FOLLOWER: usize = 2;

struct Scene {
    // Before the nodes, which it talks to.
    broker: Broker,
    place: Place,
    kafka: OwnKafka,
    topic: String,
    /// On both replicas.
    common: Vec<Record>,
    /// Only on the replica that was lost.
    lost: Vec<Record>,
}

/// Ten records are archived, of which the follower has five; the follower leads
/// now, without the others.
fn truncated() -> Option<Scene> {
    let mut kafka = OwnKafka::start(3)?;
    let broker = Broker::at(&kafka.address);
    let place = Place::local(&broker)?;
    let settings = [("unclean.leader.election.enable", "true")];
    let nodes = [LEADER as i32 + 1, FOLLOWER as i32 + 1];
    let topic = broker.create_on("truncated", &nodes, &settings);
    kafka.wait_for_leader(&topic, LEADER);
    let common = plain_records(&topic, 1, 5);
    broker.send(&common);
    kafka.stop(FOLLOWER);
    let lost = plain_records_from(&topic, 1, 5..10);
    broker.send(&lost);
    assert_eq!(place.run_to_end().archived, 10);
    kafka.stop(LEADER);
    kafka.begin(FOLLOWER);
    kafka.wait_for_leader(&topic, FOLLOWER);
    Some(Scene {
        broker,
        place,
        kafka,
        topic,
        common,
        lost,
    })
}

impl Scene {
    /// The new leader takes so many records; then the other node is back.
    fn refill(&mut self, count: usize) -> Vec<Record> {
        let mut new = plain_records_from(&self.topic, 1, 100..100 + count);
        for (index, record) in new.iter_mut().enumerate() {
            record.offset = 5 + index as i64;
        }
        self.broker.send(&new);
        self.kafka.begin(LEADER);
        self.kafka.wait_for_nodes(3);
        // It is the preferred leader.
        self.kafka.wait_for_leader(&self.topic, LEADER);
        new
    }

    /// The archive has both branches, and `verify` reports the lost one.
    fn assert_both_branches(&self, new: Vec<Record>) {
        let mut all = [&self.common[..], &self.lost, &new].concat();
        let by_time = |record: &Record| record.timestamp;
        all.sort_by_key(by_time);
        let archived = self.place.archived().into_iter();
        let mut archived: Vec<Record> = archived.map(|message| message.record).collect();
        archived.sort_by_key(by_time);
        assert_eq!(archived, all);
        let verified = self.place.run(&["verify", "--json"]);
        assert_eq!(verified.code, Some(1), "{verified}");
        let defects: Vec<Value> = verified
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
            .filter_map(|mut line| line.get_mut("defect").map(Value::take))
            .collect();
        let [gap] = &defects[..] else {
            panic!("one defect: {verified}");
        };
        assert_eq!(
            (&gap["kind"], &gap["reason"]),
            (&"gap".into(), &"truncated".into())
        );
        assert_eq!((&gap["from"], &gap["to"]), (&5.into(), &10.into()));
    }
}

#[test]
fn truncated_log_that_grew_past_the_position_is_read_again() {
    let Some(mut scene) = truncated() else {
        return;
    };
    let new = scene.refill(7);
    assert_eq!(scene.place.run_to_end().archived, 7);
    let again = scene.place.run_to_end();
    assert_eq!((again.archived, again.duplicates), (0, 0));
    scene.assert_both_branches(new);
}

#[test]
fn truncated_log_that_is_shorter_is_read_again_by_a_service_and_a_run() {
    let Some(mut scene) = truncated() else {
        return;
    };
    let new = scene.refill(3);
    let process = scene.place.start(&["run"]);
    scene.place.wait_for_rows(13);
    process.signal("TERM");
    process.ended().clean();
    scene.assert_both_branches(new);
    let again = scene.place.run_to_end();
    assert_eq!((again.archived, again.lost.len()), (0, 0));
}
