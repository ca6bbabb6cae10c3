//! Which topics are read: asked again now and then, so that new ones are
//! picked up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::failure::ArchiveError;
use super::progress::Progress;
use crate::config::{TopicSelection, Verdict};
use crate::kafka::{
    ConsumerEvents, KafkaFailure, RecordConsumer, TopicAnswers, TopicId, TopicIds, TopicInfo,
    TopicPartition,
};

/// A question that got no answer is asked again after this long, or sooner.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// After so many in a row it may be the client that is lost: a broker that starts
/// may tell of no broker at all, not even of itself, and librdkafka 2.12 then
/// forgets the only address that it had.
const LOST: u32 = 3;

/// The subscription, kept up to date.
pub(super) struct Topics {
    progress: Arc<Progress>,
    /// Topics that the user may not read.
    unreadable: BTreeSet<Arc<str>>,
    /// Partitions that no broker led when the topics were last asked for.
    leaderless: Vec<TopicPartition>,
    selection: TopicSelection,
    refresh: Duration,
    asked: Option<Instant>,
    /// Questions in a row that got no answer.
    unanswered: u32,
    /// The last id of each topic that this client has read.
    seen: TopicIds,
    /// Whether one of them came back under another id.
    is_outdated: bool,
    has_subscribed: bool,
    /// In order.
    subscribed: Vec<String>,
    /// Asked for before the topics were subscribed to.
    ids: TopicIds,
}

impl Topics {
    pub fn new(selection: TopicSelection, refresh: Duration, progress: Arc<Progress>) -> Self {
        Self {
            progress,
            unreadable: BTreeSet::new(),
            leaderless: vec![],
            selection,
            refresh,
            asked: None,
            unanswered: 0,
            seen: TopicIds::new(),
            is_outdated: false,
            has_subscribed: false,
            subscribed: vec![],
            ids: TopicIds::new(),
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

    /// Topics to archive that the user could see and not read when they were
    /// last asked for.
    pub fn unreadable(&self) -> &BTreeSet<Arc<str>> {
        &self.unreadable
    }

    /// Partitions of topics to archive that no broker led when they were last
    /// asked for.
    pub fn leaderless(&self) -> &[TopicPartition] {
        &self.leaderless
    }

    /// The id that this topic had when the topics were last asked for.
    pub fn id(&self, topic: &str) -> Option<TopicId> {
        self.ids.get(topic).copied()
    }

    /// Takes note of the id of a topic that is about to be subscribed to again.
    pub fn learn(&mut self, topic: &Arc<str>, id: TopicId) {
        self.ids.insert(topic.clone(), id);
    }

    /// Asks for the topics when it is time to, and subscribes anew when they
    /// changed. Whether it was time. A question that gets no answer changes
    /// nothing.
    pub fn follow<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<bool, ArchiveError> {
        let interval = match self.unanswered == 0 && self.leaderless.is_empty() {
            true => self.refresh,
            false => self.refresh.min(ASK_AGAIN),
        };
        if self.asked.is_some_and(|asked| asked.elapsed() < interval) {
            return Ok(false);
        }
        let answer = self.ask(consumer);
        // After the answer: one that is long in coming must not be asked for
        // again at once, or the client is hardly polled any more.
        self.asked = Some(Instant::now());
        match answer {
            Ok((
                topics,
                TopicAnswers {
                    ids, unreadable, ..
                },
            )) => {
                self.unanswered = 0;
                self.leaderless = topics
                    .iter()
                    .flat_map(|topic| {
                        let name = topic.name.as_str();
                        let leaderless = topic.leaderless.iter();
                        leaderless.map(move |&p| TopicPartition::new(name, p))
                    })
                    .collect();
                let wanted = topics.into_iter().map(|topic| topic.name).collect();
                self.report_unreadable(unreadable);
                self.is_outdated |= ids
                    .iter()
                    .any(|(topic, id)| self.seen.get(topic).is_some_and(|seen| seen != id));
                self.seen.extend(ids.clone());
                self.ids = ids;
                self.subscribe(consumer, wanted)?;
            }
            Err(KafkaFailure::Unavailable { cluster, cause }) => {
                self.unanswered += 1;
                warn!("kafka {cluster}: topics were not listed: {cause}; asked again later");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Why it is time to go on with a new client, if it is. One that has read a
    /// topic compares its successor with the leader epochs that it had, and
    /// where those were higher waits for them for ever.
    pub fn want_new_client(&self) -> Option<&'static str> {
        if self.unanswered >= LOST {
            return Some("Kafka has not answered for long");
        }
        self.is_outdated.then_some("a topic came back as another")
    }

    /// As [`Topics::follow`] did last, for a consumer that begins again.
    pub fn subscribe_again<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(), ArchiveError> {
        self.unanswered = 0;
        self.is_outdated = false;
        self.seen = self.ids.clone();
        Ok(consumer.subscribe(&self.subscribed)?)
    }

    /// The topics to archive, in the order of their names, and their ids.
    fn ask<E: ConsumerEvents>(
        &self,
        consumer: &RecordConsumer<E>,
    ) -> Result<(Vec<TopicInfo>, TopicAnswers), KafkaFailure> {
        let mut wanted = self.wanted(consumer.topics()?);
        let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
        let answers = consumer.describe(&names)?;
        wanted.retain(|topic| !answers.unreadable.contains(topic.name.as_str()));
        Ok((wanted, answers))
    }

    /// Topics that the user may see and not read are no reason to stop: they are
    /// reported and asked for again with the others.
    fn report_unreadable(&mut self, unreadable: BTreeSet<Arc<str>>) {
        for topic in unreadable.difference(&self.unreadable) {
            warn!(
                topic = &**topic,
                "no read access, topic not archived: grant the user READ on it, or leave it out of hop-topics"
            );
        }
        for topic in self.unreadable.difference(&unreadable) {
            info!(topic = &**topic, "topic readable now, or gone");
        }
        self.progress.set_denied(&unreadable);
        self.unreadable = unreadable;
    }

    fn subscribe<E: ConsumerEvents>(
        &mut self,
        consumer: &RecordConsumer<E>,
        wanted: Vec<String>,
    ) -> Result<(), ArchiveError> {
        let first = !std::mem::replace(&mut self.has_subscribed, true);
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
