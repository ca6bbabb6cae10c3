//! Which path is what.

use hyper::Method;

use crate::http::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    Live,
    Status,
    Start,
    Stop,
    Event,
    Webhook(&'a str),
    Produce,
    Topics,
    Consume,
}

impl<'a> Route<'a> {
    /// Errors: 400 for a path that no client of good will sends, 404.
    pub fn of(path: &[&'a str]) -> Result<Self, Problem> {
        for segment in path {
            if segment.contains(char::is_control) || matches!(*segment, "." | "..") {
                return Err(Problem::bad_request(
                    "the path has a control character, . or .. in it",
                ));
            }
        }
        Ok(match *path {
            ["livez"] => Self::Live,
            ["status"] => Self::Status,
            ["kafka", "start"] => Self::Start,
            ["kafka", "stop"] => Self::Stop,
            ["event"] => Self::Event,
            ["produce"] => Self::Produce,
            ["topics"] => Self::Topics,
            ["consume"] => Self::Consume,
            // Whatever path the agent was given stands in front.
            [.., "topic", topic] if !topic.is_empty() => Self::Webhook(topic),
            _ => return Err(Problem::not_found()),
        })
    }

    /// Whether it takes the key.
    pub fn is_protected(self) -> bool {
        self != Self::Live
    }

    pub fn methods(self) -> &'static str {
        match self {
            Self::Event | Self::Webhook(_) | Self::Produce => "POST, OPTIONS",
            Self::Start | Self::Stop => "GET, POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether it changes anything: not for a page of another site, nor by HEAD.
    pub fn changes_state(self) -> bool {
        matches!(
            self,
            Self::Start | Self::Stop | Self::Event | Self::Webhook(_) | Self::Produce
        )
    }

    pub fn admits(self, method: &Method) -> bool {
        let name = method.as_str();
        self.methods().split(", ").any(|known| known == name)
    }
}
