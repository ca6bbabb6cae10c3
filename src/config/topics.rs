//! Which topics: globs, vetoes and the veto list.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

/// Kafka's limit on a topic's name, in characters.
const LONGEST_TOPIC: usize = 249;

/// The catalogue's mark on a topic's messages that were uploaded directly.
const OVERSIZED: &str = "+oversized";

/// A list of topic names or globs (`*`, `?`, `[…]`, `{a,b}`).
#[derive(Clone)]
pub struct TopicGlobs {
    patterns: Vec<String>,
    /// One each: a `GlobSet` matches paths, and holds that a name which ends
    /// in a dot has no last part.
    matchers: Vec<GlobMatcher>,
}

/// Why a text is no topic name or glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("an empty topic name or glob: remove it or name a topic")]
    Empty,
    #[error(
        "the topic name or glob that starts with {0:?} is longer than 249 characters, Kafka's limit: shorten it"
    )]
    TooLong(String),
    #[error(
        "{pattern:?} contains {character:?}, which no topic's name has (letters, digits, . _ - and the glob characters * ? [ ] {{ }} ! ^ ,): remove it"
    )]
    Illegal { pattern: String, character: char },
    #[error("{pattern:?} is not a valid glob: {cause}; correct it")]
    Glob { pattern: String, cause: String },
}

impl TopicGlobs {
    /// No topic.
    pub fn none() -> Self {
        TopicGlobs {
            patterns: Vec::new(),
            matchers: Vec::new(),
        }
    }

    /// Takes the patterns in their order; the first bad one is the error.
    pub fn parse<I, S>(patterns: I) -> Result<Self, PatternError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let mut globs = TopicGlobs::none();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            globs.matchers.push(matcher(pattern)?);
            globs.patterns.push(pattern.to_owned());
        }
        Ok(globs)
    }

    pub fn is_match(&self, topic: &str) -> bool {
        self.matchers.iter().any(|matcher| matcher.is_match(topic))
    }

    /// The first pattern that the topic matches.
    pub fn matching(&self, topic: &str) -> Option<&str> {
        let index = self
            .matchers
            .iter()
            .position(|matcher| matcher.is_match(topic))?;
        self.patterns.get(index).map(String::as_str)
    }

    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, PatternError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-*?[]{}!^,".contains(c);
    if pattern.is_empty() {
        return Err(PatternError::Empty);
    }
    if let Some(character) = pattern.chars().find(|c| !legal(*c)) {
        return Err(PatternError::Illegal {
            pattern: pattern.chars().take(LONGEST_TOPIC).collect(),
            character,
        });
    }
    if pattern.len() > LONGEST_TOPIC {
        return Err(PatternError::TooLong(pattern.chars().take(20).collect()));
    }
    let glob = GlobBuilder::new(pattern).backslash_escape(false).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| PatternError::Glob {
            pattern: pattern.to_owned(),
            cause: error.kind().to_string(),
        })
}

/// What is wrong with a text that [`is_topic_name`] does not take.
pub fn not_a_topic_name(text: &str) -> String {
    format!("{text:?} is not the name of a topic (1 to 249 of letters, digits, . _ -)")
}

/// Whether Kafka takes it as a topic's name: 1 to 249 of `a-z A-Z 0-9 . _ -`,
/// and not `.` or `..` (Kafka's `Topic.validate`).
pub fn is_topic_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty()
        && name.len() <= LONGEST_TOPIC
        && name.chars().all(legal)
        && !matches!(name, "." | "..")
}

impl PartialEq for TopicGlobs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for TopicGlobs {}

impl fmt::Debug for TopicGlobs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.patterns.fmt(out)
    }
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

/// Whether a topic is archived, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    Wanted,
    /// `hop-topics` or the test topic leave it out.
    NotWanted,
    /// Left out by this pattern of `hop-vetoed-topics` or the veto list.
    Vetoed {
        by: &'a str,
    },
    /// The broker's own: [`is_internal`].
    Internal,
}

impl TopicSelection {
    /// Internal topics first, then the vetoes, then what is wanted: a veto
    /// holds for the test topic too.
    pub fn archives(&self, topic: &str) -> Verdict<'_> {
        if is_internal(topic) {
            return Verdict::Internal;
        }
        if let Some(by) = self.vetoed.matching(topic) {
            return Verdict::Vetoed { by };
        }
        let only_another = self.only.as_deref().is_some_and(|only| only != topic);
        if only_another || !self.wanted.is_match(topic) {
            return Verdict::NotWanted;
        }
        Verdict::Wanted
    }

    /// Whether anyone may read the topic's messages. A topic with the suffix
    /// `+oversized` counts as the one without.
    pub fn is_public(&self, topic: &str) -> bool {
        self.public
            .is_match(topic.strip_suffix(OVERSIZED).unwrap_or(topic))
    }
}

/// The broker's own bookkeeping: `__consumer_offsets`, `__transaction_state`,
/// `__share_group_state`, `__cluster_metadata` and whatever else starts with
/// two underscores, the prefix that Kafka and its companions keep for that.
pub fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}
