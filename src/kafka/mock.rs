//! The broker inside this process: librdkafka's mock cluster, loaded with the
//! known test data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;

use super::client::{Cluster, KafkaFailure};
use super::known_data::known_records;
use super::producer::RecordProducer;

/// Lives as long as this value. The cluster's handle cannot leave the thread
/// that made it, so it has one of its own.
pub(super) struct MockBroker {
    bootstrap_servers: String,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MockBroker {
    /// Starts it with the topics of the known test data, still empty.
    pub(super) fn start() -> Result<Self, KafkaFailure> {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("mock-hop".into())
            .spawn(move || serve(&tell, &stopped))
            .map_err(failure)?;
        let bootstrap_servers = told.recv().map_err(failure)?.map_err(failure)?;
        Ok(Self {
            bootstrap_servers,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(super) fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}

impl Drop for MockBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by itself.
            let _ = thread.join();
        }
    }
}

fn serve(tell: &Sender<KafkaResult<String>>, stopped: &Receiver<()>) {
    match cluster_with_topics() {
        Err(error) => {
            // Nobody listens only when the starter is gone.
            let _ = tell.send(Err(error));
        }
        Ok(cluster) => {
            let _ = tell.send(Ok(cluster.bootstrap_servers()));
            // Returns with an error when the sender is dropped: that is the
            // signal.
            let _ = stopped.recv();
        }
    }
}

fn cluster_with_topics()
-> KafkaResult<MockCluster<'static, rdkafka::producer::DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    let mut partitions: BTreeMap<Arc<str>, i32> = BTreeMap::new();
    for record in known_records() {
        let count = partitions.entry(record.topic).or_default();
        *count = (*count).max(record.partition + 1);
    }
    for (topic, count) in partitions {
        cluster.create_topic(&topic, count, 1)?;
    }
    Ok(cluster)
}

/// Puts the known test data onto the mock broker.
pub(super) fn load(cluster: &Cluster) -> Result<(), KafkaFailure> {
    let producer = RecordProducer::open(cluster)?;
    for record in known_records() {
        producer.send(&record)?;
    }
    producer.flush(Duration::from_secs(20))
}

fn failure(cause: impl ToString) -> KafkaFailure {
    KafkaFailure::Unavailable {
        cluster: "mock-hop".into(),
        cause: format!(
            "the broker inside this process does not start: {}",
            cause.to_string()
        ),
    }
}
