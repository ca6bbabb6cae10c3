//! What the acceptance tests work with: the real services that the environment
//! names, private places on them, and the program itself.

pub mod answers;
pub mod archived;
pub mod broker;
pub mod by_hand;
pub mod compare;
pub mod foreign;
pub mod link;
pub mod own_kafka;
pub mod place;
pub mod program;
pub mod proxy;
pub mod python;
pub mod records;
pub mod shell_blocks;
pub mod skip;

pub use archived::Archived;
pub use broker::Broker;
pub use by_hand::ByHand;
pub use link::Link;
pub use own_kafka::OwnKafka;
pub use place::Place;
pub use program::Process;

/// A part of a name that no other test has.
pub fn unique() -> String {
    format!("{:016x}", rand::random::<u64>())
}
