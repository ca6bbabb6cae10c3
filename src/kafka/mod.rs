//! Kafka: the connection, consumers, producers with and without
//! transactions, topics and the ends of their logs, questions about offsets, and
//! the broker inside this process.

mod admin;
mod by_key;
mod client;
mod client_events;
mod commits;
mod consumer;
mod fetch_memory;
mod first_broker;
mod group_note;
mod group_offset;
mod headers;
mod inbox;
mod known_data;
mod leader_epochs;
mod log_start;
mod message;
mod mock;
mod outbox;
mod partition;
mod probe;
mod producer;
mod reader;
mod second_reader;
mod tail;
mod topic_id;
mod topics;
mod transactions;

pub use crate::record::TopicId;
pub use admin::{Admin, Group, PartitionOffsets, TopicInfo, Unanswered};
pub use by_key::partition_of_key;
pub use client::{Cluster, KafkaFailure};
pub use commits::Committed;
pub use consumer::{ConsumerEvents, Polled, RecordConsumer};
pub use group_note::GroupNote;
pub use group_offset::{GroupAnswer, GroupEpochs, GroupOffset, GroupOffsets};
pub use inbox::{Inbox, InboxConfig};
pub use known_data::{HEARTBEAT_TOPIC, known_records};
pub use outbox::{Letter, Outbox, SendFailure};
pub use partition::{Offsets, TopicPartition};
pub use producer::RecordProducer;
pub use reader::{Reading, RecordReader};
pub use second_reader::{EpochEnd, SecondReader};
pub use tail::{Extent, TailReader};
pub use topic_id::{TopicAnswers, TopicIds};
pub use topics::{TopicAdmin, TopicSettings};
pub use transactions::{Outgoing, TransactionFailure, TransactionalProducer};
