//! What a catalogue is: its identity, and whether it has every row.

use uuid::Uuid;

use super::CatalogueError;

/// The one row of `catalogue_state`, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueState {
    /// Another one where serial numbers mean other messages: in every new
    /// catalogue, and after a rebuild that added rows.
    pub id: Uuid,
    /// Not while a rebuild is under way, or was stopped.
    pub is_complete: bool,
    /// Parts of an unfinished rebuild that are still to be read, as `2/3`.
    pub missing_parts: Vec<String>,
    /// Rows with a higher serial number were added when signing was in use;
    /// `None`: it never was.
    pub signed_after: Option<i64>,
    /// Messages that a rebuild took from objects without a valid signature.
    pub unconfirmed: u64,
}

impl CatalogueState {
    /// Why the catalogue must not be trusted to have every row, and what to do;
    /// `None` where it is complete.
    pub fn incomplete(&self) -> Option<String> {
        if self.is_complete {
            return None;
        }
        let parts = match self.missing_parts.as_slice() {
            [] | [_] => String::new(),
            several => format!(" (parts {} are missing)", several.join(", ")),
        };
        Some(format!(
            "the catalogue is incomplete: a rebuild is running or was stopped{parts}; wait for it, or run rebuild-catalogue again to its end"
        ))
    }
}

/// The parts that are missing, of divisions of which some part was begun.
/// `begun`: parts, part, whether it is finished.
pub(super) fn missing_parts(begun: &[(i32, i32, bool)]) -> Vec<String> {
    // Whoever divides anew leaves an older division unfinished: the last one in
    // order is named.
    let Some(parts) = begun.iter().map(|(parts, ..)| *parts).max() else {
        return vec![];
    };
    (1..=parts)
        .filter(|part| !begun.contains(&(parts, *part, true)))
        .map(|part| format!("{part}/{parts}"))
        .collect()
}

/// A claim was refused because the catalogue is incomplete.
pub(super) fn incomplete_error(database: &str) -> CatalogueError {
    CatalogueError::Unavailable {
        database: database.to_owned(),
        cause: "the catalogue is being rebuilt, and nothing is archived before it is complete: wait for rebuild-catalogue, or run it again if it was stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_were_not_begun_are_missing_too() {
        assert_eq!(missing_parts(&[]), Vec::<String>::new());
        assert_eq!(missing_parts(&[(1, 1, false)]), ["1/1"]);
        let begun = [(3, 1, true), (3, 2, false)];
        assert_eq!(missing_parts(&begun), ["2/3", "3/3"]);
    }
}
