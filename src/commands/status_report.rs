//! What `status` prints.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::status_loops::Loops;
use super::topics::{TopicLag, UnstablePartition, unstable_text};
use super::verifications::Verifications;
use super::{output, table};
use crate::catalogue::{CatalogueState, Gap, Row, Stuck, TopicSummary, Verification};

/// The table shows so many of what is stuck.
const MAX_STUCK_SHOWN: usize = 20;

/// Everything that `status` shows.
pub(super) struct Status {
    /// Its name.
    pub catalogue: String,
    pub state: CatalogueState,
    /// Ms since 1970-01-01 UTC.
    pub now: i64,
    pub topics: Vec<TopicStatus>,
    /// The row that was added last.
    pub newest: Option<Row>,
    /// When it was archived, where that is known.
    pub archived_at: Option<i64>,
    /// The store's name, or why it does not answer.
    pub store: Result<String, String>,
    pub gaps: Vec<Gap>,
    /// What the archiver cannot archive now, with the time since when.
    pub stuck: Vec<(Stuck, i64)>,
    pub verifications: Verifications,
    pub lag: Lag,
    pub loops: Loops,
}

pub(super) struct TopicStatus {
    pub summary: TopicSummary,
    /// Messages of the last 24 hours, and of the last hour.
    pub day: i64,
    pub hour: i64,
}

/// Offsets that the group has not committed yet.
pub(super) enum Lag {
    /// No Kafka is chosen.
    NotAsked,
    /// Why it is not known.
    Unknown(String),
    /// By topic.
    Of(BTreeMap<String, TopicLag>),
}

impl Lag {
    /// Topics that are to be archived and that the user may not read.
    fn unreadable(&self) -> Vec<&str> {
        match self {
            Self::Of(topics) => topics
                .iter()
                .filter(|(_, of)| of.is_unreadable)
                .map(|(topic, _)| topic.as_str())
                .collect(),
            _ => vec![],
        }
    }

    fn of(&self, topic: &str) -> Option<i64> {
        match self {
            Self::Of(topics) => topics.get(topic).and_then(|of| of.lag),
            _ => None,
        }
    }

    fn total(&self) -> Option<i64> {
        match self {
            Self::Of(topics) => Some(topics.values().filter_map(|of| of.lag).sum()),
            _ => None,
        }
    }

    /// Partitions in which a transaction is open, with their topics.
    fn unstable(&self) -> impl Iterator<Item = (&str, &UnstablePartition)> {
        let topics = match self {
            Self::Of(topics) => Some(topics),
            _ => None,
        };
        topics.into_iter().flatten().flat_map(|(topic, of)| {
            let partitions = of.unstable.iter();
            partitions.map(move |partition| (topic.as_str(), partition))
        })
    }

    /// Their offsets, of all topics or of one.
    fn unstable_records(&self, topic: Option<&str>) -> Option<i64> {
        let is_chosen = |of: &str| topic.is_none_or(|topic| topic == of);
        let chosen = self.unstable().filter(|(of, _)| is_chosen(of));
        matches!(self, Self::Of(_)).then(|| chosen.map(|(_, of)| of.records).sum())
    }
}

impl Status {
    fn total(&self, of: fn(&TopicStatus) -> i64) -> i64 {
        self.topics.iter().map(of).sum()
    }

    fn unknown_gaps(&self) -> usize {
        let is_unknown = |gap: &&Gap| gap.acknowledged_at.is_none();
        self.gaps.iter().filter(is_unknown).count()
    }

    /// What needs a person, each in a few words.
    pub fn attention(&self) -> Vec<String> {
        let mut found = vec![];
        if let Err(why) = &self.store {
            found.push(format!("the store does not answer: {why}"));
        }
        let left: i64 = self
            .verifications
            .standing
            .iter()
            .map(Verification::left)
            .sum();
        if left > 0 {
            found.push(format!("verify left {left} defects"));
        }
        if self.unknown_gaps() > 0 {
            found.push(format!("{} gaps are not acknowledged", self.unknown_gaps()));
        }
        if self.verifications.successes.archive[0] == 0 {
            found.push("no verify of the whole archive has held yet".to_owned());
        }
        if !self.state.is_complete {
            found.push("the catalogue is incomplete: a rebuild has not ended".to_owned());
        }
        if self.state.unconfirmed > 0 {
            found.push(format!(
                "{} messages are unconfirmed",
                self.state.unconfirmed
            ));
        }
        let (records, partitions): (Vec<_>, Vec<_>) = self
            .stuck
            .iter()
            .partition(|(stuck, _)| stuck.object.is_some());
        if !partitions.is_empty() {
            found.push(format!("{} partitions are stuck", partitions.len()));
        }
        if !records.is_empty() {
            found.push(format!(
                "{} records wait for objects that cannot be read",
                records.len()
            ));
        }
        for topic in self.lag.unreadable() {
            found.push(format!("topic {topic}: no read access"));
        }
        if let Lag::Unknown(why) = &self.lag {
            found.push(format!("Kafka does not answer: {why}"));
        }
        found
    }

    pub fn as_json(&self) -> Value {
        let topics: Vec<Value> = self
            .topics
            .iter()
            .map(|topic| self.topic_json(topic))
            .collect();
        let verifications = &self.verifications;
        json!({
            "catalogue": self.catalogue,
            "catalogue_id": self.state.id,
            "catalogue_complete": self.state.is_complete,
            "rebuild_missing": self.state.missing_parts,
            "unconfirmed": self.state.unconfirmed,
            "time": output::date(self.now),
            "messages": self.total(|topic| topic.summary.messages),
            "messages_last_24_hours": self.total(|topic| topic.day),
            "messages_last_hour": self.total(|topic| topic.hour),
            "lag": self.lag.total(),
            "unstable_records": self.lag.unstable_records(None),
            "unstable": self.lag.unstable().map(|(topic, of)| json!({
                "topic": topic,
                "partition": of.partition,
                "last_stable_offset": of.last_stable_offset,
                "high_watermark": of.high_watermark,
                "records": of.records,
            })).collect::<Vec<_>>(),
            "lag_unknown": match &self.lag {
                Lag::Unknown(why) => Some(why.as_str()),
                Lag::NotAsked => Some("no Kafka is chosen"),
                Lag::Of(_) => None,
            },
            "topics": topics,
            "stuck": self.stuck.iter().map(|(stuck, since)| json!({
                "topic": &*stuck.topic,
                "partition": stuck.partition,
                "offset": stuck.offset,
                "object": stuck.object,
                "cause": stuck.cause,
                "since": output::date(*since),
            })).collect::<Vec<_>>(),
            "unreadable_topics": self.lag.unreadable(),
            "last_archived": self.newest.as_ref().map(|row| json!({
                "uuid": row.uuid,
                "topic": &*row.topic,
                "timestamp": row.timestamp,
                "time": output::date(row.timestamp),
                "archived_at": self.archived_at.and_then(output::date),
            })),
            "store": self.store.as_ref().ok(),
            "store_unknown": self.store.as_ref().err(),
            "needs_attention": self.attention(),
            "gaps": self.gaps.len(),
            "gaps_not_acknowledged": self.unknown_gaps(),
            "last_verify": verifications.standing.first().map(verification_json),
            "verifies": verifications.standing.iter().map(verification_json).collect::<Vec<_>>(),
            "unfinished_verify": verifications.unfinished.as_ref().map(verification_json),
            "loops": self.loops.as_json(),
        })
    }

    fn topic_json(&self, topic: &TopicStatus) -> Value {
        let summary = &topic.summary;
        json!({
            "topic": summary.topic,
            "messages": summary.messages,
            "last_24_hours": topic.day,
            "last_hour": topic.hour,
            "latest": summary.latest,
            "latest_time": output::date(summary.latest),
            "lag": self.lag.of(&summary.topic),
            "unstable_records": self.lag.unstable_records(Some(&summary.topic)),
        })
    }

    pub fn as_table(&self) -> String {
        let lag = |lag: Option<i64>| output::or_dash(lag);
        let total = [
            "total".to_owned(),
            self.total(|topic| topic.summary.messages).to_string(),
            self.total(|topic| topic.day).to_string(),
            self.total(|topic| topic.hour).to_string(),
            "-".to_owned(),
            lag(self.lag.total()),
        ];
        let topics = self.topics.iter().map(|topic| {
            [
                topic.summary.topic.clone(),
                topic.summary.messages.to_string(),
                topic.day.to_string(),
                topic.hour.to_string(),
                output::time(topic.summary.latest),
                lag(self.lag.of(&topic.summary.topic)),
            ]
        });
        let columns = ["topic", "messages", "24 h", "1 h", "latest", "lag"];
        let counts = table::render(columns, topics.chain([total]));
        format!("{counts}\n{}", table::render(["about", ""], self.facts()))
    }

    fn facts(&self) -> Vec<[String; 2]> {
        let mut facts = vec![
            fact("catalogue", self.catalogue.clone()),
            fact(
                "store",
                match &self.store {
                    Ok(name) => name.clone(),
                    Err(why) => format!("DOES NOT ANSWER: {why}"),
                },
            ),
            fact("last archived", self.newest_text()),
            fact("gaps", self.gaps_text()),
        ];
        if let Some(why) = self.state.incomplete() {
            facts.insert(1, fact("INCOMPLETE", why));
        }
        facts.extend(self.stuck_facts());
        if self.state.unconfirmed > 0 {
            let text = format!(
                "{} messages, taken from objects without a valid signature",
                self.state.unconfirmed
            );
            facts.push(fact("unconfirmed", text));
        }
        facts.extend(self.verification_facts());
        if let Some(stopped) = &self.verifications.unfinished {
            facts.push(fact(
                "unfinished verify",
                format!(
                    "from {}, last heard of {}",
                    output::time(stopped.started_at),
                    output::time(stopped.saved_at)
                ),
            ));
        }
        match &self.lag {
            Lag::Unknown(why) => facts.push(fact("lag", format!("unknown: {why}"))),
            Lag::NotAsked => facts.push(fact("lag", "unknown: no Kafka is chosen (-H)".to_owned())),
            Lag::Of(_) => {}
        }
        let unstable = self.lag.unstable();
        facts
            .extend(unstable.map(|(topic, of)| fact("open transaction", unstable_text(topic, of))));
        let loops = self.loops.as_text().into_iter();
        facts.extend(loops.map(|(name, state)| fact(name, state)));
        let attention = self.attention().into_iter();
        facts.extend(attention.map(|what| fact("needs attention", what)));
        facts
    }

    fn stuck_facts(&self) -> Vec<[String; 2]> {
        let mut facts: Vec<[String; 2]> = self
            .stuck
            .iter()
            .take(MAX_STUCK_SHOWN)
            .map(|(stuck, since)| {
                let offset = match stuck.offset {
                    Some(offset) => format!(" offset {offset}"),
                    None => String::new(),
                };
                let object = match &stuck.object {
                    Some(key) => format!("waits for the object {key}: "),
                    None => String::new(),
                };
                let text = format!(
                    "{} partition {}{offset}, since {}: {object}{}",
                    stuck.topic,
                    stuck.partition,
                    output::time(*since),
                    stuck.cause
                );
                fact("STUCK", text)
            })
            .collect();
        if let Some(more) = self.stuck.len().checked_sub(MAX_STUCK_SHOWN)
            && more > 0
        {
            facts.push(fact("STUCK", format!("{more} more (--json lists all)")));
        }
        facts
    }

    /// The last one, and what earlier ones found elsewhere and is not known to
    /// be mended.
    fn verification_facts(&self) -> Vec<[String; 2]> {
        let mut standing = self.verifications.standing.iter();
        let last = match standing.next() {
            Some(last) => verification_text(last),
            None => "never".to_owned(),
        };
        let earlier = standing
            .filter(|one| one.left() > 0)
            .map(|one| fact("earlier verify", verification_text(one)));
        [fact("last verify", last)]
            .into_iter()
            .chain(earlier)
            .collect()
    }

    fn newest_text(&self) -> String {
        match &self.newest {
            Some(row) => {
                let archived = match self.archived_at {
                    Some(at) => format!(", archived {}", output::time(at)),
                    None => String::new(),
                };
                format!(
                    "{} of {}, {}{archived}",
                    row.uuid,
                    row.topic,
                    output::time(row.timestamp)
                )
            }
            None => "nothing yet".to_owned(),
        }
    }

    fn gaps_text(&self) -> String {
        match (self.gaps.len(), self.unknown_gaps()) {
            (0, _) => "none".to_owned(),
            (all, 0) => format!("{all}, all acknowledged"),
            (all, unknown) => {
                format!("{all}, {unknown} of them NOT acknowledged: verify lists them")
            }
        }
    }
}

fn fact(name: &str, text: String) -> [String; 2] {
    [name.to_owned(), output::one_line(&text).into_owned()]
}

fn verification_json(of: &Verification) -> Value {
    json!({
        "options": of.asked,
        "started": output::date(of.started_at),
        "finished": of.finished_at.and_then(output::date),
        "messages": of.messages,
        "objects": of.objects,
        "bytes_read": of.bytes,
        "defects": of.defects.values().sum::<i64>(),
        "defects_by_kind": of.defects,
        "mended": of.mended,
        "left": of.left(),
    })
}

fn verification_text(of: &Verification) -> String {
    let found = match of.defects.values().sum::<i64>() {
        0 if of.messages == 0 => "nothing was checked".to_owned(),
        0 if of.asked.split(' ').any(|word| word == "--deep") => "everything held".to_owned(),
        0 => "sizes match".to_owned(),
        defects => {
            let kinds: Vec<String> = of.defects.iter().map(|(k, n)| format!("{k} {n}")).collect();
            let mended = match (of.mended, of.left()) {
                (0, _) => String::new(),
                (_, 0) => ", all mended".to_owned(),
                (mended, _) => format!(", {mended} of them mended"),
            };
            format!("{defects} DEFECTS ({}){mended}", kinds.join(", "))
        }
    };
    let finished = of.finished_at.unwrap_or(of.saved_at);
    let options = match of.asked.is_empty() {
        true => String::new(),
        false => format!(" with {}", of.asked),
    };
    format!(
        "{}{options}: {} messages, {found}",
        output::time(finished),
        of.messages
    )
}
