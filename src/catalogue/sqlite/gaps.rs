//! What retention took before it was archived.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction, params};

use super::positions::{add_spans, parts_of, reason};
use super::row::{id_text, topic_id};
use crate::catalogue::Gap;
use crate::sqlite_file::Fault;

const ADD: &str = "
    INSERT OR IGNORE INTO gaps (topic, kafka_partition, from_offset, to_offset, topic_id, reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
";

pub fn add(file: &Transaction<'_>, gaps: &[Gap]) -> Result<Vec<Gap>, Fault> {
    let mut added = Vec::new();
    for gap in gaps {
        if let Some(id) = gap.topic_id {
            file.prepare_cached(ADOPT)?.execute(params![
                &*gap.topic,
                gap.partition,
                gap.from,
                gap.to,
                id_text(id),
            ])?;
        }
        for part in parts_of(file, gap)? {
            let inserted = file.prepare_cached(ADD)?.execute(params![
                &*part.topic,
                part.partition,
                part.from,
                part.to,
                part.topic_id.map(id_text),
                part.reason.as_str(),
            ])?;
            if inserted == 1 {
                added.push(part);
            }
        }
        add_spans(file, &mut BTreeMap::from([(&gap.stream(), vec![])]))?;
    }
    Ok(added)
}

/// A gap that an older version recorded without a topic id.
const ADOPT: &str = "
    UPDATE OR IGNORE gaps SET topic_id = ?5
    WHERE topic = ?1 AND kafka_partition = ?2 AND from_offset = ?3 AND to_offset = ?4
        AND topic_id IS NULL
";

const ALL: &str = "
    SELECT topic, kafka_partition, from_offset, to_offset, found_at, acknowledged_at,
        topic_id, reason
    FROM gaps ORDER BY topic, kafka_partition, from_offset, to_offset
";

pub fn all(file: &Transaction<'_>) -> Result<Vec<Gap>, Fault> {
    let mut select = file.prepare_cached(ALL)?;
    let gaps = select.query_map([], gap)?;
    Ok(gaps.collect::<Result<_, _>>()?)
}

fn gap(row: &Row<'_>) -> rusqlite::Result<Gap> {
    Ok(Gap {
        topic: row.get_ref(0)?.as_str()?.into(),
        partition: row.get(1)?,
        from: row.get(2)?,
        to: row.get(3)?,
        found_at: row.get(4)?,
        acknowledged_at: row.get(5)?,
        topic_id: topic_id(row, 6)?,
        reason: reason(row, 7)?,
    })
}

const ACKNOWLEDGE: &str = "
    UPDATE gaps SET acknowledged_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE acknowledged_at IS NULL
        AND (?1 IS NULL OR topic IN (SELECT value FROM json_each(?1)))
";

pub fn acknowledge(file: &Transaction<'_>, topics: Option<&[String]>) -> Result<u64, Fault> {
    let topics = topics.map(|topics| serde_json::Value::from(topics).to_string());
    let known = file.prepare_cached(ACKNOWLEDGE)?.execute([topics])?;
    Ok(known as u64)
}
