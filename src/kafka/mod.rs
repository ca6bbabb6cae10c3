//! Kafka: the connection, the consumer, the producer, questions about topics
//! and offsets, and the broker inside this process.

mod admin;
mod client;
mod commits;
mod consumer;
mod group_offset;
mod headers;
mod known_data;
mod message;
mod mock;
mod partition;
mod probe;
mod producer;
mod topic_id;

pub use admin::{Admin, PartitionOffsets, TopicInfo};
pub use client::{Cluster, KafkaFailure};
pub use commits::Committed;
pub use consumer::{ConsumerEvents, Polled, RecordConsumer};
pub use group_offset::{GroupOffset, GroupOffsets};
pub use known_data::{HEARTBEAT_TOPIC, known_records};
pub use partition::{Offsets, TopicPartition};
pub use producer::RecordProducer;
pub use topic_id::{TopicId, TopicIds};
