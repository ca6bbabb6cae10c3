//! One record, to its end: the agent, or the dead letters.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::agent::{Agent, Reply};
use super::form::{Form, Given};
use super::gate::Gate;
use super::pace::Pace;
use crate::kafka::{Letter, Outbox, SendFailure};
use crate::record::Record;

/// Takes records to their ends.
pub struct Courier {
    pub agent: Agent,
    pub form: Form,
    pub outbox: Arc<Outbox>,
    pub dead_letter_topic: String,
    pub gate: Arc<Gate>,
}

impl Courier {
    /// Returns when the agent has the record, or the dead-letter topic.
    pub async fn deliver(&self, record: &Record) {
        let taken = match self.form.given(record) {
            Ok(given) => self.give(record, &given).await,
            Err(unfit) => Err(unfit.to_string()),
        };
        match taken {
            Ok(None) => {}
            Ok(Some(answer)) => self.keep_answer(record, answer).await,
            Err(reason) => self.set_aside(record, &reason).await,
        }
    }

    /// Until the agent has taken it, perhaps with an answer, or refused it with a
    /// reason.
    async fn give(&self, record: &Record, given: &Given) -> Result<Option<Vec<u8>>, String> {
        let mut pace = Pace::default();
        loop {
            match self.agent.give(record, given).await {
                Reply::Taken(answer) => {
                    self.agent_answers();
                    self.gate.count_given();
                    return Ok(answer);
                }
                Reply::Refused(reason) => {
                    self.agent_answers();
                    return Err(reason);
                }
                Reply::Away(why) => self.agent_is_away(&why),
            }
            tokio::time::sleep(pace.next()).await;
        }
    }

    fn agent_answers(&self) {
        if self.gate.set_agent_trouble(None) {
            info!("agent {}: it takes records again", self.agent.name());
        }
    }

    fn agent_is_away(&self, why: &str) {
        if self.gate.set_agent_trouble(Some(why)) {
            warn!("agent {}: {why}; its records wait", self.agent.name());
        }
    }

    /// Puts the record where somebody can look at it, with the reason; tries
    /// until Kafka has it.
    async fn set_aside(&self, record: &Record, reason: &str) {
        let topic = &self.dead_letter_topic;
        warn!("record {} goes to {topic}: {reason}", place(record));
        let letter = dead_letter(record, topic, reason);
        self.send(record, letter, reason).await;
    }

    /// The connection that the message came by is not there any more.
    async fn keep_answer(&self, record: &Record, answer: Vec<u8>) {
        let topic = &self.dead_letter_topic;
        let reason = "this is the agent's answer to that record, and there is no way back by which that came";
        warn!("the answer to record {} goes to {topic}", place(record));
        let letter = Letter {
            topic: topic.clone(),
            key: record.key.clone(),
            value: Some(answer),
            headers: whereabouts(record, reason).collect(),
        };
        self.send(record, letter, reason).await;
    }

    async fn send(&self, record: &Record, mut letter: Letter, reason: &str) {
        let place = place(record);
        let mut pace = Pace::default();
        let (mut is_whole, mut told) = (true, String::new());
        loop {
            let failure = match self.outbox.send(&letter).await {
                Ok(()) => return self.gate.count_dead(),
                Err(SendFailure::TooLarge(why)) if is_whole => {
                    warn!("record {place}: {why}; only where it is goes there");
                    letter = reference(record, &letter, reason);
                    is_whole = false;
                    continue;
                }
                Err(failure) => failure.to_string(),
            };
            if failure != told {
                error!("record {place} cannot be set aside: {failure}; trying again");
                told = failure;
            }
            tokio::time::sleep(pace.next()).await;
        }
    }
}

/// Where the record is, for messages.
pub(super) fn place(record: &Record) -> String {
    format!("{} {} {}", record.topic, record.partition, record.offset)
}

/// The record as it was, with where it was and why it is here.
fn dead_letter(record: &Record, topic: &str, reason: &str) -> Letter {
    let own = record.headers.iter().map(|header| {
        let name = String::from_utf8_lossy(&header.name).into_owned();
        (name, header.value.clone().unwrap_or_default())
    });
    Letter {
        topic: topic.to_owned(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: own.chain(whereabouts(record, reason)).collect(),
    }
}

/// Where the record is and why, for a letter that is larger than the topic takes.
fn reference(record: &Record, letter: &Letter, reason: &str) -> Letter {
    let bytes = letter.value.as_ref().map_or(0, Vec::len);
    let reason = format!("{reason}; its {bytes} bytes are too many for this topic");
    Letter {
        topic: letter.topic.clone(),
        key: None,
        value: None,
        headers: whereabouts(record, &reason).collect(),
    }
}

fn whereabouts(record: &Record, reason: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let added = [
        ("dead-letter-reason", reason.to_owned()),
        ("dead-letter-topic", record.topic.to_string()),
        ("dead-letter-partition", record.partition.to_string()),
        ("dead-letter-offset", record.offset.to_string()),
    ];
    added
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
}
