//! Which topics are read: asked again now and then, so that new ones are
//! picked up.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::failure::ArchiveError;
use crate::config::{TopicSelection, Verdict};
use crate::kafka::{ConsumerEvents, KafkaFailure, RecordConsumer, TopicInfo};

/// The subscription, kept up to date.
pub(super) struct Topics {
    selection: TopicSelection,
    refresh: Duration,
    asked: Option<Instant>,
    /// In order.
    subscribed: Vec<String>,
}

impl Topics {
    pub fn new(selection: TopicSelection, refresh: Duration) -> Self {
        Self {
            selection,
            refresh,
            asked: None,
            subscribed: vec![],
        }
    }

    /// Of all the topics that the credential may see, those to archive.
    pub fn wanted(&self, all: Vec<TopicInfo>) -> Vec<TopicInfo> {
        all.into_iter()
            .filter(|topic| matches!(self.selection.archives(&topic.name), Verdict::Wanted))
            .collect()
    }

    /// Whether this topic was there when the topics were last asked for.
    pub fn reads(&self, topic: &str) -> bool {
        self.subscribed
            .binary_search_by(|name| name.as_str().cmp(topic))
            .is_ok()
    }

    /// Asks for the topics when it is time to, and subscribes anew when they
    /// changed. After the first time, a question that fails changes nothing.
    pub fn follow<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        if self
            .asked
            .is_some_and(|asked| asked.elapsed() < self.refresh)
        {
            return Ok(());
        }
        let first = self.asked.is_none();
        self.asked = Some(Instant::now());
        match consumer.topics() {
            Ok(all) => self.subscribe(consumer, all, first)?,
            Err(KafkaFailure::Unavailable { cluster, cause }) if !first => {
                warn!("kafka {cluster}: topics were not listed: {cause}; asked again later");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn subscribe<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        all: Vec<TopicInfo>,
        first: bool,
    ) -> Result<(), ArchiveError> {
        let wanted: Vec<String> = self.wanted(all).into_iter().map(|t| t.name).collect();
        if wanted == self.subscribed && !first {
            return Ok(());
        }
        if wanted.is_empty() {
            warn!(
                "no topic to read yet; topics are listed again every {:?}",
                self.refresh
            );
        }
        info!("reading {} topics", wanted.len());
        debug!(topics = ?wanted);
        consumer.subscribe(&wanted)?;
        self.subscribed = wanted;
        Ok(())
    }
}
