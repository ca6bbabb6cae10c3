//! What cannot be archived now.

use std::sync::Arc;

/// A partition that cannot be read on, or a record that waits for an object that
/// cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stuck {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The first offset that is not archived, where it is known.
    pub offset: Option<i64>,
    /// The key of the object that the record at `offset` waits for; `None`: the
    /// partition itself cannot be read.
    pub object: Option<String>,
    pub cause: String,
}

impl Stuck {
    /// What the table holds for an offset that is not known.
    pub(super) const UNKNOWN_OFFSET: i64 = -1;

    pub(super) fn stored_offset(&self) -> i64 {
        self.offset.unwrap_or(Self::UNKNOWN_OFFSET)
    }

    pub(super) fn stored_object(&self) -> &str {
        self.object.as_deref().unwrap_or_default()
    }
}
