//! Pause, resume, rebuild.

use hyper::{Response, StatusCode};
use tracing::info;

use super::state::{ControlFailure, Order, TopicStatus};
use super::{ControlApi, TEXT};
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::respond;

impl Order {
    /// The status that its success is told with.
    fn leads_to(self) -> TopicStatus {
        match self {
            Self::Pause => TopicStatus::Paused,
            Self::Resume => TopicStatus::Normal,
            Self::Rebuild => TopicStatus::Rebuilding,
        }
    }
}

impl ControlApi {
    /// 200, 422 for a realm or a topic that is not there, 500 when the topic's
    /// state does not allow it.
    pub(super) async fn order(
        &self,
        order: Order,
        query: &Query,
    ) -> Result<Response<Body>, Problem> {
        let given = |name: &str, what: &str| match query.text(name) {
            None | Some("") => Err(unprocessable(format!("A {what} must be specified"))),
            Some(text) => Ok(text.to_owned()),
        };
        let (realm, topic) = (given("realm", "realm")?, given("topic", "topic")?);
        info!("{order:?} of topic {topic:?} of realm {realm:?} is ordered");
        match self.producer()?.order(order, &realm, &topic).await {
            Ok(()) => {
                let text = format!("Success for status {} on {topic}", order.leads_to());
                Ok(respond::bytes(TEXT, text))
            }
            Err(failure @ ControlFailure::Failed { .. }) => Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                failure.to_string(),
            )),
            Err(failure) => Err(unprocessable(failure.to_string())),
        }
    }
}

fn unprocessable(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}
