//! The first generation of the API, which speaks JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::bookmark::Bookmark;
use super::list::{self, Asked};
use super::{Archive, Reach};
use crate::catalogue::{Cursor, Row, RowFilter};
use crate::envelope::{self, Document};
use crate::http::body::{self, Body, BodyError};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::request::Request;
use crate::http::respond;

/// Messages that are listed at once.
const PAGE: usize = 1_000;

/// Bytes of a request's body: two dates.
const LONGEST_RANGE: usize = 64 * 1024;

/// Bytes of a message that is shown as JSON, which takes several times as many
/// in memory.
const LARGEST_SHOWN: i32 = 32 << 20;

/// A day in ms.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// `POST /api/topic/range`.
#[derive(Deserialize)]
struct Dates {
    start_date: Option<String>,
    end_date: Option<String>,
}

impl Archive {
    pub async fn first_topics(&self, reach: Reach) -> Result<Response<Body>, Problem> {
        let topics = self.topic_names(reach).await?;
        respond::json(&json!({ "topics": topics }))
    }

    /// All messages of a topic; with `limit` or `page` one page of them and the
    /// bookmark of the next.
    pub async fn first_topic(
        self: &Arc<Self>,
        topic: &str,
        query: &Query,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        let filter = RowFilter {
            topics: Some(list::checked(vec![topic.to_owned()])?),
            only_public: reach == Reach::Public,
            ..RowFilter::default()
        };
        self.first_list(topic, filter, query).await
    }

    /// The messages from the midnight (UTC) that begins `start_date` to the one
    /// that ends `end_date`.
    pub async fn first_range(
        self: &Arc<Self>,
        request: Request,
        reach: Reach,
    ) -> Result<Response<Body>, Problem> {
        let query = request.query.clone();
        let bytes = request.read_body(LONGEST_RANGE).await?;
        let (since, last_day) = dates(&bytes)?;
        let filter = RowFilter {
            since: Some(since),
            until: Some(last_day + DAY),
            only_public: reach == Reach::Public,
            ..RowFilter::default()
        };
        self.first_list("", filter, &query).await
    }

    async fn first_list(
        self: &Arc<Self>,
        topic: &str,
        filter: RowFilter,
        query: &Query,
    ) -> Result<Response<Body>, Problem> {
        let (limit, bookmark) = (list::limit(query, PAGE)?, list::bookmark(query)?);
        if limit.is_none() && bookmark.is_none() {
            return self.first_whole_list(topic, filter).await;
        }
        let page = self
            .page(Asked {
                filter,
                limit: limit.unwrap_or(PAGE),
                is_descending: false,
                bookmark,
                meta: true,
            })
            .await?;
        let messages: Vec<Value> = page.rows.iter().map(|stored| listed(&stored.row)).collect();
        respond::json(&json!({
            "topic": topic,
            "messages": messages,
            "next": page.next.map(Bookmark::text),
            "prev": page.prev.map(Bookmark::text),
        }))
    }

    /// However many there are: they are listed while they are sent.
    async fn first_whole_list(
        self: &Arc<Self>,
        topic: &str,
        filter: RowFilter,
    ) -> Result<Response<Body>, Problem> {
        let first = self.listed_after(&filter, None).await?;
        let begin = format!("{{\"topic\":{},\"messages\":[", Value::from(topic));
        let listing = Listing {
            archive: self.clone(),
            filter,
            text: begin,
            after: None,
            next: Some(first),
        };
        let mut response = Response::new(body::stream(stream::unfold(
            Some(listing),
            |listing| async move { listing?.step().await },
        )));
        let kind = HeaderValue::from_static(respond::JSON);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(response)
    }

    async fn listed_after(
        &self,
        filter: &RowFilter,
        after: Option<Cursor>,
    ) -> Result<Vec<(Cursor, Value)>, Problem> {
        let filter = filter.clone();
        let rows = self
            .ask(move |catalogue| catalogue.rows(&filter, after, PAGE, false))
            .await?;
        let listed = rows
            .iter()
            .map(|stored| (stored.cursor(), listed(&stored.row)));
        Ok(listed.collect())
    }

    pub async fn first_message(&self, uuid: &str, reach: Reach) -> Result<Response<Body>, Problem> {
        let row = self.visible(uuid, reach).await?;
        if row.size > LARGEST_SHOWN {
            let why = format!(
                "the message is too large to be shown as JSON: get /msg/{}",
                row.uuid
            );
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let _turn = self.in_memory().await?;
        let bytes = self.read_part(&row, 0..row.size.max(0) as u64).await?;
        let document = envelope::decode(&bytes)
            .map_err(|error| Problem::internal(format!("the message's object: {error}")))?;
        respond::json(&json!({
            "id": row.uuid.to_string(),
            "details": details(&row, &document),
        }))
    }
}

/// A list on its way.
struct Listing {
    archive: Arc<Archive>,
    filter: RowFilter,
    /// What comes before the next messages.
    text: String,
    after: Option<Cursor>,
    /// Messages that were read and not sent.
    next: Option<Vec<(Cursor, Value)>>,
}

impl Listing {
    /// The next piece of text, and what is left.
    async fn step(mut self) -> Option<(Result<Bytes, BodyError>, Option<Self>)> {
        let page = match self.next.take() {
            Some(page) => page,
            None => match self.archive.listed_after(&self.filter, self.after).await {
                Ok(page) => page,
                Err(problem) => return Some((Err(problem.message.into()), None)),
            },
        };
        let mut text = std::mem::take(&mut self.text);
        for (cursor, message) in &page {
            if self.after.replace(*cursor).is_some() {
                text.push(',');
            }
            text.push_str(&message.to_string());
        }
        let is_last = page.len() < PAGE;
        if is_last {
            text.push_str("]}\n");
        }
        Some((Ok(text.into()), (!is_last).then_some(self)))
    }
}

fn listed(row: &Row) -> Value {
    json!({
        "uuid": row.uuid.to_string(),
        "timestamp": row.timestamp,
        "key": row.key,
        "topic": &*row.topic,
    })
}

/// Both dates as the ms of their first midnight. Errors: 400.
fn dates(bytes: &[u8]) -> Result<(i64, i64), Problem> {
    let dates: Dates = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!(
            "the body is no JSON object with two dates: {error}"
        ))
    })?;
    let date = |name: &str, text: Option<String>| {
        let text = text.ok_or_else(|| Problem::bad_request(format!("{name} is missing")))?;
        midnight(&text)
            .ok_or_else(|| Problem::bad_request(format!("{name} must be a date like 2024-05-01")))
    };
    let start = date("start_date", dates.start_date)?;
    let end = date("end_date", dates.end_date)?;
    match start <= end {
        true => Ok((start, end)),
        false => Err(Problem::bad_request("start_date is after end_date")),
    }
}

fn midnight(text: &str) -> Option<i64> {
    // Nothing but a date: no time, no zone.
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond())
}

fn details(row: &Row, document: &Document) -> Value {
    let notes = &document.annotations;
    let headers: Vec<Value> = document
        .headers
        .iter()
        .map(|header| {
            let name = String::from_utf8_lossy(&header.name);
            json!({ "name": name, "value": shown(header.value.as_deref()) })
        })
        .collect();
    json!({
        "message": shown(document.value.as_deref()),
        "headers": headers,
        "metadata": {
            "topic": &*document.topic,
            "timestamp": document.timestamp,
            "timestamp_type": document.timestamp_type.map(|kind| kind.as_str()),
            "partition": document.partition,
            "offset": document.offset,
            "key": shown(document.key.as_deref()),
        },
        "annotations": {
            "con_text_uuid": notes.uuid.to_string(),
            "con_is_client_uuid": notes.is_client_uuid,
            "con_message_crc32": notes.message_crc32,
            "public": row.public,
            "direct_upload": notes.direct_upload,
            "retracted": row.retracted,
            "media_type": notes.media_type,
            "title": notes.title,
            "sender": notes.sender,
            "file_name": notes.file_name,
            "originator": notes.originator,
        },
        "size": row.size,
        "key": row.key,
        "bucket": row.bucket,
    })
}

/// Text as text; other bytes as `{"base64": …}`; null as null.
fn shown(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => Value::from(text),
        Some((bytes, Err(_))) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_two_dates_and_nothing_else() {
        let read = |text: &str| dates(text.as_bytes()).map_err(|problem| problem.status.as_u16());
        let sound = r#"{"start_date": "2024-02-28", "end_date": "2024-02-29", "more": 1}"#;
        assert_eq!(read(sound), Ok((1_709_078_400_000, 1_709_164_800_000)));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"start_date": "2024-02-28"}"#,
            r#"{"end_date": "2024-02-28"}"#,
            r#"{"start_date": "2024-02-28", "end_date": null}"#,
            r#"{"start_date": "2024-02-30", "end_date": "2024-03-01"}"#,
            r#"{"start_date": "2024-02-28T00:00", "end_date": "2024-03-01"}"#,
            r#"{"start_date": "2024-03-02", "end_date": "2024-03-01"}"#,
            r#"{"start_date": 20240302, "end_date": "2024-03-01"}"#,
        ] {
            assert_eq!(read(wrong), Err(400), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,12}") {
            let _ = dates(&bytes);
            let dates_of = json!({"start_date": text, "end_date": text}).to_string();
            let _ = dates(dates_of.as_bytes());
        }
    }

    #[test]
    fn text_bytes_empty_and_null_are_four_different_things() {
        assert_eq!(shown(None), Value::Null);
        assert_eq!(shown(Some(b"")), json!(""));
        assert_eq!(shown(Some("grüße".as_bytes())), json!("grüße"));
        assert_eq!(shown(Some(b"\xff")), json!({"base64": "/w=="}));
    }
}
