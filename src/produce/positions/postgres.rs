//! The positions in PostgreSQL 12 or newer.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::{
    Answer, Claimed, Mark, Mode, Positions, PositionsError, Progress, Quarantined, Sent, Standing,
    Unsendable, ends,
};
use crate::config::{NamedBy, PostgresConfig};
use crate::entities::{Position, TypeId};
use crate::postgres_server::{Connector, Fault, Migrations, Session, Sessions, Transaction, Words};

mod embedded {
    refinery::embed_migrations!("src/produce/positions/migrations/postgres");
}

const MIGRATIONS: Migrations = Migrations {
    history: "archive_ingest_producer_migrations",
    // "produce" in ASCII, big-endian.
    lock: 0x0070_726f_6475_6365,
    runner: embedded::migrations::runner,
};

const OF_STANZA: &Words = &Words::of_database_stanza(
    "its schema is not the producer's",
    "correct db-name, or start archive_ingest produce, which makes the tables",
);

const OF_AETHER: &Words = &Words {
    host: "OFFSET_DB_HOST",
    port: "OFFSET_DB_PORT",
    name: "OFFSET_DB_NAME",
    username: "OFFSET_DB_USER",
    password: "OFFSET_DB_PASSWORD",
    sslmode: "the server's TLS",
    sslrootcert: "its certificate",
    pool_size: "OFFSET_DB_POOL_SIZE",
    wrong_schema: "its schema is not the producer's",
    schema_remedy: "correct OFFSET_DB_NAME",
};

/// A chunk grows until it has so many marks, so that a type with a few
/// entities a second has no row for each of them.
const OPEN_CHUNK_MARKS: usize = 512;

/// Positions in a PostgreSQL database, Aether's table `offset` beside them or
/// not.
pub struct PostgresPositions {
    connector: Arc<Connector>,
    sessions: Sessions,
}

impl PostgresPositions {
    /// Connects once, within 10 s, so that whatever is wrong is told here, in the
    /// words of whoever configured it.
    pub fn open(config: &PostgresConfig, named_by: NamedBy) -> Answer<Self> {
        let words = match named_by {
            NamedBy::Stanza => OF_STANZA,
            NamedBy::AetherEnvironment => OF_AETHER,
        };
        let connector = Arc::new(Connector::new(config, words)?);
        connector
            .session()
            .map_err(|fault| connector.error(fault))?;
        let sessions = Sessions::new(connector.clone(), config.pool_size);
        Ok(Self {
            connector,
            sessions,
        })
    }

    fn call<T>(&self, call: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.sessions.run(call)?)
    }
}

impl Positions for PostgresPositions {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn migrate(&self) -> Answer<()> {
        let migrated = MIGRATIONS.apply(&self.connector);
        Ok(migrated.map_err(|fault| self.connector.error(fault))?)
    }

    fn claim(&self, of: &TypeId, topic: &str) -> Answer<Claimed> {
        self.call(|session| claim(session, of, topic))
    }

    fn standing(&self, of: &TypeId) -> Answer<Option<Standing>> {
        self.call(|session| {
            let rows = session.query(STANDING, &[&of.realm, &of.schema_id])?;
            rows.first().map(standing).transpose()
        })
    }

    fn all(&self) -> Answer<Vec<(TypeId, Standing)>> {
        self.call(|session| {
            let rows = session.query(ALL, &[])?;
            rows.iter()
                .map(|row| Ok((type_id(row, "realm", "schema_id")?, standing(row)?)))
                .collect()
        })
    }

    fn release_topic(&self, of: &TypeId) -> Answer<()> {
        const RELEASE: &str =
            "UPDATE producer_positions SET topic = NULL WHERE realm = $1 AND schema_id = $2";
        self.call(|session| {
            session
                .execute(RELEASE, &[&of.realm, &of.schema_id])
                .map(drop)
        })
    }

    fn record(&self, of: &TypeId, generation: i64, progress: &Progress) -> Answer<()> {
        let done = self.call(|session| record(session, of, generation, progress))?;
        superseded_unless(done, of)
    }

    fn set_mode(&self, of: &TypeId, mode: Mode) -> Answer<()> {
        const SET: &str =
            "UPDATE producer_positions SET mode = $3 WHERE realm = $1 AND schema_id = $2";
        let params = (&of.realm, &of.schema_id, mode.word());
        let set = self.call(|session| session.execute(SET, &[params.0, params.1, &params.2]))?;
        superseded_unless(set == 1, of)
    }

    fn reset(&self, of: &TypeId) -> Answer<()> {
        let done = self.call(|session| reset(session, of))?;
        superseded_unless(done, of)
    }

    fn known(&self, of: &TypeId, from: &Position, to: &Position) -> Answer<HashSet<Mark>> {
        self.call(|session| known(session, of, from, to))
    }

    fn quarantine(&self, of: &TypeId, entities: &[Unsendable]) -> Answer<()> {
        self.call(|session| quarantine(session, of, entities))
    }

    fn quarantined(
        &self,
        of: Option<&TypeId>,
        after: Option<&Quarantined>,
        limit: usize,
    ) -> Answer<Vec<Quarantined>> {
        self.call(|session| quarantined(session, of, after, limit))
    }

    fn quarantine_counts(&self) -> Answer<BTreeMap<TypeId, u64>> {
        self.call(|session| {
            let rows = session.query(COUNTS, &[])?;
            rows.iter()
                .map(|row| {
                    let count: i64 = row.try_get("count")?;
                    Ok((type_id(row, "realm", "schema_id")?, count as u64))
                })
                .collect()
        })
    }

    fn ask_replay(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        const ASK: &str = "
            UPDATE producer_quarantine SET replay = true
            WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
                AND ($3::uuid IS NULL OR entity_id = $3)";
        let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
        self.call(|session| session.execute(ASK, &[&realm, &schema_id, &id]))
    }

    fn to_replay(&self, of: &TypeId, limit: usize) -> Answer<Vec<Unsendable>> {
        const TO_REPLAY: &str = "
            SELECT entity_id, modified, reason, bytes FROM producer_quarantine
            WHERE realm = $1 AND schema_id = $2 AND replay ORDER BY modified, entity_id LIMIT $3";
        self.call(|session| {
            let rows = session.query(TO_REPLAY, &[&of.realm, &of.schema_id, &(limit as i64)])?;
            rows.iter().map(unsendable).collect()
        })
    }

    fn drop_quarantined(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.call(|session| drop_quarantined(session, of, id))
    }
}

fn superseded_unless(done: bool, of: &TypeId) -> Answer<()> {
    match done {
        true => Ok(()),
        false => Err(PositionsError::Superseded { of: of.clone() }),
    }
}

const STANDING: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = $1 AND schema_id = $2
"#;

const STANDING_LOCKED: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = $1 AND schema_id = $2 FOR UPDATE
"#;

const ALL: &str = r#"
    SELECT realm, schema_id, topic, "position", known_from, generation, mode, log_ends
    FROM producer_positions ORDER BY realm, schema_id
"#;

fn standing(row: &Row) -> Result<Standing, Fault> {
    let text = |name: &str| row.try_get::<_, &str>(name);
    Ok(Standing {
        topic: row.try_get("topic")?,
        position: text("position")?.into(),
        known_from: text("known_from")?.into(),
        generation: row.try_get("generation")?,
        mode: Mode::parse(text("mode")?),
        log_ends: ends::parse(text("log_ends")?),
    })
}

fn type_id(row: &Row, realm: &str, schema_id: &str) -> Result<TypeId, Fault> {
    Ok(TypeId {
        realm: row.try_get(realm)?,
        schema_id: row.try_get(schema_id)?,
    })
}

const OWNER: &str = "SELECT realm, schema_id FROM producer_positions WHERE topic = $1";

/// An entry of Aether's table may be there or not; a table never is.
const INSERT: &str = r#"
    INSERT INTO producer_positions (realm, schema_id, topic, "position", known_from)
    VALUES ($1, $2, $3, $4, $4) ON CONFLICT (realm, schema_id) DO NOTHING
"#;

const SET_TOPIC: &str = "
    UPDATE producer_positions SET topic = $3, log_ends = ''
    WHERE realm = $1 AND schema_id = $2 AND topic IS DISTINCT FROM $3
";

fn claim(session: &mut Session, of: &TypeId, topic: &str) -> Result<Claimed, Fault> {
    if let Some(row) = session.query(OWNER, &[&topic])?.first() {
        let owner = type_id(row, "realm", "schema_id")?;
        if owner != *of {
            return Ok(Claimed::Taken(owner));
        }
    }
    let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
    if session.query(STANDING, &[key.0, key.1])?.is_empty() {
        let seed = aethers(session, of)?.unwrap_or_default();
        session.execute(INSERT, &[key.0, key.1, &topic, &seed])?;
    }
    session.execute(SET_TOPIC, &[key.0, key.1, &topic])?;
    let rows = session.query(STANDING, &[key.0, key.1])?;
    match rows.first() {
        Some(row) => standing(row).map(Claimed::Standing),
        None => Err(Fault::Unavailable(format!("{of} was removed meanwhile"))),
    }
}

const HAS_AETHERS: &str = r#"SELECT to_regclass('"offset"') IS NOT NULL"#;

fn has_aethers(session: &mut Session) -> Result<bool, Fault> {
    let rows = session.query(HAS_AETHERS, &[])?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => false,
    })
}

/// Where Aether's producer has come to with this schema.
fn aethers(session: &mut Session, of: &TypeId) -> Result<Option<String>, Fault> {
    const SEED: &str = r#"SELECT offset_value::text FROM "offset" WHERE schema_name = $1::text"#;
    if !has_aethers(session)? {
        return Ok(None);
    }
    let rows = session.query(SEED, &[&of.schema_id.to_string()])?;
    let value: Option<Option<String>> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(value.flatten())
}

/// The lowest of the realms that share the schema: who goes back to Aether's
/// producer gets some things twice, and misses none.
const MIRROR: &str = r#"
    INSERT INTO "offset" (schema_name, offset_value)
    SELECT $1::text, min("position") FROM producer_positions WHERE schema_id = $2
    ON CONFLICT (schema_name) DO UPDATE SET offset_value = EXCLUDED.offset_value
"#;

/// Prepared before the transaction that uses it.
fn mirror(session: &mut Session) -> Result<Option<Statement>, Fault> {
    match has_aethers(session)? {
        true => session.prepare(MIRROR).map(Some),
        false => Ok(None),
    }
}

const UPDATE: &str = r#"
    UPDATE producer_positions SET "position" = $3, known_from = $4, log_ends = $5,
        open_chunk = $6, updated_at = now()
    WHERE realm = $1 AND schema_id = $2
"#;

const RELEASE: &str = "
    DELETE FROM producer_quarantine q USING unnest($3::uuid[], $4::text[]) AS r (id, modified)
    WHERE q.realm = $1 AND q.schema_id = $2 AND q.entity_id = r.id AND q.modified = r.modified
";

/// Whether it was recorded: not when the type has been rebuilt.
fn record(
    session: &mut Session,
    of: &TypeId,
    generation: i64,
    progress: &Progress,
) -> Result<bool, Fault> {
    let locked = session.prepare(STANDING_LOCKED)?;
    let update = session.prepare(UPDATE)?;
    let release = session.prepare(RELEASE)?;
    let chunks = ChunkStatements::prepare(session)?;
    let mirror = mirror(session)?;
    session.in_transaction(|transaction| {
        let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
        let rows = transaction.query(&locked, &[key.0, key.1])?;
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        let before = standing(row)?;
        if before.generation != generation {
            return Ok(false);
        }
        let mut open_chunk: Option<i64> = row.try_get("open_chunk")?;
        for sent in &progress.sent {
            open_chunk = chunks.add(transaction, of, sent, open_chunk)?;
        }
        let position = before.position.max(progress.position.clone());
        let known_from = match &progress.known_from {
            Some(from) => before.known_from.max(from.clone()),
            None => before.known_from,
        };
        let ends = ends::to_text(&ends::merge(before.log_ends, &progress.log_ends));
        let (position, known_from) = (position.as_str(), known_from.as_str());
        transaction.execute(
            &update,
            &[key.0, key.1, &position, &known_from, &ends, &open_chunk],
        )?;
        if !progress.released.is_empty() {
            let ids: Vec<Uuid> = progress.released.iter().map(|(id, _)| *id).collect();
            let modified: Vec<&str> = progress
                .released
                .iter()
                .map(|(_, at)| at.as_str())
                .collect();
            transaction.execute(&release, &[key.0, key.1, &ids, &modified])?;
        }
        if let Some(mirror) = mirror {
            transaction.execute(&mirror, &[&of.schema_id.to_string(), key.1])?;
        }
        Ok(true)
    })
}

struct ChunkStatements {
    append: Statement,
    insert: Statement,
}

impl ChunkStatements {
    fn prepare(session: &mut Session) -> Result<Self, Fault> {
        const APPEND: &str = "
            UPDATE producer_sent SET last = greatest(last, $2), marks = marks || $3
            WHERE id = $1 AND length(marks) < $4";
        const INSERT: &str = "
            INSERT INTO producer_sent (realm, schema_id, first, last, marks)
            VALUES ($1, $2, $3, $4, $5) RETURNING id";
        Ok(Self {
            append: session.prepare(APPEND)?,
            insert: session.prepare(INSERT)?,
        })
    }

    /// The chunk that grows from now on.
    fn add(
        &self,
        transaction: &mut Transaction<'_>,
        of: &TypeId,
        sent: &Sent,
        open: Option<i64>,
    ) -> Result<Option<i64>, Fault> {
        let (first, last) = (sent.first.as_str(), sent.last.as_str());
        let marks = Mark::join(&sent.marks);
        if let Some(open) = open.filter(|_| sent.is_in_order) {
            let full = (OPEN_CHUNK_MARKS * super::MARK_BYTES) as i32;
            if transaction.execute(&self.append, &[&open, &last, &marks, &full])? == 1 {
                return Ok(Some(open));
            }
        }
        let row = transaction.query_one(
            &self.insert,
            &[&of.realm, &of.schema_id, &first, &last, &marks],
        )?;
        Ok(match sent.is_in_order {
            true => Some(row.try_get(0)?),
            false => open,
        })
    }
}

fn reset(session: &mut Session, of: &TypeId) -> Result<bool, Fault> {
    const FORGET: &str = r#"
        UPDATE producer_positions SET "position" = '', known_from = '', log_ends = '',
            open_chunk = NULL, generation = generation + 1, mode = 'paused', updated_at = now()
        WHERE realm = $1 AND schema_id = $2"#;
    const FORGET_SENT: &str = "DELETE FROM producer_sent WHERE realm = $1 AND schema_id = $2";
    const FORGET_BAD: &str = "DELETE FROM producer_quarantine WHERE realm = $1 AND schema_id = $2";
    let forget = session.prepare(FORGET)?;
    let rest = [session.prepare(FORGET_SENT)?, session.prepare(FORGET_BAD)?];
    let mirror = mirror(session)?;
    session.in_transaction(|transaction| {
        let key: (&String, &Uuid) = (&of.realm, &of.schema_id);
        if transaction.execute(&forget, &[key.0, key.1])? != 1 {
            return Ok(false);
        }
        for statement in &rest {
            transaction.execute(statement, &[key.0, key.1])?;
        }
        if let Some(mirror) = mirror {
            transaction.execute(&mirror, &[&of.schema_id.to_string(), key.1])?;
        }
        Ok(true)
    })
}

fn known(
    session: &mut Session,
    of: &TypeId,
    from: &Position,
    to: &Position,
) -> Result<HashSet<Mark>, Fault> {
    const SENT: &str = "
        SELECT marks FROM producer_sent
        WHERE realm = $1 AND schema_id = $2 AND last >= $3 AND first <= $4";
    const BAD: &str = "
        SELECT entity_id, modified FROM producer_quarantine
        WHERE realm = $1 AND schema_id = $2 AND modified >= $3 AND modified <= $4";
    let (from, to) = (from.as_str(), to.as_str());
    let mut known = HashSet::new();
    for row in session.query(SENT, &[&of.realm, &of.schema_id, &from, &to])? {
        known.extend(Mark::split(row.try_get(0)?));
    }
    for row in session.query(BAD, &[&of.realm, &of.schema_id, &from, &to])? {
        let modified: &str = row.try_get(1)?;
        known.insert(Mark::of(&row.try_get(0)?, &modified.into()));
    }
    Ok(known)
}

fn quarantine(session: &mut Session, of: &TypeId, bad: &[Unsendable]) -> Result<(), Fault> {
    const ADD: &str = "
        INSERT INTO producer_quarantine (realm, schema_id, entity_id, modified, reason, bytes)
        SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[])
        ON CONFLICT (realm, schema_id, modified, entity_id)
        DO UPDATE SET reason = EXCLUDED.reason, replay = false";
    let ids: Vec<Uuid> = bad.iter().map(|one| one.id).collect();
    let modified: Vec<&str> = bad.iter().map(|one| one.modified.as_str()).collect();
    // A text of PostgreSQL's holds no NUL.
    let reasons: Vec<String> = bad
        .iter()
        .map(|one| one.reason.replace('\0', "\u{fffd}"))
        .collect();
    let bytes: Vec<i64> = bad.iter().map(|one| one.bytes as i64).collect();
    session
        .execute(
            ADD,
            &[&of.realm, &of.schema_id, &ids, &modified, &reasons, &bytes],
        )
        .map(drop)
}

const COUNTS: &str = "
    SELECT realm, schema_id, count(*) AS count FROM producer_quarantine GROUP BY 1, 2
";

fn quarantined(
    session: &mut Session,
    of: Option<&TypeId>,
    after: Option<&Quarantined>,
    limit: usize,
) -> Result<Vec<Quarantined>, Fault> {
    const LIST: &str = "
        SELECT realm, schema_id, entity_id, modified, reason, bytes, replay,
            (extract(epoch FROM found_at) * 1000)::bigint AS found_at
        FROM producer_quarantine
        WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
            AND ($3::text IS NULL
                OR (realm, schema_id, modified, entity_id) > ($3, $4::uuid, $5::text, $6::uuid))
        ORDER BY realm, schema_id, modified, entity_id LIMIT $7";
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    let rows = session.query(
        LIST,
        &[
            &realm,
            &schema_id,
            &after.map(|row| &row.of.realm),
            &after.map(|row| row.of.schema_id),
            &after.map(|row| row.entity.modified.as_str()),
            &after.map(|row| row.entity.id),
            &(limit as i64),
        ],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Quarantined {
                of: type_id(row, "realm", "schema_id")?,
                entity: unsendable(row)?,
                found_at: row.try_get("found_at")?,
                replay: row.try_get("replay")?,
            })
        })
        .collect()
}

fn unsendable(row: &Row) -> Result<Unsendable, Fault> {
    Ok(Unsendable {
        id: row.try_get("entity_id")?,
        modified: row.try_get::<_, &str>("modified")?.into(),
        reason: row.try_get("reason")?,
        bytes: row.try_get::<_, i64>("bytes")? as u64,
    })
}

fn drop_quarantined(
    session: &mut Session,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const DROP: &str = "
        DELETE FROM producer_quarantine
        WHERE ($1::text IS NULL OR realm = $1) AND ($2::uuid IS NULL OR schema_id = $2)
            AND ($3::uuid IS NULL OR entity_id = $3)
        RETURNING realm, schema_id, entity_id, modified";
    let statement = session.prepare(DROP)?;
    let chunks = ChunkStatements::prepare(session)?;
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    session.in_transaction(|transaction| {
        let dropped = transaction.query(&statement, &[&realm, &schema_id, &id])?;
        let mut by_type: BTreeMap<TypeId, Vec<(Position, Mark)>> = BTreeMap::new();
        for row in &dropped {
            let modified = Position::from(row.try_get::<_, &str>("modified")?);
            let mark = Mark::of(&row.try_get("entity_id")?, &modified);
            let of = type_id(row, "realm", "schema_id")?;
            by_type.entry(of).or_default().push((modified, mark));
        }
        for (of, entities) in by_type {
            if let Some(sent) = Sent::late(entities) {
                chunks.add(transaction, &of, &sent, None)?;
            }
        }
        Ok(dropped.len() as u64)
    })
}
