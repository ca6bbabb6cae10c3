//! What a topic is set to, asked and given.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::executor::block_on;
use rdkafka::admin::{NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::{LOOK_AGAIN, PATIENCE, TopicAdmin, options};
use crate::kafka::client::KafkaFailure;

/// A topic as the brokers have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    pub partitions: i32,
    /// What holds for it, the brokers' defaults included.
    pub values: BTreeMap<String, String>,
}

impl TopicSettings {
    /// A setting that is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.values.get(name)?.parse().ok()
    }
}

impl TopicAdmin {
    /// What these topics are set to, those that exist. Blocks.
    pub fn settings(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, TopicSettings>, KafkaFailure> {
        // Of all topics: asking for one by name keeps it in the client's own list.
        let metadata = self.admin.inner().fetch_metadata(None, PATIENCE);
        let metadata = metadata.map_err(|error| self.cluster.failure(error))?;
        let known = metadata.topics().iter();
        let partitions: BTreeMap<&str, i32> = known
            .filter(|topic| topics.contains(&topic.name()))
            .map(|topic| (topic.name(), count(topic.partitions().len())))
            .collect();
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked: Vec<_> = partitions
            .keys()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let answer = block_on(self.admin.describe_configs(&asked, &options()))
            .map_err(|error| self.cluster.failure(error))?;
        let mut settings = BTreeMap::new();
        for described in answer {
            let described = match described {
                // Gone, or not yet known to the broker that was asked.
                Err(RDKafkaErrorCode::UnknownTopicOrPartition) => continue,
                Err(code) => {
                    return Err(self.refused(code, "the settings of topics cannot be read"));
                }
                Ok(described) => described,
            };
            let OwnedResourceSpecifier::Topic(name) = described.specifier else {
                continue;
            };
            let values = described.entries.into_iter();
            let of_topic = TopicSettings {
                partitions: partitions.get(&*name).copied().unwrap_or_default(),
                values: values
                    .filter_map(|entry| Some((entry.name, entry.value?)))
                    .collect(),
            };
            settings.insert(name, of_topic);
        }
        Ok(settings)
    }

    /// Brokers hear of a new topic one after the other.
    fn wait_until_known(&self, topic: &str) -> Result<(), KafkaFailure> {
        let deadline = Instant::now() + PATIENCE;
        while self.settings(&[topic])?.is_empty() {
            if Instant::now() > deadline {
                return Err(self.refused(
                    RDKafkaErrorCode::OperationTimedOut,
                    &format!("topic {topic} was made and is still not known"),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Makes a topic with as many replicas as the brokers make by default, and
    /// returns when it is known. Whether it was made: not where there is one of that name.
    pub fn make(
        &self,
        topic: &str,
        partitions: i32,
        settings: &BTreeMap<String, String>,
    ) -> Result<bool, KafkaFailure> {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let answer = block_on(self.admin.create_topics([&new], &options()))
            .map_err(|error| self.cluster.failure(error))?;
        match answer.into_iter().next() {
            None | Some(Ok(_)) => self.wait_until_known(topic).map(|()| true),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(self.refused(
                code,
                &format!("topic {topic} cannot be made with {partitions} partitions"),
            )),
        }
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
