//! `status`: what the archive has and how it is doing, on one screen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::status_loops::Loops;
use super::status_report::{Lag, Status, TopicStatus};
use super::verifications::Verifications;
use super::{Exit, open, output, topics};
use crate::catalogue::{Catalogue, CatalogueError, RowFilter};
use crate::cli::StatusArgs;
use crate::config::{Config, HopKind};

/// Ms.
const HOUR: i64 = 60 * 60 * 1000;

/// `status`: one screen, or one JSON document. Exit 0 if the catalogue answers;
/// with `--check` 1 if anything needs a person. Blocks.
pub fn status(config: &Config, args: &StatusArgs, json: bool) -> anyhow::Result<Exit> {
    let hop = config.hop()?;
    let catalogue = open::catalogue_to_read(config)?;
    let mut status = read(&*catalogue, Timestamp::now().as_millisecond())?;
    status.lag = match hop.kind {
        HopKind::Mock => Lag::NotAsked,
        HopKind::Kafka { .. } => match topics::lags(&hop) {
            Ok(lags) => Lag::Of(lags),
            Err(error) => Lag::Unknown(error.to_string()),
        },
    };
    status.loops = Loops::read(config, &hop, &status.lag)?;
    let store = tokio::runtime::Runtime::new()?.block_on(open::store_to_read(config));
    status.store = match store {
        Ok(store) => Ok(store.name().to_owned()),
        Err(error) => Err(format!("{error:#}")),
    };
    match json {
        true => output::print(&format!("{}\n", status.as_json()))?,
        false => output::print(&status.as_table())?,
    }
    Ok(match args.check && !status.attention().is_empty() {
        true => Exit::Found,
        false => Exit::Clean,
    })
}

fn read(catalogue: &dyn Catalogue, now: i64) -> Result<Status, CatalogueError> {
    Ok(Status {
        catalogue: catalogue.name().to_owned(),
        state: catalogue.upkeep().state()?,
        now,
        topics: topics_of(catalogue, now)?,
        newest: catalogue.upkeep().newest_row()?.map(|stored| stored.row),
        archived_at: catalogue.upkeep().newest_archived_at()?,
        store: Err("not asked".to_owned()),
        gaps: catalogue.gaps()?,
        stuck: catalogue.stuck()?,
        verifications: Verifications::read(catalogue)?,
        lag: Lag::NotAsked,
        loops: Loops::default(),
    })
}

fn topics_of(catalogue: &dyn Catalogue, now: i64) -> Result<Vec<TopicStatus>, CatalogueError> {
    let since = |ms: i64| -> Result<BTreeMap<String, i64>, CatalogueError> {
        let filter = RowFilter {
            since: Some(now - ms),
            // A clock that is ahead is not the last hour.
            until: Some(now + 1),
            ..RowFilter::default()
        };
        let counts = catalogue.count_by_topic(&filter)?;
        Ok(counts
            .into_iter()
            .map(|of| (of.topic, of.messages))
            .collect())
    };
    let (day, hour) = (since(24 * HOUR)?, since(HOUR)?);
    let all = catalogue.count_by_topic(&RowFilter::default())?;
    let of = |counts: &BTreeMap<String, i64>, topic: &str| {
        counts.get(topic).copied().unwrap_or_default()
    };
    Ok(all
        .into_iter()
        .map(|summary| TopicStatus {
            day: of(&day, &summary.topic),
            hour: of(&hour, &summary.topic),
            summary,
        })
        .collect())
}
