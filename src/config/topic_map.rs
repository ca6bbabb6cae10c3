//! Which events go to which topics: `events` › `topic_maps` of the plugin's
//! file.

use regex::Regex;

/// Patterns of bus topics, each with a template of a Kafka topic, in the order
/// of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMap(Vec<(Pattern, Template)>);

/// Why a pattern or its template cannot be used.
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
    /// Patterns with their templates. A pattern matches from the beginning of a
    /// bus topic, as the agent's bus has it.
    pub fn parse(map: impl IntoIterator<Item = (String, String)>) -> Result<Self, MapError> {
        let entry = |(pattern, template): (String, String)| {
            Ok((Pattern::parse(&pattern)?, Template::parse(&template)?))
        };
        Ok(Self(map.into_iter().map(entry).collect::<Result<_, _>>()?))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn is_match(&self, bus_topic: &str) -> bool {
        self.templates(bus_topic).next().is_some()
    }

    /// The template of every pattern that matches, in order.
    pub fn templates<'a>(&'a self, bus_topic: &'a str) -> impl Iterator<Item = &'a Template> {
        let matching = move |(pattern, _): &&(Pattern, Template)| pattern.0.is_match(bus_topic);
        self.0.iter().filter(matching).map(|(_, template)| template)
    }
}

/// Two are the same when they are written the same.
#[derive(Clone, Debug)]
struct Pattern(Regex);

impl Pattern {
    fn parse(pattern: &str) -> Result<Self, MapError> {
        match Regex::new(&format!("^(?:{pattern})")) {
            Ok(regex) => Ok(Self(regex)),
            Err(error) => Err(MapError::Pattern {
                pattern: pattern.to_owned(),
                cause: cause(&error),
            }),
        }
    }
}

/// The error without the drawing of where it is.
pub(super) fn cause(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// A text with names in it, `$wallet_id` or `${wallet_id}`, as Python's
/// `string.Template` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(TemplateName),
}

/// What a template can name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateName {
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
            parts.push(Part::Name(TemplateName::parse(name).ok_or_else(|| {
                MapError::Template {
                    template: template.to_owned(),
                    name: name.to_owned(),
                }
            })?));
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text with the values for the names.
    pub fn fill<'a>(&'a self, value: impl Fn(TemplateName) -> &'a str) -> String {
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

impl TemplateName {
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
    use proptest::prelude::*;

    use super::*;

    fn filled(template: &str) -> String {
        let template = Template::parse(template).expect("a sound template");
        template.fill(|name| match name {
            TemplateName::WalletId => "w",
            TemplateName::State => "s",
            TemplateName::Topic => "t",
            TemplateName::Category => "c",
        })
    }

    proptest! {
        #[test]
        fn no_template_and_no_pattern_makes_it_panic(pattern in "\\PC{0,30}", template in "[a-z${}_-]{0,30}") {
            if let Ok(map) = TopicMap::parse([(pattern, template)]) {
                for template in map.templates("acapy::record::a") {
                    let _ = template.fill(|_| "x");
                }
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
}
