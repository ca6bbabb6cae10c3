//! The group's offsets, as other tools see and set them.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::broker::plain_records;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Broker, Place};

const PATIENCE: Duration = Duration::from_secs(30);

/// The group of [`Place::real`], from outside.
pub struct Group(BaseConsumer);

impl Group {
    pub fn of(broker: &Broker) -> Self {
        let client = ClientConfig::new()
            .set("bootstrap.servers", &broker.address)
            .set("group.id", broker.name("group"))
            .create()
            .expect("a sound configuration");
        Self(client)
    }

    /// What it has committed for each partition of a topic.
    pub fn committed(&self, topic: &str, partitions: i32) -> TopicPartitionList {
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions {
            asked.add_partition(topic, partition);
        }
        let committed = self.0.committed_offsets(asked, PATIENCE);
        committed.expect("an answer")
    }

    /// Sets it there; nobody may be in it.
    pub fn commit(&self, offsets: &TopicPartitionList) {
        let committed = self.0.commit(offsets, CommitMode::Sync);
        committed.expect("an empty group takes offsets of anybody");
    }

    /// Sets all partitions of a topic to the offset 0, and says no more of it.
    pub fn reset(&self, topic: &str, partitions: i32) {
        let mut start = TopicPartitionList::new();
        for partition in 0..partitions {
            start
                .add_partition_offset(topic, partition, Offset::Offset(0))
                .expect("an offset");
        }
        self.commit(&start);
    }

    /// Waits until it has committed this offset.
    pub fn wait_for(&self, topic: &str, partition: i32, offset: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let committed = self.committed(topic, partition + 1);
            let found = committed.elements()[partition as usize].offset();
            if found == Offset::Offset(offset) {
                return;
            }
            assert!(Instant::now() < deadline, "{found:?}, never {offset}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_group_that_is_set_back_to_the_beginning_archives_nothing_twice() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("again", 3);
    let mut records = plain_records(&topic, 3, 300);
    let later = records.split_off(240);
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, 240);
    Group::of(&broker).reset(&topic, 3);
    broker.send(&later);
    let second = place.run_to_end();
    assert_eq!((second.archived, second.duplicates), (60, 240));
    records.extend(later);
    let archived = place.archived();
    assert_exactly(&records, &archived);
    assert_no_orphan(&archived, &place.object_keys());
}
