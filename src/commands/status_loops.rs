//! What the loops do: who archives, and what is published.

use serde_json::{Value, json};

use super::status_report::Lag;
use crate::config::{Config, GroupName, HopConfig, PublishingConfig};
use crate::kafka::{Admin, Cluster, Group, KafkaFailure};
use crate::produce::positions::{self, Mode, PositionsError};

/// The loops of every process that works on this archive, as Kafka and the
/// database know them.
#[derive(Default)]
pub(super) struct Loops {
    archiver: Option<Known<Group>>,
    /// `None`: no kernel is chosen.
    producer: Option<Known<Published>>,
}

/// What a loop does, or why that is not known.
type Known<T> = Result<T, String>;

struct Published {
    types: usize,
    paused: usize,
    quarantined: u64,
}

impl Loops {
    /// Asks Kafka where that has answered before. Changes nothing. Errors: the
    /// configuration.
    pub fn read(config: &Config, hop: &HopConfig, lag: &Lag) -> anyhow::Result<Self> {
        if !matches!(lag, Lag::Of(_)) {
            return Ok(Self::default());
        }
        let archiver = match &hop.group {
            GroupName::Named(name) => Some(group(hop, name).map_err(|e| e.to_string())),
            GroupName::Random => None,
        };
        let producer = config
            .publishing()?
            .map(|chosen| published(&chosen).map_err(|error| error.to_string()));
        Ok(Self { archiver, producer })
    }

    pub fn as_json(&self) -> Value {
        json!({
            "archiver": self.archiver.as_ref().map(|group| match group {
                Ok(group) => json!({ "state": group.state, "members": group.members }),
                Err(why) => json!({ "unknown": why }),
            }),
            "producer": self.producer.as_ref().map(|published| match published {
                Ok(of) => json!({
                    "types": of.types,
                    "paused": of.paused,
                    "quarantined": of.quarantined,
                }),
                Err(why) => json!({ "unknown": why }),
            }),
        })
    }

    /// A name and a text each.
    pub fn as_text(&self) -> Vec<(&'static str, String)> {
        let unknown = |why: &String| format!("unknown: {why}");
        let archiver = self.archiver.as_ref().map(|group| match group {
            Ok(Group { members: 0, .. }) => "NOT RUNNING: nobody is in the group".to_owned(),
            Ok(Group { state, members }) => format!("{members} in the group, which is {state}"),
            Err(why) => unknown(why),
        });
        let producer = self.producer.as_ref().map(|published| match published {
            Ok(of) => format!(
                "{} types, {} of them paused; {} entities in the quarantine",
                of.types, of.paused, of.quarantined
            ),
            Err(why) => unknown(why),
        });
        [("archiver", archiver), ("producer", producer)]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
            .collect()
    }
}

fn group(hop: &HopConfig, name: &str) -> Result<Group, KafkaFailure> {
    Admin::open(&Cluster::open(hop)?, name)?.group(name)
}

fn published(chosen: &PublishingConfig) -> Result<Published, PositionsError> {
    let positions = positions::open(&chosen.positions, chosen.positions_named_by)?;
    let all = positions.all()?;
    let is_paused = |mode: Mode| mode != Mode::Running;
    Ok(Published {
        types: all.len(),
        paused: all.iter().filter(|(_, of)| is_paused(of.mode)).count(),
        quarantined: positions.quarantine_counts()?.values().sum(),
    })
}
