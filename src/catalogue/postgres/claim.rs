//! Whose a UUID is.
//!
//! Why two workers that meet a UUID at the same moment agree, whatever happens
//! between (statements under read committed, each with a snapshot of its own):
//!
//! 1. A claim is inserted and committed before owners are read. The primary key
//!    of `uuid_claims` lets one claim through; whoever comes second waits until
//!    the first has committed or is gone, and inserts nothing or its own.
//! 2. A claim is only ever removed in the transaction that adds a row of its
//!    UUID ([`super::add`]), or once such a row is there. Owners are read of both
//!    tables in one statement, that is in one snapshot: after a claim was seen
//!    or made, that snapshot holds the claim or the row. Nobody reads "neither".
//!    (One's own new claim is not read back: nobody can have taken it.)
//! 3. Between somebody's look for a row and their claim, the row may have been
//!    added and its claim spent, so that the second claim goes through although
//!    the UUID has a row. The statement that reads the owners comes after the
//!    claim and sees that row: the row is the owner, and the claim, on which
//!    nobody has acted, is removed.
//! 4. A crash after the claim leaves a claim of a delivery that is not committed
//!    in Kafka. The delivery comes again and finds the claim its own. A crash
//!    between 3's two steps leaves a claim beside a row, which the row outranks
//!    and the next claim of the UUID removes.
//! 5. Rows are inserted and locked in the order of their UUIDs, so two workers
//!    wait for each other and never in a circle.

use std::collections::HashSet;

use uuid::Uuid;

use super::row::{MESSAGE_COLUMNS, digest, message_columns, stored_row, topic, topic_id};
use crate::catalogue::{Claim, Owner};
use crate::postgres_server::{Fault, Session};
use crate::record::{Delivery, TopicId};

/// See the module's documentation, 1 to 3.
pub fn claim(session: &mut Session, claims: &[Claim]) -> Result<Vec<(Uuid, Owner)>, Fault> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let uuids: Vec<Uuid> = claims.iter().map(|claim| claim.uuid).collect();
    let mut new = insert(session, &uuids, claims)?;
    let others: Vec<Uuid> = uuids
        .iter()
        .copied()
        .filter(|uuid| !new.contains(uuid))
        .collect();
    let Read {
        mut owners,
        mut outranked,
    } = read(session, &uuids, &others)?;
    // Of a UUID with a new claim, only a row was read.
    outranked.extend(owners.iter().filter_map(|(uuid, _)| new.take(uuid)));
    if !outranked.is_empty() {
        remove(session, &outranked)?;
    }
    let own = claims.iter().filter(|claim| new.contains(&claim.uuid));
    owners.extend(own.map(|claim| {
        let delivery = claim.delivery.clone();
        (
            claim.uuid,
            Owner::Claim {
                delivery,
                topic_id: claim.topic_id,
                age_ms: 0,
            },
        )
    }));
    Ok(owners)
}

/// UUIDs that have a row are left alone: a replayed topic makes no claims. An
/// incomplete catalogue takes no claim: then nobody is the owner.
const CLAIM: &str = r#"
    INSERT INTO uuid_claims
        (uuid, topic, kafka_partition, kafka_offset, "timestamp", content_digest, topic_id)
    SELECT c.* FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bytea[], $7::uuid[])
        AS c (uuid, topic, kafka_partition, kafka_offset, "timestamp", content_digest, topic_id)
    WHERE NOT EXISTS (SELECT FROM messages m WHERE m.uuid = c.uuid)
        AND (SELECT is_complete FROM catalogue_state)
    ORDER BY c.uuid
    ON CONFLICT (uuid) DO NOTHING
    RETURNING uuid
"#;

/// The UUIDs whose claims are new.
fn insert(session: &mut Session, uuids: &[Uuid], claims: &[Claim]) -> Result<HashSet<Uuid>, Fault> {
    let of = DeliveryColumns::new(claims.iter().map(|claim| &claim.delivery));
    let topic_ids: Vec<Option<Uuid>> = claims
        .iter()
        .map(|claim| claim.topic_id.map(TopicId::as_uuid))
        .collect();
    let rows = session.query(
        CLAIM,
        &[
            &uuids,
            &of.topics,
            &of.partitions,
            &of.offsets,
            &of.timestamps,
            &of.digests,
            &topic_ids,
        ],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Deliveries as the arrays that one statement takes.
pub struct DeliveryColumns<'a> {
    pub topics: Vec<&'a str>,
    pub partitions: Vec<i32>,
    pub offsets: Vec<i64>,
    pub timestamps: Vec<i64>,
    pub digests: Vec<&'a [u8]>,
}

impl<'a> DeliveryColumns<'a> {
    pub fn new(deliveries: impl Iterator<Item = &'a Delivery> + Clone) -> Self {
        Self {
            topics: deliveries.clone().map(|of| &*of.topic).collect(),
            partitions: deliveries.clone().map(|of| of.partition).collect(),
            offsets: deliveries.clone().map(|of| of.offset).collect(),
            timestamps: deliveries.clone().map(|of| of.timestamp).collect(),
            digests: deliveries.map(|of| of.digest.0.as_slice()).collect(),
        }
    }
}

pub fn owners(session: &mut Session, uuids: &[Uuid]) -> Result<Vec<(Uuid, Owner)>, Fault> {
    Ok(read(session, uuids, uuids)?.owners)
}

/// One statement, hence one snapshot, over both tables: the rows of the UUIDs in
/// $1, and the claims of those in $2.
const OWNERS: &str = concat!(
    "SELECT ",
    message_columns!(),
    r#", c.uuid, c.topic, c.kafka_partition, c.kafka_offset, c."timestamp", c.content_digest,
        c.topic_id, (extract(epoch FROM clock_timestamp() - c.claimed_at) * 1000)::bigint
    FROM unnest($1::uuid[]) AS asked (uuid)
    LEFT JOIN messages m ON m.uuid = asked.uuid
    LEFT JOIN (SELECT * FROM uuid_claims WHERE uuid = ANY ($2)) AS c ON c.uuid = asked.uuid
    WHERE m.id IS NOT NULL OR c.uuid IS NOT NULL"#
);

#[derive(Default)]
struct Read {
    owners: Vec<(Uuid, Owner)>,
    /// UUIDs that have a claim beside their row.
    outranked: Vec<Uuid>,
}

fn read(session: &mut Session, uuids: &[Uuid], of_claims: &[Uuid]) -> Result<Read, Fault> {
    let mut read = Read::default();
    for row in &session.query(OWNERS, &[&uuids, &of_claims])? {
        let claimed: Option<Uuid> = row.try_get(MESSAGE_COLUMNS)?;
        let has_row = row.try_get::<_, Option<i64>>(0)?.is_some();
        match claimed {
            Some(uuid) if !has_row => read.owners.push((uuid, claimant(row)?)),
            claimed => {
                let stored = stored_row(row)?;
                let uuid = stored.row.uuid;
                read.outranked.extend(claimed);
                read.owners.push((uuid, Owner::Row(Box::new(stored))));
            }
        }
    }
    Ok(read)
}

fn claimant(row: &tokio_postgres::Row) -> Result<Owner, Fault> {
    let first = MESSAGE_COLUMNS + 1;
    let delivery = Delivery {
        topic: topic(row, first)?,
        partition: row.try_get(first + 1)?,
        offset: row.try_get(first + 2)?,
        timestamp: row.try_get(first + 3)?,
        digest: digest(row, first + 4)?,
    };
    // The clock may have been set back since.
    let age_ms: i64 = row.try_get(first + 6)?;
    Ok(Owner::Claim {
        delivery,
        topic_id: topic_id(row, first + 5)?,
        age_ms: age_ms.max(0),
    })
}

/// Locked in the order of their UUIDs before they go; a claim whose row was
/// deleted since is not touched.
const REMOVE: &str = "
    DELETE FROM uuid_claims c USING (
        SELECT uuid FROM uuid_claims WHERE uuid = ANY ($1) ORDER BY uuid FOR UPDATE
    ) AS locked
    WHERE c.uuid = locked.uuid AND EXISTS (SELECT FROM messages m WHERE m.uuid = c.uuid)
";

fn remove(session: &mut Session, outranked: &[Uuid]) -> Result<(), Fault> {
    session.execute(REMOVE, &[&outranked])?;
    Ok(())
}
