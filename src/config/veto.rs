//! The veto list: topics that are never archived, one topic or glob a line.

use std::path::Path;

use super::document::Source;
use super::error::{ConfigError, Problem};
use super::topics::TopicGlobs;

/// The patterns of a list, and all that is wrong with its other lines.
#[derive(Clone, Debug, Default)]
pub(super) struct VetoList {
    /// `None`: there is no list.
    pub source: Option<Source>,
    pub patterns: Vec<String>,
    pub errors: Vec<ConfigError>,
}

impl VetoList {
    /// `#` starts a comment, at the start of a line or behind a pattern: no
    /// topic's name has one.
    pub fn parse(text: &str, source: Source) -> Self {
        let mut list = VetoList::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let pattern = line.split('#').next().unwrap_or_default().trim();
            if pattern.is_empty() {
                continue;
            }
            match TopicGlobs::parse([pattern]) {
                Ok(_) => list.patterns.push(pattern.to_owned()),
                Err(error) => list.errors.push(
                    Problem::VetoLine {
                        at: source.at(index + 1),
                        why: error.to_string(),
                    }
                    .into(),
                ),
            }
        }
        list.source = Some(source);
        list
    }

    /// Errors: the file cannot be read.
    pub fn read(path: &Path, remedy: &'static str) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
            what: "veto list",
            file: file.clone(),
            cause: error.to_string(),
            remedy,
        })?;
        Ok(VetoList::parse(&text, Source::File(file)))
    }
}
