//! `quarantine`: the entities that could not be published.

use std::io::Write;

use serde::Serialize;

use super::output::{self, Stdout};
use super::{Exit, UsageError, open, table};
use crate::cli::{QuarantineArgs, QuarantineCommand};
use crate::config::Config;
use crate::entities::TypeId;
use crate::produce::Pass;
use crate::produce::positions::{Positions, Quarantined};
use crate::shutdown;

/// Rows that are read at once.
const PAGE: usize = 1000;

/// One entity.
#[derive(Serialize)]
struct Line {
    realm: String,
    schema_id: uuid::Uuid,
    id: uuid::Uuid,
    modified: String,
    reason: String,
    /// Of its payload.
    bytes: u64,
    /// RFC 3339, UTC.
    found_at: String,
    replay: bool,
}

pub fn quarantine(
    config: &Config,
    command: &QuarantineCommand,
    json: bool,
) -> anyhow::Result<Exit> {
    match command {
        QuarantineCommand::List(args) => list(config, args, json),
        QuarantineCommand::Replay(args) => replay(config, args, json),
        QuarantineCommand::Drop(args) => {
            let positions = open::positions(&open::publishing_config(config)?)?;
            let mut count = 0;
            for of in types(&*positions, args)? {
                count += positions.drop_quarantined(Some(&of), args.id.as_ref())?;
            }
            tell("dropped", count, json)
        }
    }
}

/// The types that have entities in the quarantine and that are asked for.
fn types(positions: &dyn Positions, args: &QuarantineArgs) -> anyhow::Result<Vec<TypeId>> {
    let is_asked = |of: &TypeId| {
        args.realm.as_ref().is_none_or(|realm| *realm == of.realm)
            && args.schema_id.is_none_or(|id| id == of.schema_id)
    };
    let counts = positions.quarantine_counts()?;
    Ok(counts.into_keys().filter(is_asked).collect())
}

fn list(config: &Config, args: &QuarantineArgs, json: bool) -> anyhow::Result<Exit> {
    let positions = open::positions(&open::publishing_config(config)?)?;
    let mut out = Stdout::new();
    let mut rows = Vec::new();
    for of in types(&*positions, args)? {
        let mut after: Option<Quarantined> = None;
        loop {
            let page = positions.quarantined(Some(&of), after.as_ref(), PAGE)?;
            let asked = page
                .iter()
                .filter(|row| args.id.is_none_or(|id| id == row.entity.id));
            match json {
                true => asked.map(line).try_for_each(|line| out.json_line(&line))?,
                false => rows.extend(asked.map(line)),
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    if !json {
        let columns = [
            "realm",
            "schema id",
            "id",
            "modified",
            "bytes",
            "found",
            "reason",
        ];
        let rows = rows.into_iter().map(|line| {
            [
                line.realm,
                line.schema_id.to_string(),
                line.id.to_string(),
                line.modified,
                line.bytes.to_string(),
                line.found_at,
                output::one_line(&line.reason).into_owned(),
            ]
        });
        out.write_all(table::render(columns, rows).as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Clean)
}

fn line(row: &Quarantined) -> Line {
    Line {
        realm: row.of.realm.clone(),
        schema_id: row.of.schema_id,
        id: row.entity.id,
        modified: row.entity.modified.to_string(),
        reason: row.entity.reason.clone(),
        bytes: row.entity.bytes,
        found_at: output::time(row.found_at),
        replay: row.replay,
    }
}

fn replay(config: &Config, args: &QuarantineArgs, json: bool) -> anyhow::Result<Exit> {
    let (_trigger, shutdown) = shutdown::signal();
    let publishing = open::publishing(config)?;
    let asked = types(&*publishing.positions, args)?;
    let mut marked = 0;
    for of in &asked {
        marked += publishing
            .positions
            .ask_replay(Some(of), args.id.as_ref())?;
    }
    if marked == 0 {
        return Err(UsageError("the quarantine has no such entity".to_owned()).into());
    }
    let is_asked = |one: &crate::entities::EntityType, _: &str| asked.contains(&one.id);
    let outcomes = publishing
        .producer
        .run_once(is_asked, Pass::Replay, &shutdown)?;
    let mut count = 0;
    for outcome in outcomes.values() {
        count += outcome.published;
        if let Some(trouble) = &outcome.trouble {
            output::note(&format!("{}: {trouble}", outcome.topic));
        }
    }
    tell("published", count, json)?;
    Ok(match count == marked {
        true => Exit::Clean,
        false => Exit::Found,
    })
}

fn tell(what: &str, count: u64, json: bool) -> anyhow::Result<Exit> {
    match json {
        true => output::print(&format!("{}\n", serde_json::json!({ what: count })))?,
        false => output::print(&format!("{count} {what}\n"))?,
    }
    Ok(Exit::Clean)
}
