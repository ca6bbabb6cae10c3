//! Which events go to Kafka, and to which topics.

use regex::Regex;

use super::form::{Event, Unfit};
use super::names;

/// Events that go out where nothing else is configured.
const PLAIN: [&str; 4] = [
    "acapy::outbound::.*",
    "acapy::webhook::.*",
    "acapy::record::.*",
    "acapy::basicmessage::.*",
];

/// Where nothing else is configured for envelopes.
pub const ENVELOPED: [(&str, &str); 4] = [
    ("^acapy::webhook::(.*)$", "acapy-webhook-$wallet_id"),
    (
        "^acapy::record::([^:]*)::([^:]*)$",
        "acapy-record-with-state-$wallet_id",
    ),
    ("^acapy::record::([^:])?", "acapy-record-$wallet_id"),
    (
        "acapy::basicmessage::received",
        "acapy-basicmessage-received",
    ),
];

/// Patterns of bus topics, each with a template of a Kafka topic, in the order
/// of the configuration.
#[derive(Clone, Debug)]
pub struct TopicMap(Vec<(Regex, Template)>);

/// Why a map cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    #[error("the pattern {pattern:?} is not a regular expression: {cause}")]
    Pattern { pattern: String, cause: String },
    #[error(
        "the template {template:?} names {name:?}: there are $wallet_id, $state, $topic and $category, and $$ is a dollar"
    )]
    Template { template: String, name: String },
}

impl TopicMap {
    /// The events of an agent, each on a topic of its own name.
    pub fn plain() -> Self {
        let map = PLAIN.map(|pattern| (pattern.to_owned(), "$topic".to_owned()));
        // Constants, which a test reads.
        Self::parse(map).unwrap_or_else(|_| Self(vec![]))
    }

    /// Patterns with their templates. A pattern matches from the beginning of a
    /// bus topic, as the agent's bus has it.
    pub fn parse(map: impl IntoIterator<Item = (String, String)>) -> Result<Self, MapError> {
        let entry = |(pattern, template): (String, String)| {
            let regex = Regex::new(&format!("^(?:{pattern})")).map_err(|error| {
                let lines = error.to_string();
                MapError::Pattern {
                    pattern: pattern.clone(),
                    cause: lines.lines().last().unwrap_or_default().trim().to_owned(),
                }
            })?;
            Ok((regex, Template::parse(&template)?))
        };
        Ok(Self(map.into_iter().map(entry).collect::<Result<_, _>>()?))
    }

    pub fn is_match(&self, bus_topic: &str) -> bool {
        self.0
            .iter()
            .any(|(pattern, _)| pattern.is_match(bus_topic))
    }

    /// The topics of every pattern that matches, each once, in order.
    pub fn topics(
        &self,
        event: &Event,
        state: &Option<String>,
        category: Option<&str>,
    ) -> Result<Vec<String>, Unfit> {
        let value = |name: Name| match name {
            Name::WalletId => event.wallet_id.as_deref().unwrap_or("base"),
            Name::State => state.as_deref().unwrap_or("None"),
            Name::Topic => &event.topic,
            Name::Category => category.unwrap_or("None"),
        };
        let mut topics = Vec::new();
        for (pattern, template) in &self.0 {
            if !pattern.is_match(&event.topic) {
                continue;
            }
            let topic = names::to_kafka(&template.fill(value))?;
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        Ok(topics)
    }
}

/// A text with names in it, `$wallet_id` or `${wallet_id}`, as Python's
/// `string.Template` has them.
#[derive(Clone, Debug)]
struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Name(Name),
}

#[derive(Clone, Copy, Debug)]
enum Name {
    WalletId,
    State,
    Topic,
    Category,
}

impl Template {
    fn parse(template: &str) -> Result<Self, MapError> {
        let mut parts = Vec::new();
        let mut pieces = template.split('$');
        parts.extend(pieces.next().map(|text| Part::Text(text.to_owned())));
        while let Some(piece) = pieces.next() {
            if piece.is_empty() {
                // `$$`: what follows is text again.
                let rest = pieces.next().unwrap_or_default();
                parts.push(Part::Text(format!("${rest}")));
                continue;
            }
            let (name, rest) = split_name(piece);
            parts.push(Part::Name(Name::parse(name).ok_or_else(|| {
                MapError::Template {
                    template: template.to_owned(),
                    name: name.to_owned(),
                }
            })?));
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    fn fill<'a>(&'a self, value: impl Fn(Name) -> &'a str) -> String {
        let text = |part: &'a Part| match part {
            Part::Text(text) => text.as_str(),
            Part::Name(name) => value(*name),
        };
        self.0.iter().map(text).collect()
    }
}

/// The name after a `$`, and what follows it.
fn split_name(piece: &str) -> (&str, &str) {
    if let Some((name, rest)) = piece.strip_prefix('{').and_then(|p| p.split_once('}')) {
        return (name, rest);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = piece.find(|c| !is_part(c)).unwrap_or(piece.len());
    piece.split_at(end)
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "wallet_id" => Self::WalletId,
            "state" => Self::State,
            "topic" => Self::Topic,
            "category" => Self::Category,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn filled(template: &str) -> String {
        let template = Template::parse(template).expect("a sound template");
        template.fill(|name| match name {
            Name::WalletId => "w",
            Name::State => "s",
            Name::Topic => "t",
            Name::Category => "c",
        })
    }

    proptest! {
        #[test]
        fn no_template_and_no_pattern_makes_it_panic(pattern in "\\PC{0,30}", template in "[a-z${}_-]{0,30}") {
            if let Ok(map) = TopicMap::parse([(pattern, template)]) {
                let event = Event {
                    topic: "acapy::record::a".to_owned(),
                    payload: Bytes::new(),
                    wallet_id: None,
                    id: None,
                };
                let _ = map.topics(&event, &None, None);
            }
        }
    }

    #[test]
    fn templates_are_filled_as_python_fills_them() {
        assert_eq!(filled("a-$wallet_id-b"), "a-w-b");
        assert_eq!(filled("${wallet_id}x$state"), "wxs");
        assert_eq!(filled("$topic.$category"), "t.c");
        assert_eq!(filled("a$$wallet_id"), "a$wallet_id");
        assert_eq!(filled("plain"), "plain");
    }

    #[test]
    fn a_name_that_no_template_has_is_told_at_once() {
        let error = Template::parse("acapy-webhook-$walletId").expect_err("unknown");
        assert!(error.to_string().contains("walletId"), "{error}");
        assert_eq!(filled("a$"), "a$");
    }

    #[test]
    fn the_maps_that_hold_without_configuration_are_sound() {
        assert_eq!(TopicMap::plain().0.len(), PLAIN.len());
        let map = ENVELOPED.map(|(p, t)| (p.to_owned(), t.to_owned()));
        assert!(TopicMap::parse(map).is_ok());
    }
}
