//! The positions in a SQLite file. Aether keeps its table in PostgreSQL only, so
//! nothing is taken over here.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::{
    Answer, Claimed, Mark, Mode, Positions, PositionsError, Progress, Quarantined, Sent, Standing,
    Unsendable, ends,
};
use crate::config::SqliteConfig;
use crate::entities::{Position, TypeId};
use crate::sqlite_file::{Connections, Fault};

mod embedded {
    refinery::embed_migrations!("src/produce/positions/migrations/sqlite");
}

/// As in PostgreSQL.
const OPEN_CHUNK_BYTES: i64 = 512 * super::MARK_BYTES as i64;

/// Positions in a file, which may be the catalogue's.
pub struct SqlitePositions {
    connections: Connections,
}

impl SqlitePositions {
    /// Opens the file, or makes it and its directory.
    pub fn open(config: &SqliteConfig) -> Answer<Self> {
        let connections = Connections::open(&config.path, "db-path")?;
        Ok(Self { connections })
    }

    fn read<T>(&self, call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.connections.read(call)?)
    }

    fn write<T>(&self, call: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Answer<T> {
        Ok(self.connections.write(call)?)
    }
}

impl Positions for SqlitePositions {
    fn name(&self) -> &str {
        self.connections.name()
    }

    fn migrate(&self) -> Answer<()> {
        self.write(migrate)
    }

    fn claim(&self, of: &TypeId, topic: &str) -> Answer<Claimed> {
        self.write(|file| claim(file, of, topic))
    }

    fn standing(&self, of: &TypeId) -> Answer<Option<Standing>> {
        self.read(|file| find(file, of))
    }

    fn all(&self) -> Answer<Vec<(TypeId, Standing)>> {
        self.read(|file| {
            let mut select = file.prepare_cached(ALL)?;
            let rows = select.query_map([], |row| Ok((type_id(row)?, standing(row)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn release_topic(&self, of: &TypeId) -> Answer<()> {
        const RELEASE: &str =
            "UPDATE producer_positions SET topic = NULL WHERE realm = ? AND schema_id = ?";
        self.write(|file| {
            Ok(file
                .execute(RELEASE, params![of.realm, of.schema_id])
                .map(drop)?)
        })
    }

    fn record(&self, of: &TypeId, generation: i64, progress: &Progress) -> Answer<()> {
        let done = self.write(|file| record(file, of, generation, progress))?;
        superseded_unless(done, of)
    }

    fn set_mode(&self, of: &TypeId, mode: Mode) -> Answer<()> {
        const SET: &str =
            "UPDATE producer_positions SET mode = ?3 WHERE realm = ?1 AND schema_id = ?2";
        let set = self
            .write(|file| Ok(file.execute(SET, params![of.realm, of.schema_id, mode.word()])?))?;
        superseded_unless(set == 1, of)
    }

    fn reset(&self, of: &TypeId) -> Answer<()> {
        let done = self.write(|file| reset(file, of))?;
        superseded_unless(done, of)
    }

    fn known(&self, of: &TypeId, from: &Position, to: &Position) -> Answer<HashSet<Mark>> {
        self.read(|file| known(file, of, from, to))
    }

    fn quarantine(&self, of: &TypeId, entities: &[Unsendable]) -> Answer<()> {
        self.write(|file| quarantine(file, of, entities))
    }

    fn quarantined(
        &self,
        of: Option<&TypeId>,
        after: Option<&Quarantined>,
        limit: usize,
    ) -> Answer<Vec<Quarantined>> {
        self.read(|file| quarantined(file, of, after, limit))
    }

    fn quarantine_counts(&self) -> Answer<BTreeMap<TypeId, u64>> {
        const COUNTS: &str =
            "SELECT realm, schema_id, count(*) AS n FROM producer_quarantine GROUP BY 1, 2";
        self.read(|file| {
            let mut select = file.prepare_cached(COUNTS)?;
            let rows = select.query_map([], |row| {
                Ok((type_id(row)?, row.get::<_, i64>("n")? as u64))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn ask_replay(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        const ASK: &str = "
            UPDATE producer_quarantine SET replay = 1
            WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
                AND (?3 IS NULL OR entity_id = ?3)";
        let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
        self.write(|file| Ok(file.execute(ASK, params![realm, schema_id, id])? as u64))
    }

    fn to_replay(&self, of: &TypeId, limit: usize) -> Answer<Vec<Unsendable>> {
        const TO_REPLAY: &str = "
            SELECT entity_id, modified, reason, bytes FROM producer_quarantine
            WHERE realm = ? AND schema_id = ? AND replay ORDER BY modified, entity_id LIMIT ?";
        self.read(|file| {
            let mut select = file.prepare_cached(TO_REPLAY)?;
            let rows =
                select.query_map(params![of.realm, of.schema_id, limit as i64], unsendable)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn drop_quarantined(&self, of: Option<&TypeId>, id: Option<&Uuid>) -> Answer<u64> {
        self.write(|file| drop_quarantined(file, of, id))
    }
}

fn superseded_unless(done: bool, of: &TypeId) -> Answer<()> {
    match done {
        true => Ok(()),
        false => Err(PositionsError::Superseded { of: of.clone() }),
    }
}

/// A version of its own: the file's belongs to the catalogue, which may be in
/// it too.
fn migrate(file: &Transaction<'_>) -> Result<(), Fault> {
    file.execute_batch("CREATE TABLE IF NOT EXISTS producer_version (version INTEGER NOT NULL)")?;
    const VERSION: &str = "SELECT coalesce(max(version), 0) FROM producer_version";
    let before: i32 = file.query_row(VERSION, [], |row| row.get(0))?;
    let runner = embedded::migrations::runner();
    let mut migrations: Vec<_> = runner
        .get_migrations()
        .iter()
        .filter_map(|one| Some((one.version(), one.sql()?)))
        .collect();
    migrations.sort();
    let known = migrations.last().map_or(0, |(version, _)| *version);
    if before > known {
        return Err(Fault::Refused(format!(
            "the producer's tables are of a newer version ({before}), this program knows up to {known}: use a newer archive_ingest"
        )));
    }
    for (version, sql) in migrations {
        if version > before {
            file.execute_batch(sql)?;
            file.execute("INSERT INTO producer_version VALUES (?)", [version])?;
        }
    }
    Ok(())
}

const STANDING: &str = r#"
    SELECT topic, "position", known_from, generation, mode, log_ends, open_chunk
    FROM producer_positions WHERE realm = ? AND schema_id = ?
"#;

const ALL: &str = r#"
    SELECT realm, schema_id, topic, "position", known_from, generation, mode, log_ends
    FROM producer_positions ORDER BY realm, schema_id
"#;

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        topic: row.get("topic")?,
        position: row.get::<_, String>("position")?.into(),
        known_from: row.get::<_, String>("known_from")?.into(),
        generation: row.get("generation")?,
        mode: Mode::parse(&row.get::<_, String>("mode")?),
        log_ends: ends::parse(&row.get::<_, String>("log_ends")?),
    })
}

fn type_id(row: &Row<'_>) -> rusqlite::Result<TypeId> {
    Ok(TypeId {
        realm: row.get("realm")?,
        schema_id: row.get("schema_id")?,
    })
}

fn find(file: &Transaction<'_>, of: &TypeId) -> Result<Option<Standing>, Fault> {
    let mut select = file.prepare_cached(STANDING)?;
    let found = select.query_row(params![of.realm, of.schema_id], standing);
    Ok(found.optional()?)
}

fn claim(file: &Transaction<'_>, of: &TypeId, topic: &str) -> Result<Claimed, Fault> {
    const OWNER: &str = "SELECT realm, schema_id FROM producer_positions WHERE topic = ?";
    const INSERT: &str = r#"
        INSERT INTO producer_positions (realm, schema_id, topic, "position", known_from)
        VALUES (?, ?, ?, '', '') ON CONFLICT (realm, schema_id) DO NOTHING"#;
    const SET_TOPIC: &str = "
        UPDATE producer_positions SET topic = ?3, log_ends = ''
        WHERE realm = ?1 AND schema_id = ?2 AND topic IS NOT ?3";
    let owner = file.query_row(OWNER, [topic], type_id).optional()?;
    if let Some(owner) = owner.filter(|owner| owner != of) {
        return Ok(Claimed::Taken(owner));
    }
    file.execute(INSERT, params![of.realm, of.schema_id, topic])?;
    file.execute(SET_TOPIC, params![of.realm, of.schema_id, topic])?;
    let found = file.query_row(STANDING, params![of.realm, of.schema_id], standing)?;
    Ok(Claimed::Standing(found))
}

/// Whether it was recorded: not when the type has been rebuilt.
fn record(
    file: &Transaction<'_>,
    of: &TypeId,
    generation: i64,
    progress: &Progress,
) -> Result<bool, Fault> {
    const UPDATE: &str = r#"
        UPDATE producer_positions SET "position" = ?3, known_from = ?4, log_ends = ?5,
            open_chunk = ?6 WHERE realm = ?1 AND schema_id = ?2"#;
    const RELEASE: &str = "
        DELETE FROM producer_quarantine
        WHERE realm = ? AND schema_id = ? AND entity_id = ? AND modified = ?";
    let row = |row: &Row<'_>| Ok((standing(row)?, row.get::<_, Option<i64>>("open_chunk")?));
    let found = file.query_row(STANDING, params![of.realm, of.schema_id], row);
    let Some((before, mut open_chunk)) = found.optional()? else {
        return Ok(false);
    };
    if before.generation != generation {
        return Ok(false);
    }
    for sent in &progress.sent {
        open_chunk = add_chunk(file, of, sent, open_chunk)?;
    }
    let position = before.position.max(progress.position.clone());
    let known_from = match &progress.known_from {
        Some(from) => before.known_from.max(from.clone()),
        None => before.known_from,
    };
    let ends = ends::to_text(&ends::merge(before.log_ends, &progress.log_ends));
    let (position, known_from) = (position.as_str(), known_from.as_str());
    file.execute(
        UPDATE,
        params![
            of.realm,
            of.schema_id,
            position,
            known_from,
            ends,
            open_chunk
        ],
    )?;
    for (id, modified) in &progress.released {
        file.execute(
            RELEASE,
            params![of.realm, of.schema_id, id, modified.as_str()],
        )?;
    }
    Ok(true)
}

/// The chunk that grows from now on.
fn add_chunk(
    file: &Transaction<'_>,
    of: &TypeId,
    sent: &Sent,
    open: Option<i64>,
) -> Result<Option<i64>, Fault> {
    // `||` would make a text of two blobs.
    const APPEND: &str = "
        UPDATE producer_sent SET last = max(last, ?2), marks = CAST(marks || ?3 AS BLOB)
        WHERE id = ?1 AND length(marks) < ?4";
    const INSERT: &str = "
        INSERT INTO producer_sent (realm, schema_id, first, last, marks) VALUES (?, ?, ?, ?, ?)";
    let (first, last) = (sent.first.as_str(), sent.last.as_str());
    let marks = Mark::join(&sent.marks);
    if let Some(open) = open.filter(|_| sent.is_in_order)
        && file.execute(APPEND, params![open, last, marks, OPEN_CHUNK_BYTES])? == 1
    {
        return Ok(Some(open));
    }
    file.execute(INSERT, params![of.realm, of.schema_id, first, last, marks])?;
    Ok(match sent.is_in_order {
        true => Some(file.last_insert_rowid()),
        false => open,
    })
}

fn reset(file: &Transaction<'_>, of: &TypeId) -> Result<bool, Fault> {
    const FORGET: &str = r#"
        UPDATE producer_positions SET "position" = '', known_from = '', log_ends = '',
            open_chunk = NULL, generation = generation + 1, mode = 'paused'
        WHERE realm = ? AND schema_id = ?"#;
    const FORGET_SENT: &str = "DELETE FROM producer_sent WHERE realm = ? AND schema_id = ?";
    const FORGET_BAD: &str = "DELETE FROM producer_quarantine WHERE realm = ? AND schema_id = ?";
    if file.execute(FORGET, params![of.realm, of.schema_id])? != 1 {
        return Ok(false);
    }
    for statement in [FORGET_SENT, FORGET_BAD] {
        file.execute(statement, params![of.realm, of.schema_id])?;
    }
    Ok(true)
}

fn known(
    file: &Transaction<'_>,
    of: &TypeId,
    from: &Position,
    to: &Position,
) -> Result<HashSet<Mark>, Fault> {
    const SENT: &str = "
        SELECT marks FROM producer_sent
        WHERE realm = ? AND schema_id = ? AND last >= ? AND first <= ?";
    const BAD: &str = "
        SELECT entity_id, modified FROM producer_quarantine
        WHERE realm = ? AND schema_id = ? AND modified >= ? AND modified <= ?";
    let range = params![of.realm, of.schema_id, from.as_str(), to.as_str()];
    let mut known = HashSet::new();
    let mut select = file.prepare_cached(SENT)?;
    let mut rows = select.query(range)?;
    while let Some(row) = rows.next()? {
        known.extend(Mark::split(row.get_ref(0)?.as_blob().unwrap_or_default()));
    }
    let mut select = file.prepare_cached(BAD)?;
    let bad = select.query_map(range, |row| {
        let modified: String = row.get(1)?;
        Ok(Mark::of(&row.get(0)?, &modified.into()))
    })?;
    for mark in bad {
        known.insert(mark?);
    }
    Ok(known)
}

fn quarantine(file: &Transaction<'_>, of: &TypeId, bad: &[Unsendable]) -> Result<(), Fault> {
    const ADD: &str = "
        INSERT INTO producer_quarantine
            (realm, schema_id, entity_id, modified, reason, bytes, found_at)
        VALUES (?, ?, ?, ?, ?, ?, unixepoch('subsec') * 1000)
        ON CONFLICT (realm, schema_id, modified, entity_id)
        DO UPDATE SET reason = excluded.reason, replay = 0";
    let mut add = file.prepare_cached(ADD)?;
    for one in bad {
        let (modified, bytes) = (one.modified.as_str(), one.bytes as i64);
        add.execute(params![
            of.realm,
            of.schema_id,
            one.id,
            modified,
            one.reason,
            bytes
        ])?;
    }
    Ok(())
}

fn quarantined(
    file: &Transaction<'_>,
    of: Option<&TypeId>,
    after: Option<&Quarantined>,
    limit: usize,
) -> Result<Vec<Quarantined>, Fault> {
    const LIST: &str = "
        SELECT realm, schema_id, entity_id, modified, reason, bytes, replay, found_at
        FROM producer_quarantine
        WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
            AND (?3 IS NULL OR (realm, schema_id, modified, entity_id) > (?3, ?4, ?5, ?6))
        ORDER BY realm, schema_id, modified, entity_id LIMIT ?7";
    let mut select = file.prepare_cached(LIST)?;
    let rows = select.query_map(
        params![
            of.map(|of| &of.realm),
            of.map(|of| of.schema_id),
            after.map(|row| &row.of.realm),
            after.map(|row| row.of.schema_id),
            after.map(|row| row.entity.modified.as_str()),
            after.map(|row| row.entity.id),
            limit as i64,
        ],
        |row| {
            Ok(Quarantined {
                of: type_id(row)?,
                entity: unsendable(row)?,
                found_at: row.get("found_at")?,
                replay: row.get("replay")?,
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn unsendable(row: &Row<'_>) -> rusqlite::Result<Unsendable> {
    Ok(Unsendable {
        id: row.get("entity_id")?,
        modified: row.get::<_, String>("modified")?.into(),
        reason: row.get("reason")?,
        bytes: row.get::<_, i64>("bytes")? as u64,
    })
}

fn drop_quarantined(
    file: &Transaction<'_>,
    of: Option<&TypeId>,
    id: Option<&Uuid>,
) -> Result<u64, Fault> {
    const DROP: &str = "
        DELETE FROM producer_quarantine
        WHERE (?1 IS NULL OR realm = ?1) AND (?2 IS NULL OR schema_id = ?2)
            AND (?3 IS NULL OR entity_id = ?3)
        RETURNING realm, schema_id, entity_id, modified";
    let mut delete = file.prepare_cached(DROP)?;
    let (realm, schema_id) = (of.map(|of| &of.realm), of.map(|of| of.schema_id));
    let rows = delete.query_map(params![realm, schema_id, id], |row| {
        let modified = Position::from(row.get::<_, String>("modified")?);
        let mark = Mark::of(&row.get("entity_id")?, &modified);
        Ok((type_id(row)?, (modified, mark)))
    })?;
    let dropped: Vec<(TypeId, (Position, Mark))> = rows.collect::<Result<_, _>>()?;
    let mut by_type: BTreeMap<TypeId, Vec<(Position, Mark)>> = BTreeMap::new();
    let count = dropped.len() as u64;
    for (of, entity) in dropped {
        by_type.entry(of).or_default().push(entity);
    }
    for (of, entities) in by_type {
        if let Some(sent) = Sent::late(entities) {
            add_chunk(file, &of, &sent, None)?;
        }
    }
    Ok(count)
}
