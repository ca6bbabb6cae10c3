//! Lists of messages, how many there are, and of which topics.

use std::time::{Duration, Instant};

use bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use hyper::Response;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use tokio::sync::Mutex;

use super::list::{self, Asked};
use super::{Archive, Reach, list_document, topics_of};
use crate::catalogue::RowFilter;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::respond;

/// The topics that have public messages. To find them the catalogue walks
/// through an index, so the answer serves everybody for a while.
#[derive(Default)]
pub struct PublicTopics(Mutex<Option<(Instant, Vec<String>)>>);

const FRESH: Duration = Duration::from_secs(10);

impl Archive {
    /// A page of messages, whole or as the catalogue tells of them.
    pub async fn messages(
        &self,
        query: &Query,
        topics: Option<Vec<String>>,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        let asked = Asked::read(query, topics, reach)?;
        let meta = asked.meta;
        let page = self.page(asked).await?;
        if meta {
            return Ok(respond::bson(list_document::of_rows(&page)));
        }
        let (pieces, length) = list_document::of_messages(&page);
        let mut response = Response::new(self.send(pieces).await?);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(respond::BSON));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }

    pub async fn count(&self, query: &Query, reach: Reach) -> Result<Response<Body>, Problem> {
        let filter = list::filter(query, topics_of(query), reach)?;
        let count = self.ask(move |catalogue| catalogue.count(&filter)).await?;
        let mut document = RawDocumentBuf::new();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        document.append(cstr!("count"), list_document::integer(count));
        Ok(respond::bson(document))
    }

    pub async fn topics(&self, reach: Reach) -> Result<Response<Body>, Problem> {
        let mut names = RawArrayBuf::new();
        for name in self.topic_names(reach).await? {
            names.push(name.as_str());
        }
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("topics"), names);
        Ok(respond::bson(document))
    }

    /// The topics of which `reach` may see messages, in order.
    pub async fn topic_names(&self, reach: Reach) -> Result<Vec<String>, Problem> {
        if reach == Reach::All {
            return self.names(RowFilter::default()).await;
        }
        let mut last = self.public_topics.0.lock().await;
        if let Some((at, names)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(names.clone());
        }
        let public = RowFilter {
            only_public: true,
            ..RowFilter::default()
        };
        let names = self.names(public).await?;
        *last = Some((Instant::now(), names.clone()));
        Ok(names)
    }

    async fn names(&self, filter: RowFilter) -> Result<Vec<String>, Problem> {
        let topics = self
            .ask(move |catalogue| catalogue.count_by_topic(&filter))
            .await?;
        Ok(topics.into_iter().map(|topic| topic.topic).collect())
    }
}
