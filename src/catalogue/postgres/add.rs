//! Rows and retries, written.

use uuid::Uuid;

use super::columns::{RowColumns, given_rows, row_columns};
use super::positions::{Statements, Wanted, add_spans, add_to_recorded};
use crate::catalogue::positions::by_stream;
use crate::catalogue::{Added, Origin, ReadSpan, Retry, Row};
use crate::postgres_server::{Fault, Question, Session};
use crate::record::TopicId;

/// One transaction: the retries, then the rows, then what was read. Counting
/// rows locks their topics for every other writer until the commit, so little
/// comes after it: what has to be known of the streams is asked for together with
/// the rows, in one round trip.
pub fn add(
    session: &mut Session,
    rows: &[Row],
    retries: &[Retry],
    spans: &[ReadSpan],
) -> Result<Added, Fault> {
    let add_rows = session.prepare(ADD_ROWS)?;
    let add_retries = session.prepare(ADD_RETRIES)?;
    let positions = match spans {
        [] => None,
        _ => Some(Statements::prepare(session)?),
    };
    session.in_transaction(|transaction| {
        let mut added = Added::default();
        if !retries.is_empty() {
            let of = RetryColumns::new(retries);
            added.retries = transaction.execute(&add_retries, &of.params())?;
        }
        // A row without an origin has no delivery that could have claimed it.
        let rows: Vec<&Row> = rows.iter().filter(|row| row.origin.is_some()).collect();
        let wanted = Wanted::new(spans.iter().map(|span| (&*span.stream, Some(span.from))));
        let mut recorded = None;
        if !rows.is_empty() {
            let of = RowColumns::new(&rows);
            let mut questions = vec![Question::new(&add_rows, of.params())];
            if let Some(statements) = &positions {
                questions.extend(wanted.questions(statements));
            }
            let mut answers = transaction.query_all(&questions)?;
            recorded = positions.as_ref().and_then(|_| answers.pop());
            for row in answers.iter().take(1).flatten() {
                added.rows.push(row.try_get(0)?);
            }
        }
        if let Some(statements) = &positions {
            let mut spans = by_stream(spans, &added.rows);
            let recovered = match &recorded {
                Some(rows) => {
                    add_to_recorded(transaction, statements, &wanted, rows, &mut spans, true)?
                }
                // Redeliveries mostly change nothing: then nothing is locked.
                None if added == Added::default() => {
                    add_spans(transaction, statements, &mut spans, false)?
                }
                None => None,
            };
            added.offsets_recovered = match recovered {
                Some(recovered) => recovered,
                None => add_spans(transaction, statements, &mut spans, true)?.unwrap_or(0),
            };
        }
        Ok(added)
    })
}

/// Claims are locked in the order of their UUIDs, and looked at again once
/// locked: one that was spent meanwhile is not held. Held claims are spent and
/// their rows added, in the same order.
const ADD_ROWS: &str = concat!(
    "WITH given AS MATERIALIZED (SELECT * FROM ",
    given_rows!(),
    " WITH ORDINALITY AS g (",
    row_columns!(),
    ", n)",
    r#"
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
    INSERT INTO messages ("#,
    row_columns!(),
    ") SELECT ",
    row_columns!(),
    r#"
    FROM given WHERE n IN (SELECT n FROM held)
    ORDER BY uuid
    ON CONFLICT (uuid) DO NOTHING
    RETURNING uuid
"#
);

/// In the order of their index. A retry of which an older archive recorded
/// everything but the topic id is the same one, read again.
const ADD_RETRIES: &str = r#"
    INSERT INTO retries
        (uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type, topic_id)
    SELECT r.* FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::uuid[])
        AS r (uuid, topic, kafka_partition, kafka_offset, "timestamp", timestamp_type, topic_id)
    WHERE NOT EXISTS (
        SELECT FROM retries o WHERE o.topic = r.topic AND o.kafka_partition = r.kafka_partition
            AND o.kafka_offset = r.kafka_offset AND o."timestamp" = r."timestamp"
            AND o.uuid = r.uuid AND o.topic_id IS NULL
    )
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
    topic_ids: Vec<Option<Uuid>>,
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
            topic_ids: retries
                .iter()
                .map(|of| of.topic_id.map(TopicId::as_uuid))
                .collect(),
        }
    }

    fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 7] {
        [
            &self.uuids,
            &self.topics,
            &self.partitions,
            &self.offsets,
            &self.timestamps,
            &self.timestamp_types,
            &self.topic_ids,
        ]
    }
}

const SET_ORIGIN: &str = "
    UPDATE messages SET
        kafka_partition = $2, kafka_offset = $3, timestamp_type = $4, content_digest = $5,
        topic_id = $6, origin_found = true
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
            &origin.topic_id.map(TopicId::as_uuid),
        ],
    )?;
    Ok(set == 1)
}
