//! What Kafka does to a run: brokers that restart, hang or hand over, groups
//! that are set back, topics that are not the ones that they were.

mod group_offsets;
mod leaders;
mod many_topics;
mod own_broker;
mod remade_topics;
mod short_memory;
mod slow_broker;
mod three_workers;
