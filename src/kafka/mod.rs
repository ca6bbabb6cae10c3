//! Kafka: the connection, the consumer, the producer, questions about topics
//! and offsets, and the broker inside this process.

mod admin;
mod client;
mod consumer;
mod headers;
mod known_data;
mod mock;
mod producer;

pub use admin::{Admin, PartitionOffsets, TopicInfo};
pub use client::{Cluster, KafkaFailure};
pub use consumer::{ConsumerEvents, Polled, RecordConsumer, TopicPartition};
pub use known_data::{HEARTBEAT_TOPIC, known_records};
pub use producer::RecordProducer;
