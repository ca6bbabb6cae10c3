//! Stanzas with `kernel-` keys: where entities come from. Known as a kind, so
//! that a file with them is understood; nothing reads entities yet.

use super::key::Key;

pub(super) const KEYS: &[&Key] = &[];

/// What to do instead of choosing one.
pub(super) const INSTEAD: &str = "this version archives and reads no kernel; leave -K out";
