//! The archive API: both generations of it, of one catalogue and one store.
//!
//! docs/api.md tells it to its users, and `/api/openapi.json` to their
//! programs.

mod bookmark;
mod cors;
mod first_generation;
mod list;
mod list_document;
mod message;
mod messages;
mod objects;
mod openapi;
mod routes;
mod upload;
mod uploaded;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::header::ORIGIN;
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::warn;

use super::auth::{Caller, Door};
use super::body::Body;
use super::health::HealthCheck;
use super::probes;
use super::problem::Problem;
use super::query::Query;
use super::request::Request;
use super::respond;
use super::server::Service;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::config::{ApiConfig, TopicSelection};
use crate::signing::SigningKeys;
use crate::store::Store;

use cors::Cors;
use messages::PublicTopics;
use routes::{Admission, Route};
use upload::Uploads;

/// Questions to the catalogue at once: fewer than its connections, so that
/// whoever else works with it goes on.
const QUESTIONS: usize = 4;

/// Answers that are being read from the store at once.
const TRANSFERS: usize = 128;

/// Messages that are shown as JSON at once, each held in memory.
const SHOWN: usize = 2;

/// A question or a transfer waits so long for its turn.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);

/// What the API is made of.
pub struct ArchiveApi {
    archive: Arc<Archive>,
    door: Door,
    cors: Cors,
}

/// What the endpoints work with.
pub(crate) struct Archive {
    catalogue: Arc<dyn Catalogue>,
    store: Arc<dyn Store>,
    uploads: Option<Uploads>,
    health: HealthCheck,
    public_topics: PublicTopics,
    questions: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// Messages that are held in memory to be shown.
    shown: Arc<Semaphore>,
}

/// Which messages a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    Public,
}

impl ArchiveApi {
    /// `topics` says which uploads are public; without it none are taken. They
    /// are signed with `signing`.
    pub fn new(
        config: &ApiConfig,
        catalogue: Arc<dyn Catalogue>,
        store: Arc<dyn Store>,
        topics: Option<TopicSelection>,
        signing: Option<SigningKeys>,
    ) -> Self {
        let uploads = topics.map(|topics| Uploads::new(config.upload_bytes, topics, signing));
        Self {
            archive: Arc::new(Archive {
                health: HealthCheck::new(catalogue.clone(), store.clone()),
                catalogue,
                store,
                uploads,
                public_topics: PublicTopics::default(),
                questions: Arc::new(Semaphore::new(QUESTIONS)),
                transfers: Arc::new(Semaphore::new(TRANSFERS)),
                shown: Arc::new(Semaphore::new(SHOWN)),
            }),
            door: Door::new(config.credential.as_ref()),
            cors: Cors::new(&config.cors_origins),
        }
    }

    /// Where nobody can be known, everybody sees everything: such a listener
    /// is on a loopback address.
    fn reach(&self, caller: &Caller) -> Reach {
        match caller {
            Caller::Known { .. } => Reach::All,
            Caller::Anonymous if !self.door.has_credential() => Reach::All,
            Caller::Anonymous => Reach::Public,
        }
    }

    async fn admitted(&self, route: &Route, request: Request) -> Response<Body> {
        let caller = match self.door.caller(&request.headers, request.peer) {
            Ok(caller) => caller,
            Err(problem) => return route.refuse(problem),
        };
        let reach = self.reach(&caller);
        let answer = match reach {
            Reach::Public if route.needs_credential() => Err(unauthorized()),
            _ => self.archive.answer(route, request, reach).await,
        };
        let mut response = answer.unwrap_or_else(|problem| {
            route.refuse(match problem.status {
                StatusCode::UNAUTHORIZED => self.door.challenge(),
                _ => problem,
            })
        });
        if let Some((name, proof)) = caller.proof() {
            response.headers_mut().insert(name, proof);
        }
        response
    }
}

/// That a credential is needed; the door says which.
fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "Authentication required")
}

#[async_trait]
impl Service for ArchiveApi {
    async fn answer(&self, request: Request) -> Response<Body> {
        let origin = request.headers.get(ORIGIN).cloned();
        let response = match Route::of(&request.segments(), &request.method) {
            None => Problem::not_found().into_json(),
            Some(route)
                if route.needs_credential()
                    && request.is_cross_site
                    && !self.cors.is_admitted(origin.as_ref()) =>
            {
                route.refuse(Problem::cross_site())
            }
            Some(route) => match route.admits(&request.method) {
                Admission::Answer => self.admitted(&route, request).await,
                Admission::Options => self.cors.preflight(&request, route.methods()),
                Admission::NotAllowed => route.refuse(Problem::method_not_allowed(route.methods())),
            },
        };
        self.cors.admit(response, origin.as_ref())
    }
}

impl Archive {
    async fn answer(
        self: &Arc<Self>,
        route: &Route,
        request: Request,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        match route {
            Route::Index => openapi::index(),
            Route::OpenApi => Ok(openapi::document()),
            Route::Live => probes::livez(),
            Route::Ready => probes::readyz(&self.health).await,
            Route::Health => self.health_check().await,
            Route::Message(uuid) => self.message(uuid, &request, reach).await,
            Route::RawFile(uuid, name) => self.raw_file(uuid, name, &request, reach).await,
            Route::Retraction(uuid) => self.retract(uuid, &request.query).await,
            Route::Upload(topic) => self.upload(topic, request).await,
            Route::Topic(topic) => {
                let topics = Some(vec![topic.clone()]);
                self.messages(&request.query, topics, reach).await
            }
            Route::Messages => {
                let topics = topics_of(&request.query);
                self.messages(&request.query, topics, reach).await
            }
            Route::Count => self.count(&request.query, reach).await,
            Route::Topics => self.topics(reach).await,
            Route::FirstTopics => self.first_topics(reach).await,
            Route::FirstTopic(topic) => self.first_topic(topic, &request.query, reach).await,
            Route::FirstRange => self.first_range(request, reach).await,
            Route::FirstMessage(uuid) => self.first_message(uuid, reach).await,
        }
    }

    /// 200 when catalogue and store answer, else 503, with which of them does.
    async fn health_check(&self) -> Result<Response<Body>, Problem> {
        let health = self.health.health().await;
        let mut response = respond::json(&health)?;
        if !(health.database && health.store) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }

    /// Asks the catalogue, whose calls block. Errors: 503 when it does not
    /// answer, or is asked too much.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Catalogue) -> Result<T, CatalogueError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = in_time(self.questions.clone()).await?;
        let catalogue = self.catalogue.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            question(&*catalogue)
        });
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                warn!("{error}");
                Err(list::failed(&error))
            }
            Err(error) => {
                warn!("a question to the catalogue ended: {error}");
                Err(Problem::internal("the server failed: its log says why"))
            }
        }
    }

    /// Room for an answer out of the store.
    async fn transfer(&self) -> Result<OwnedSemaphorePermit, Problem> {
        in_time(self.transfers.clone()).await
    }
}

/// `topic`, which may be repeated; `None` is every topic.
fn topics_of(query: &Query) -> Option<Vec<String>> {
    let topics: Vec<String> = query.all("topic").map(str::to_owned).collect();
    (!topics.is_empty()).then_some(topics)
}

async fn in_time(room: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match timeout(QUEUE_PATIENCE, room.acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::unavailable(
            "too much is asked at once: try again later",
        )),
    }
}
