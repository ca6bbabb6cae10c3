//! Which topics: globs, vetoes and the veto list.

use globset::GlobSet;

/// A list of topic names or globs (`*`, `?`, `[…]`, `{a,b}`).
#[derive(Clone, Debug)]
pub struct TopicGlobs {
    patterns: Vec<String>,
    set: GlobSet,
}

/// Which topics are archived, and which of those are public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSelection {
    /// `hop-topics`. Default `*`.
    pub wanted: TopicGlobs,
    /// `hop-vetoed-topics` and the lines of the veto list.
    pub vetoed: TopicGlobs,
    /// `hop-test-topic` or `--test-topic`: this one and no other.
    pub only: Option<String>,
    /// `hop-public-topics`. Default none.
    pub public: TopicGlobs,
}
