//! Which path is what.

use hyper::Method;

use super::state::Order;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Live,
    Ready,
    Metrics,
    Health,
    HealthCheck,
    KernelCheck,
    KafkaCheck,
    App,
    Status,
    Topics,
    Order(Order),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Answer,
    Options,
    NotAllowed,
}

impl Route {
    pub fn of(path: &[&str]) -> Option<Self> {
        Some(match *path {
            ["livez"] => Self::Live,
            ["readyz"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            ["health"] => Self::Health,
            ["healthcheck"] => Self::HealthCheck,
            ["kernelcheck"] | ["check-app", "aether-kernel"] => Self::KernelCheck,
            ["kafkacheck"] | ["check-app", "kafka"] => Self::KafkaCheck,
            ["check-app"] => Self::App,
            ["status"] => Self::Status,
            ["topics"] => Self::Topics,
            ["pause"] => Self::Order(Order::Pause),
            ["resume"] => Self::Order(Order::Resume),
            ["rebuild"] => Self::Order(Order::Rebuild),
            _ => return None,
        })
    }

    /// Whether it takes the credential.
    pub fn is_protected(self) -> bool {
        matches!(self, Self::Status | Self::Topics | Self::Order(_))
    }

    pub fn methods(self) -> &'static str {
        match self {
            Self::Order(_) => "GET, POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// An order may be given by GET, as ever, and by POST; HEAD gives none.
    pub fn admits(self, method: &Method) -> Admission {
        match (method, self) {
            (&Method::OPTIONS, _) => Admission::Options,
            (&Method::GET, _) | (&Method::POST, Self::Order(_)) => Admission::Answer,
            _ => Admission::NotAllowed,
        }
    }
}
