//! `topics --entities`: a kernel's types, and how far each is published.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::output::{Stdout, or_dash};
use super::{Exit, open, table};
use crate::config::{Config, HopKind};
use crate::kafka::{Admin, Cluster, KafkaFailure, TopicPartition};
use crate::produce::positions::Mode;

/// One type.
#[derive(Serialize)]
struct Line {
    topic: String,
    realm: String,
    schema_id: uuid::Uuid,
    /// In the kernel.
    entities: u64,
    /// Offsets of its topic; null where there is no topic, and for the broker
    /// inside a process that is not this one.
    records: Option<i64>,
    /// `modified` of the last one that was published in order.
    position: Option<String>,
    state: &'static str,
    quarantined: u64,
}

/// Asks the kernel, the positions and Kafka; changes nothing but to make the
/// positions' tables. Blocks.
pub fn list(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let chosen = open::publishing_config(config)?;
    let (hop, topics) = (&chosen.hop, &chosen.produce.topic);
    let (kernel, positions) = (open::kernel(&chosen)?, open::positions(&chosen)?);
    let records = match hop.kind {
        HopKind::Mock => BTreeMap::new(),
        HopKind::Kafka { .. } => records(&Cluster::open(hop)?)?,
    };
    let standings: BTreeMap<_, _> = positions.all()?.into_iter().collect();
    let quarantined = positions.quarantine_counts()?;
    let mut lines = Vec::new();
    for one in kernel.types()? {
        let topic = topics.name(&one.id.realm, &one.schema_name);
        let standing = standings.get(&one.id);
        lines.push(Line {
            entities: kernel.count(&one.id)?,
            records: records.get(&topic).copied(),
            position: standing.map(|standing| standing.position.to_string()),
            state: match standing.map(|standing| standing.mode) {
                None => "new",
                Some(Mode::Running) => "running",
                Some(Mode::Paused) => "paused",
                Some(Mode::Rebuilding) => "rebuilding",
                Some(Mode::Locked) => "locked",
            },
            quarantined: quarantined.get(&one.id).copied().unwrap_or_default(),
            topic,
            realm: one.id.realm,
            schema_id: one.id.schema_id,
        });
    }
    print(&lines, json)?;
    Ok(Exit::Clean)
}

/// Offsets of every topic, end less start over all partitions.
fn records(cluster: &Cluster) -> Result<BTreeMap<String, i64>, KafkaFailure> {
    let admin = Admin::open(cluster, "archive_ingest")?;
    let topics = admin.topics()?;
    let partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|id| TopicPartition::new(&topic.name, *id))
        })
        .collect();
    let mut records = BTreeMap::new();
    for (partition, at) in admin.offsets(&partitions)? {
        *records.entry(partition.topic.to_string()).or_default() += at.end - at.start;
    }
    Ok(records)
}

fn print(lines: &[Line], json: bool) -> std::io::Result<()> {
    let mut out = Stdout::new();
    if json {
        lines.iter().try_for_each(|line| out.json_line(line))?;
        return out.flush();
    }
    let rows = lines.iter().map(|line| {
        [
            line.topic.clone(),
            line.entities.to_string(),
            or_dash(line.records),
            line.state.to_owned(),
            line.quarantined.to_string(),
            or_dash(
                line.position
                    .as_deref()
                    .filter(|position| !position.is_empty()),
            ),
        ]
    });
    let columns = [
        "topic",
        "entities",
        "records",
        "state",
        "quarantined",
        "position",
    ];
    out.write_all(table::render(columns, rows).as_bytes())?;
    out.flush()
}
