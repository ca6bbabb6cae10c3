//! Rows and retries, written.

use uuid::Uuid;

use super::columns::RowColumns;
use crate::catalogue::{Added, Origin, Retry, Row};
use crate::postgres_server::{Fault, Session};

/// One transaction: the retries, then the rows. Rows come last because counting
/// them locks their topics for every other writer until the commit.
pub fn add(session: &mut Session, rows: &[Row], retries: &[Retry]) -> Result<Added, Fault> {
    let add_rows = session.prepare(ADD_ROWS)?;
    let add_retries = session.prepare(ADD_RETRIES)?;
    session.in_transaction(|transaction| {
        let mut added = Added::default();
        if !retries.is_empty() {
            let of = RetryColumns::new(retries);
            added.retries = transaction.execute(&add_retries, &of.params())?;
        }
        // A row without an origin has no delivery that could have claimed it.
        let rows: Vec<&Row> = rows.iter().filter(|row| row.origin.is_some()).collect();
        if !rows.is_empty() {
            let of = RowColumns::new(&rows);
            for row in transaction.query(&add_rows, &of.params())? {
                added.rows.push(row.try_get(0)?);
            }
        }
        Ok(added)
    })
}

/// Claims are locked in the order of their UUIDs, and looked at again once
/// locked: one that was spent meanwhile is not held. Held claims are spent and
/// their rows added, in the same order.
const ADD_ROWS: &str = r#"
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
            $1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bytea[],
            $7::text[], $8::int[], $9::text[], $10::text[], $11::bigint[], $12::bool[],
            $13::bool[], $14::bool[], $15::bigint[], $16::text[], $17::text[], $18::text[],
            $19::text[], $20::text[], $21::bool[], $22::bigint[]
        ) WITH ORDINALITY AS g (
            uuid, topic, kafka_partition, kafka_offset, "timestamp", content_digest,
            timestamp_type, size, key, bucket, crc32, is_client_uuid,
            public, direct_upload, message_crc32, title, sender, media_type,
            file_name, originator, retracted, object_offset, n
        )
    ), held AS MATERIALIZED (
        SELECT c.uuid, g.n FROM uuid_claims c JOIN given g
            ON g.uuid = c.uuid AND g.topic = c.topic
            AND g.kafka_partition = c.kafka_partition AND g.kafka_offset = c.kafka_offset
            AND g."timestamp" = c."timestamp" AND g.content_digest = c.content_digest
        ORDER BY c.uuid
        FOR UPDATE OF c
    ), spent AS (
        DELETE FROM uuid_claims c USING held WHERE c.uuid = held.uuid
    )
    INSERT INTO messages (
        uuid, topic, kafka_partition, kafka_offset, "timestamp", content_digest,
        timestamp_type, size, key, bucket, crc32, is_client_uuid,
        public, direct_upload, message_crc32, title, sender, media_type,
        file_name, originator, retracted, object_offset
    )
    SELECT
        g.uuid, g.topic, g.kafka_partition, g.kafka_offset, g."timestamp", g.content_digest,
        g.timestamp_type, g.size, g.key, g.bucket, g.crc32, g.is_client_uuid,
        g.public, g.direct_upload, g.message_crc32, g.title, g.sender, g.media_type,
        g.file_name, g.originator, g.retracted, g.object_offset
    FROM given g JOIN held ON held.n = g.n
    ORDER BY g.uuid
    ON CONFLICT (uuid) DO NOTHING
    RETURNING uuid
"#;

/// In the order of the primary key.
const ADD_RETRIES: &str = r#"
    INSERT INTO retries
        (uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type)
    SELECT r.* FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[])
        AS r (uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type)
    ORDER BY r.topic, r.kafka_partition, r.kafka_offset, r."timestamp", r.uuid
    ON CONFLICT DO NOTHING
"#;

/// Retries as the arrays that one statement takes.
struct RetryColumns<'a> {
    uuids: Vec<Uuid>,
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    timestamp_types: Vec<&'static str>,
}

impl<'a> RetryColumns<'a> {
    fn new(retries: &'a [Retry]) -> Self {
        Self {
            uuids: retries.iter().map(|of| of.uuid).collect(),
            topics: retries.iter().map(|of| &*of.topic).collect(),
            partitions: retries.iter().map(|of| of.partition).collect(),
            offsets: retries.iter().map(|of| of.offset).collect(),
            timestamps: retries.iter().map(|of| of.timestamp).collect(),
            timestamp_types: retries
                .iter()
                .map(|of| of.timestamp_type.as_str())
                .collect(),
        }
    }

    fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 6] {
        [
            &self.uuids,
            &self.topics,
            &self.partitions,
            &self.offsets,
            &self.timestamps,
            &self.timestamp_types,
        ]
    }
}

const SET_ORIGIN: &str = "
    UPDATE messages SET
        kafka_partition = $2, kafka_offset = $3, timestamp_type = $4, content_digest = $5,
        origin_found = true
    WHERE id = $1 AND kafka_offset IS NULL
";

/// Two workers that found the same row: the second one looks again once the
/// first has committed, and finds an origin.
pub fn set_origin(session: &mut Session, id: i64, origin: &Origin) -> Result<bool, Fault> {
    let set = session.execute(
        SET_ORIGIN,
        &[
            &id,
            &origin.partition,
            &origin.offset,
            &origin.timestamp_type.as_str(),
            &origin.digest.0.as_slice(),
        ],
    )?;
    Ok(set == 1)
}
