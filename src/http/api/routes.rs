//! Which path is what.

use hyper::{Method, Response};

use crate::http::body::Body;
use crate::http::problem::Problem;

/// An endpoint, with what its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Index,
    OpenApi,
    Health,
    Live,
    Ready,
    // The second generation.
    Message(String),
    RawFile(String, String),
    Retraction(String),
    Topic(String),
    /// The same path as [`Route::Topic`], by POST.
    Upload(String),
    Messages,
    Count,
    Topics,
    // The first generation.
    FirstTopics,
    FirstTopic(String),
    /// The path of a topic called `range`, by POST.
    FirstRange,
    FirstMessage(String),
}

/// What a method may do at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Answer,
    Options,
    NotAllowed,
}

impl Route {
    /// What a path is for GET, or for its only method.
    fn at(path: &[&str]) -> Option<Self> {
        Some(match *path {
            [] => Self::Index,
            ["health_check"] => Self::Health,
            ["livez"] => Self::Live,
            ["readyz"] => Self::Ready,
            ["msg", uuid] => Self::Message(uuid.to_owned()),
            ["msg", uuid, "raw_file", name] => Self::RawFile(uuid.to_owned(), name.to_owned()),
            ["msg", uuid, "retraction"] => Self::Retraction(uuid.to_owned()),
            ["topic", topic] => Self::Topic(topic.to_owned()),
            ["messages"] => Self::Messages,
            ["messages", "count"] => Self::Count,
            ["topics"] => Self::Topics,
            ["api", "openapi.json"] => Self::OpenApi,
            ["api", "topics"] => Self::FirstTopics,
            ["api", "topic", topic] => Self::FirstTopic(topic.to_owned()),
            ["api", "message", uuid] => Self::FirstMessage(uuid.to_owned()),
            _ => return None,
        })
    }

    /// `None` where there is nothing.
    pub fn of(path: &[&str], method: &Method) -> Option<Self> {
        let route = Self::at(path)?;
        Some(match route {
            Self::Topic(topic) if method == Method::POST => Self::Upload(topic),
            Self::FirstTopic(topic) if method == Method::POST && topic == "range" => {
                Self::FirstRange
            }
            other => other,
        })
    }

    pub fn methods(&self) -> &'static str {
        match self {
            Self::Retraction(_) => "PUT, OPTIONS",
            Self::Topic(_) | Self::Upload(_) | Self::FirstRange => "GET, HEAD, POST, OPTIONS",
            Self::FirstTopic(topic) if topic == "range" => "GET, HEAD, POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    pub fn admits(&self, method: &Method) -> Admission {
        if method == Method::OPTIONS {
            return Admission::Options;
        }
        let own = match self {
            Self::Retraction(_) => Method::PUT,
            Self::Upload(_) | Self::FirstRange => Method::POST,
            _ => Method::GET,
        };
        match method == own {
            true => Admission::Answer,
            false => Admission::NotAllowed,
        }
    }

    /// Whether it changes something.
    pub fn needs_credential(&self) -> bool {
        matches!(self, Self::Retraction(_) | Self::Upload(_))
    }

    /// A refusal, as this endpoint's clients know it: bare text in the second
    /// generation, JSON elsewhere.
    pub fn refuse(&self, problem: Problem) -> Response<Body> {
        match self {
            Self::Message(_)
            | Self::RawFile(..)
            | Self::Retraction(_)
            | Self::Topic(_)
            | Self::Upload(_)
            | Self::Messages
            | Self::Count
            | Self::Topics => problem.into_text("text/plain; charset=utf-8"),
            _ => problem.into_json(),
        }
    }
}
