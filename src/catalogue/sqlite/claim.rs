//! Whose a UUID is. One transaction writes at a time, so what is read in it is
//! still so when it commits.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::read::row_of;
use super::row::{UuidText, digest, id_text, topic, topic_id};
use crate::catalogue::{Claim, Owner};
use crate::record::Delivery;
use crate::sqlite_file::Fault;

const CLAIM: &str = "
    INSERT INTO uuid_claims
        (uuid, topic, kafka_partition, kafka_offset, timestamp, content_digest, claimed_at,
            topic_id)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM catalogue_state WHERE is_complete
    ON CONFLICT (uuid) DO NOTHING
";

pub fn claim(file: &Transaction<'_>, claims: &[Claim]) -> Result<Vec<(Uuid, Owner)>, Fault> {
    let now = Timestamp::now().as_millisecond();
    let mut insert = file.prepare_cached(CLAIM)?;
    let mut remove = file.prepare_cached("DELETE FROM uuid_claims WHERE uuid = ?1")?;
    let mut owners = Vec::with_capacity(claims.len());
    for claim in claims {
        let Claim { uuid, delivery, .. } = claim;
        let owner = match owner(file, *uuid)? {
            Some(row @ Owner::Row(_)) => {
                // Another program's row may have come while a claim stood.
                remove.execute([UuidText(*uuid)])?;
                row
            }
            Some(claim) => claim,
            None => {
                let inserted = insert.execute(params![
                    UuidText(*uuid),
                    delivery.topic,
                    delivery.partition,
                    delivery.offset,
                    delivery.timestamp,
                    delivery.digest.0,
                    now,
                    claim.topic_id.map(id_text),
                ])?;
                if inserted == 0 {
                    // The catalogue is incomplete: nobody is known to own it.
                    continue;
                }
                Owner::Claim {
                    delivery: delivery.clone(),
                    topic_id: claim.topic_id,
                    age_ms: 0,
                }
            }
        };
        owners.push((*uuid, owner));
    }
    Ok(owners)
}

pub fn owners(file: &Transaction<'_>, uuids: &[Uuid]) -> Result<Vec<(Uuid, Owner)>, Fault> {
    let mut owners = Vec::new();
    for uuid in uuids {
        if let Some(owner) = owner(file, *uuid)? {
            owners.push((*uuid, owner));
        }
    }
    Ok(owners)
}

fn owner(file: &Transaction<'_>, uuid: Uuid) -> Result<Option<Owner>, Fault> {
    match row_of(file, uuid)? {
        Some(row) => Ok(Some(Owner::Row(Box::new(row)))),
        None => claimant(file, uuid),
    }
}

const CLAIMANT: &str = "
    SELECT topic, kafka_partition, kafka_offset, timestamp, content_digest, claimed_at, topic_id
    FROM uuid_claims WHERE uuid = ?1
";

fn claimant(file: &Transaction<'_>, uuid: Uuid) -> Result<Option<Owner>, Fault> {
    let now = Timestamp::now().as_millisecond();
    let mut select = file.prepare_cached(CLAIMANT)?;
    let owner = select.query_row([UuidText(uuid)], |row| {
        let delivery = Delivery {
            topic: topic(row, 0)?,
            partition: row.get(1)?,
            offset: row.get(2)?,
            timestamp: row.get(3)?,
            digest: digest(row, 4)?,
        };
        // The clock may have been set back since.
        let age_ms = now.saturating_sub(row.get(5)?).max(0);
        Ok(Owner::Claim {
            delivery,
            topic_id: topic_id(row, 6)?,
            age_ms,
        })
    });
    Ok(owner.optional()?)
}
