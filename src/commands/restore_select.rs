//! Which records are restored: from what was typed to the catalogue's filters.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::UsageError;
use super::asked_uuids::AskedUuids;
use super::select::Chosen;
use crate::catalogue::{Catalogue, RowFilter, StreamFilter};
use crate::cli::RestoreArgs;
use crate::restore::Options;

/// All of them are kept in memory.
const MOST_UUIDS: usize = 1_000_000;

/// UUIDs looked up in one question.
const LOOK_UP: usize = 1_000;

/// What was typed, understood.
pub(super) struct Selection {
    chosen: Chosen,
    times: (Option<i64>, Option<i64>),
    uuids: Option<BTreeSet<Uuid>>,
}

/// What the catalogue has of it.
#[derive(Default)]
pub(super) struct Selected {
    pub topics: Vec<String>,
    by_topic: BTreeMap<String, Vec<Uuid>>,
    /// UUIDs that were asked for and that the archive does not have.
    pub unknown: Vec<Uuid>,
    /// Messages that were asked for by UUID and never were on Kafka.
    pub direct_uploads: Vec<Uuid>,
}

impl Selected {
    /// Whether the archive has nothing of what was named: not even one topic.
    pub fn is_nothing(&self) -> bool {
        self.topics.is_empty() && self.unknown.is_empty() && self.direct_uploads.is_empty()
    }
}

impl Selection {
    /// Relative times are before `now`. Reads the file of UUIDs, and asks
    /// nobody.
    pub fn read(args: &RestoreArgs, now: Timestamp) -> anyhow::Result<Self> {
        if args.select.topics.is_empty() && args.uuid_file.is_none() {
            return Err(UsageError(
                "nothing says what to restore: name topics with --topic (all of them: --topic '*') or messages with --uuid-file".to_owned(),
            )
            .into());
        }
        let chosen = Chosen::read(&args.select, now)?;
        Ok(Self {
            times: chosen.times(),
            chosen,
            uuids: args.uuid_file.as_deref().map(uuids).transpose()?,
        })
    }

    /// Blocks.
    pub fn ask(&self, catalogue: &dyn Catalogue) -> anyhow::Result<Selected> {
        let Some(uuids) = &self.uuids else {
            let RowFilter { topics, .. } = self.chosen.filter(catalogue)?;
            let topics = topics.unwrap_or_default();
            return Ok(Selected {
                topics: topics.into_iter().filter(|t| !t.contains('+')).collect(),
                ..Selected::default()
            });
        };
        let mut selected = Selected::default();
        let uuids: Vec<Uuid> = uuids.iter().copied().collect();
        for part in uuids.chunks(LOOK_UP) {
            let mut unknown: BTreeSet<Uuid> = part.iter().copied().collect();
            for stored in catalogue.fetch(part)? {
                let row = stored.row;
                unknown.remove(&row.uuid);
                if row.direct_upload {
                    selected.direct_uploads.push(row.uuid);
                } else if self.chosen.has_topic(&row.topic) {
                    let of_topic = selected.by_topic.entry(row.topic.to_string());
                    of_topic.or_default().push(row.uuid);
                }
            }
            selected.unknown.extend(unknown);
        }
        selected.topics = selected.by_topic.keys().cloned().collect();
        Ok(selected)
    }

    pub fn filter(&self, topic: &str, selected: &Selected) -> StreamFilter {
        let (since, until) = self.times;
        let mut uuids = selected.by_topic.get(topic).cloned();
        if let Some(uuids) = &mut uuids {
            uuids.sort_unstable();
        }
        StreamFilter {
            topic: topic.to_owned(),
            since,
            until,
            uuids,
            added: None,
        }
    }

    /// The same words for the same records in the same form, and no others.
    pub fn in_words(&self, filter: &StreamFilter, options: &Options) -> String {
        let mut words = vec![];
        words.extend(filter.since.map(|ms| format!("--since {ms}")));
        words.extend(filter.until.map(|ms| format!("--until {ms}")));
        words.extend(filter.uuids.as_ref().map(|uuids| {
            let mut hash = Sha256::new();
            uuids.iter().for_each(|uuid| hash.update(uuid.as_bytes()));
            let digest = hex::encode(hash.finalize());
            format!("--uuid-file of {} (sha256 {})", uuids.len(), &digest[..16])
        }));
        words.extend(options.by_key.then(|| "--by-key".to_owned()));
        words.extend(options.mark.then(|| "--mark".to_owned()));
        match words.is_empty() {
            true => "everything".to_owned(),
            false => words.join(" "),
        }
    }
}

/// A line each; `-` is standard input.
fn uuids(path: &Path) -> anyhow::Result<BTreeSet<Uuid>> {
    let name = path.display().to_string();
    if name == "-" {
        return read_uuids(io::stdin(), "standard input");
    }
    let file = File::open(path)
        .map_err(|error| UsageError(format!("--uuid-file {name} cannot be read: {error}")))?;
    read_uuids(file, &name)
}

fn read_uuids(input: impl Read, name: &str) -> anyhow::Result<BTreeSet<Uuid>> {
    let mut asked = AskedUuids::of(&["-".to_owned()], input)?;
    let mut uuids = BTreeSet::new();
    loop {
        let batch = asked
            .next()
            .with_context(|| format!("{name} cannot be read"))?;
        if let Some(UsageError(bad)) = batch.bad {
            return Err(UsageError(bad.replacen("standard input", name, 1)).into());
        }
        if batch.uuids.is_empty() {
            break;
        }
        uuids.extend(batch.uuids);
        if uuids.len() > MOST_UUIDS {
            return Err(UsageError(format!(
                "{name} has more than {MOST_UUIDS} UUIDs: split it, or select by --topic and --since"
            ))
            .into());
        }
    }
    match uuids.is_empty() {
        true => Err(UsageError(format!("{name} has no UUID: write one a line")).into()),
        false => Ok(uuids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Result<usize, String> {
        read_uuids(input.as_bytes(), "list.txt")
            .map(|uuids| uuids.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_uuids_has_one_a_line_and_each_counts_once() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(read(&format!("{one}\n\n{two}\r\n{one}\n")), Ok(2));
    }

    #[test]
    fn what_is_no_uuid_is_told_with_file_and_line() {
        let bad = read(&format!("{}\nnonsense\n", Uuid::from_u128(1)));
        let bad = bad.expect_err("nonsense");
        assert!(
            bad.contains("list.txt, line 2") && bad.contains("nonsense"),
            "{bad}"
        );
        let empty = read("\n").expect_err("nothing in it");
        assert!(empty.contains("no UUID"), "{empty}");
    }
}
