//! The end of a topic's log, as whoever reads committed data sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};

use super::admin::{all_offsets_at, partition_list};
use super::client::{Cluster, Complaints, KafkaFailure, REQUEST_TIMEOUT, failure};
use super::message::MessageReader;
use super::partition::{Offsets, TopicPartition};
use crate::record::Record;

/// An open transaction of somebody else hides what is after it. One whose
/// producer died is aborted by the broker after its time-out, a minute.
const OPEN_TRANSACTIONS: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How far back it is looked for a last record at first; each time 16 times
/// as far.
const FIRST_STEP: i64 = 4;

/// Where a partition begins and ends: [start, end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub start: i64,
    pub end: i64,
}

/// Reads ends of logs, one at a time. Its calls block.
pub struct TailReader {
    committed: Mutex<BaseConsumer<Complaints>>,
    uncommitted: BaseConsumer<Complaints>,
    complaints: Complaints,
    messages: MessageReader,
    cluster: String,
}

impl TailReader {
    pub fn open(cluster: &Cluster) -> Result<Self, KafkaFailure> {
        let complaints = Complaints::default();
        let consumer = |isolation: &str| {
            let mut config = cluster.client_config();
            config
                .set("group.id", "archive_ingest")
                .set("enable.auto.commit", "false")
                .set("enable.partition.eof", "true")
                .set("isolation.level", isolation)
                .set("auto.offset.reset", "error")
                .set("fetch.wait.max.ms", "10")
                .set("queued.max.messages.kbytes", "2048")
                .set("fetch.max.bytes", "2097152")
                .set("message.max.bytes", "1000000");
            config
                .create_with_context(complaints.clone())
                .map_err(|error| cluster.failure(error))
        };
        Ok(Self {
            committed: Mutex::new(consumer("read_committed")?),
            uncommitted: consumer("read_uncommitted")?,
            cluster: cluster.name().to_owned(),
            messages: MessageReader::new(cluster),
            complaints,
        })
    }

    /// The topic's partitions; `None` where there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, KafkaFailure> {
        let metadata = self
            .uncommitted
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| self.explain(error))?;
        let Some(described) = metadata.topics().iter().find(|t| t.name() == topic) else {
            return Ok(None);
        };
        match described.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(
                described.partitions().iter().map(|p| p.id()).collect(),
            )),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => Err(self.explain(KafkaError::MetadataFetch(code))),
        }
    }

    /// Where each partition begins and ends once no transaction is open in it:
    /// the end is the end of the log, not only of what is committed yet. Waits
    /// up to 90 s for open transactions.
    pub fn settled(
        &self,
        topic: &str,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, Extent>, KafkaFailure> {
        let of_topic: Vec<TopicPartition> = partitions
            .iter()
            .map(|partition| TopicPartition::new(topic, *partition))
            .collect();
        let committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ask = |consumer, place| {
            all_offsets_at(consumer, &of_topic, place).map_err(|error| self.explain(error))
        };
        let ends = ask(&self.uncommitted, Offset::End)?;
        let deadline = Instant::now() + OPEN_TRANSACTIONS;
        loop {
            let stable = ask(&committed, Offset::End)?;
            if ends.iter().all(|(of, end)| stable.get(of) >= Some(end)) {
                break;
            }
            if Instant::now() > deadline {
                return Err(self.hidden(topic));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        let starts = ask(&self.uncommitted, Offset::Beginning)?;
        Ok(extents(&starts, &ends))
    }

    fn hidden(&self, topic: &str) -> KafkaFailure {
        KafkaFailure::Unavailable {
            cluster: self.cluster.clone(),
            cause: format!(
                "topic {topic} has had an open transaction for {} s, which hides its end: find whose it is (kafka-transactions.sh find-hanging)",
                OPEN_TRANSACTIONS.as_secs()
            ),
        }
    }

    /// The committed records of a partition from an offset on to `extent.end`,
    /// in order.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        extent: Extent,
        receive: &mut dyn FnMut(Record),
    ) -> Result<(), KafkaFailure> {
        let from = from.max(extent.start);
        if from >= extent.end {
            return Ok(());
        }
        let consumer = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let partition = TopicPartition::new(topic, partition);
        let list = partition_list([(&partition, Offset::Offset(from))].into_iter());
        let assigned = list.and_then(|list| consumer.assign(&list));
        let read = assigned
            .map_err(|error| self.explain(error))
            .and_then(|()| self.poll_to(&consumer, &partition, extent.end, receive));
        let left = consumer.assign(&TopicPartitionList::new());
        read.and(left.map_err(|error| self.explain(error)))
    }

    /// Until the end, which may be a mark that no record stands for.
    fn poll_to(
        &self,
        consumer: &BaseConsumer<Complaints>,
        partition: &TopicPartition,
        end: i64,
        receive: &mut dyn FnMut(Record),
    ) -> Result<(), KafkaFailure> {
        let mut heard = Instant::now();
        while heard.elapsed() < REQUEST_TIMEOUT {
            match consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if is_passing(&error) => continue,
                Some(Err(error)) => return Err(self.explain(error)),
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < end
                        && let Some(record) =
                            self.messages.read(&message, partition.topic.clone())?
                    {
                        receive(record);
                    }
                    if offset >= end - 1 {
                        return Ok(());
                    }
                }
            }
            heard = Instant::now();
        }
        let timed_out = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        Err(self.explain(timed_out))
    }

    /// The last committed record of a partition, if it has any.
    pub fn last(
        &self,
        topic: &str,
        partition: i32,
        extent: Extent,
    ) -> Result<Option<Record>, KafkaFailure> {
        let mut last = None;
        let mut step = FIRST_STEP;
        loop {
            let from = extent.end.saturating_sub(step).max(extent.start);
            self.read(topic, partition, from, extent, &mut |record| {
                last = Some(record)
            })?;
            if last.is_some() || from == extent.start {
                return Ok(last);
            }
            step = step.saturating_mul(16);
        }
    }

    fn explain(&self, error: KafkaError) -> KafkaFailure {
        self.complaints
            .refusal(&self.cluster)
            .unwrap_or_else(|| failure(&self.cluster, &error, None))
    }
}

fn extents(starts: &Offsets, ends: &Offsets) -> BTreeMap<i32, Extent> {
    let extent = |(of, end): (&TopicPartition, &i64)| {
        let start = *starts.get(of)?;
        Some((of.partition, Extent { start, end: *end }))
    };
    ends.iter().filter_map(extent).collect()
}

/// The client goes on by itself after these.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::NotLeaderForPartition
        )
    )
}
