//! The agent, as records are given to it: over HTTP, to the plugin on its admin
//! server, or to its inbound transport.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::form::Given;
use crate::config::AgentConfig;
use crate::record::Record;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The plugin answers when everything that listens on the bus has had the
/// event.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of an answer that are read for the reason in it.
const REASON: usize = 1024;

/// Hands records over, one at a time.
pub struct Agent {
    config: AgentConfig,
    client: Client,
}

/// What the agent says of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Perhaps with a message for whoever sent this one, which only the inbound
    /// transport gives: `return_route` asks for it in the same request.
    Taken(Option<Vec<u8>>),
    /// It is away or cannot now. Retry.
    Away(String),
    /// It will never take this record.
    Refused(String),
}

/// There is no TLS on this machine, or the like.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made: {0}")]
pub struct NoClient(String);

impl Agent {
    pub fn new(config: AgentConfig) -> Result<Self, NoClient> {
        let client = Client::builder()
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(ANSWER_PATIENCE)
            // The agent is where the configuration says, and nowhere else.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| NoClient(reason(&error)))?;
        Ok(Self { config, client })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.config
            .didcomm_url
            .as_deref()
            .unwrap_or(&self.config.url)
    }

    pub(super) async fn give(&self, record: &Record, given: &Given) -> Reply {
        let request = self.request(record, given).body(given.payload.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Reply::Away(reason(&error)),
        };
        let status = response.status();
        if status.is_success() {
            return self.taken(response).await;
        }
        let said = response.bytes().await.unwrap_or_default();
        let said = String::from_utf8_lossy(&said[..said.len().min(REASON)]).into_owned();
        let why = format!("it answers {status}: {}", said.trim());
        match refuses_for_good(status) {
            true => Reply::Refused(why),
            false => Reply::Away(why),
        }
    }

    async fn taken(&self, response: Response) -> Reply {
        if self.config.didcomm_url.is_none() {
            return Reply::Taken(None);
        }
        match response.bytes().await {
            Ok(answer) => Reply::Taken((!answer.is_empty()).then(|| answer.to_vec())),
            Err(error) => Reply::Away(reason(&error)),
        }
    }

    fn request(&self, record: &Record, given: &Given) -> RequestBuilder {
        if let Some(url) = &self.config.didcomm_url {
            return self
                .client
                .post(url)
                .header("content-type", "application/ssi-agent-wire");
        }
        let url = format!("{}/kafka/records", self.config.url);
        // By these the plugin knows a record again that it has taken.
        let place = format!(
            "{}/{}/{}/{}",
            record.topic, record.partition, record.offset, record.timestamp
        );
        let topic = form_urlencoded::Serializer::new(String::new())
            .append_pair("topic", &given.topic)
            .append_pair("record", &place)
            .finish();
        let request = self
            .client
            .post(format!("{url}?{topic}"))
            .header("content-type", "application/json");
        match &self.config.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }
}

/// Of a wrong key, a plugin that is not loaded and an agent that is busy it may
/// be another time; of the record itself it never will.
fn refuses_for_good(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// The error with its causes, without the URL, which holds nothing new.
fn reason(error: &reqwest::Error) -> String {
    let mut text = match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => "it does not answer".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
