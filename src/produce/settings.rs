//! How entities are published.

use std::time::Duration;

use super::container::{Codec, Limits};
use crate::kafka::NewTopicConfig;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub codec: Codec,
    pub limits: Limits,
    /// What a schema's name becomes within its topic's: `%s` stands for it.
    pub name_modifier: String,
    pub new_topic: NewTopicConfig,
    /// Entities, and bytes of their payloads, that are read at once and go out
    /// in one transaction.
    pub page_entities: usize,
    pub page_bytes: usize,
    /// A type that had something new is looked at again after this long.
    pub busy_pause: Duration,
    /// One that had nothing after up to this long; the pauses double. With many
    /// types it is longer: 4 ms for each of them.
    pub idle_pause: Duration,
    /// Registered types are read again after this long.
    pub types_interval: Duration,
    /// What other instances and commands have asked for is looked for after
    /// this long, and so is a type that another instance has.
    pub control_interval: Duration,
    /// How far back it is looked for entities that turned up late, and how often.
    pub look_back: Duration,
    pub look_back_interval: Duration,
    /// How often all of a type's entities are compared with what was sent.
    pub reconcile_interval: Duration,
    /// Types that are worked on at once.
    pub workers: usize,
    /// Producers that are open at once, at least one for each worker. Each has
    /// threads and buffers of its own.
    pub producers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            codec: Codec::default(),
            limits: Limits::default(),
            name_modifier: "%s".to_owned(),
            new_topic: NewTopicConfig::default(),
            page_entities: 5000,
            page_bytes: 4 << 20,
            busy_pause: Duration::from_millis(50),
            idle_pause: Duration::from_secs(1),
            types_interval: Duration::from_secs(10),
            control_interval: Duration::from_secs(2),
            look_back: Duration::from_secs(600),
            look_back_interval: Duration::from_secs(60),
            reconcile_interval: Duration::from_secs(86_400),
            workers: 2,
            producers: 8,
        }
    }
}

impl Settings {
    /// The topic of a type: the realm, a dot, and the schema's name as the
    /// modifier has it, as Aether's producer calls it.
    pub fn topic_of(&self, realm: &str, schema_name: &str) -> String {
        let name = self.name_modifier.replacen("%s", schema_name, 1);
        format!("{realm}.{name}")
    }
}
