//! Message forms: what an event looks like on Kafka, and what a record from
//! Kafka is for the agent.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{self, check_json};
use super::names;
use super::topic_map;
use crate::config::TopicMap;
use crate::kafka::Letter;
use crate::record::Record;

/// Written with padding, as Python does; read with and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an agent that is no tenant's is called.
const BASE_WALLET: &str = "base";

/// Header with the number that the agent gave the event: of two records with
/// the same one, the second is a repeat.
const EVENT_ID: &str = "event-id";

/// An event of the agent's bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// On the bus, with `::`.
    pub topic: String,
    /// JSON, byte for byte as the agent wrote it.
    pub payload: Bytes,
    /// Whose event; `None` where the agent does not say.
    pub wallet_id: Option<String>,
    /// What the agent calls it, the same in each of its tries.
    pub id: Option<String>,
}

/// A record, as it is handed to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// On the bus, with `::`.
    pub topic: String,
    pub payload: Vec<u8>,
}

/// Why an event or a record does not fit the form. No retry helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("{0}")]
    Name(#[from] names::NameError),
    #[error("{0}")]
    Misses(String),
    #[error("nested more than {} deep, which no agent reads", json::DEEPEST)]
    TooDeep,
    /// Nobody asked for events of this topic.
    #[error("no event of topic {0:?} goes to Kafka: no pattern matches it")]
    NotWanted(String),
}

impl Unfit {
    /// Of a topic as somebody wrote it.
    pub fn not_wanted(topic: &str) -> Self {
        // Cut: it may be as long as a request's head.
        Self::NotWanted(topic.chars().take(80).collect())
    }
}

/// Which of the two generations.
#[derive(Clone, Debug)]
pub enum Form {
    /// A topic for each bus topic, the payload as it is, no key.
    Plain { events: TopicMap },
    /// Topics by templates, the payload in an envelope, keyed by the wallet.
    Enveloped {
        events: TopicMap,
        outbound_topic: String,
    },
}

impl Form {
    /// The records that an event becomes: at least one.
    pub fn letters(&self, event: &Event) -> Result<Vec<Letter>, Unfit> {
        let headers: Vec<_> = event
            .id
            .iter()
            .map(|id| (EVENT_ID.to_owned(), id.clone().into_bytes()))
            .collect();
        let letter = |topic: String, key: Option<&String>, value: Vec<u8>| Letter {
            topic,
            key: key.map(|key| key.clone().into_bytes()),
            value: Some(value),
            headers: headers.clone(),
        };
        match self {
            Self::Plain { events } => {
                check_json(&event.payload)?;
                if !events.is_match(&event.topic) {
                    return Err(Unfit::not_wanted(&event.topic));
                }
                let topic = names::to_kafka(&event.topic)?;
                Ok(vec![letter(topic, None, event.payload.to_vec())])
            }
            Self::Enveloped { outbound_topic, .. } if is_outbound(&event.topic) => {
                let value = outbound(event)?;
                Ok(vec![letter(
                    outbound_topic.clone(),
                    event.wallet_id.as_ref(),
                    value,
                )])
            }
            Self::Enveloped { events, .. } => {
                let envelope = Envelope::of(event)?;
                let state = envelope.state_text();
                let topics = topic_map::topics(events, event, &state, envelope.category)?;
                if topics.is_empty() {
                    return Err(Unfit::not_wanted(&event.topic));
                }
                let value = envelope.text();
                Ok(topics
                    .into_iter()
                    .map(|topic| letter(topic, event.wallet_id.as_ref(), value.clone()))
                    .collect())
            }
        }
    }

    /// What a record of an inbound topic is for the agent.
    pub fn given(&self, record: &Record) -> Result<Given, Unfit> {
        let Some(value) = &record.value else {
            return Err(Unfit::NotJson("it has no value".to_owned()));
        };
        let payload = match self {
            Self::Plain { .. } => {
                check_json(value)?;
                value.clone()
            }
            Self::Enveloped { .. } => unwrapped(value)?,
        };
        json::check_depth(&payload)?;
        Ok(Given {
            topic: names::to_bus(&record.topic),
            payload,
        })
    }
}

fn is_outbound(topic: &str) -> bool {
    topic.starts_with("acapy::outbound::")
}

/// The envelope of an event; the payload stays as the agent wrote it.
struct Envelope<'a> {
    event: &'a Event,
    state: Option<Value>,
    category: Option<&'a str>,
}

#[derive(Deserialize)]
struct WithState {
    state: Option<Value>,
}

impl<'a> Envelope<'a> {
    fn of(event: &'a Event) -> Result<Self, Unfit> {
        check_json(&event.payload)?;
        // A payload that is no object has no state; serde would take an array
        // for one, member by member.
        let is_object = event.payload.trim_ascii_start().starts_with(b"{");
        let with_state = is_object
            .then(|| serde_json::from_slice::<WithState>(&event.payload).ok())
            .flatten();
        Ok(Self {
            event,
            state: with_state.and_then(|payload| payload.state),
            category: category(&event.topic),
        })
    }

    fn state_text(&self) -> Option<String> {
        match &self.state {
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
            None => None,
        }
    }

    fn text(&self) -> Vec<u8> {
        let wallet = self.event.wallet_id.as_deref().unwrap_or(BASE_WALLET);
        let head = format!(
            r#"{{"wallet_id":{},"state":{},"topic":{},"category":{},"payload":"#,
            Value::from(wallet),
            self.state.clone().unwrap_or(Value::Null),
            Value::from(self.event.topic.as_str()),
            self.category.map_or(Value::Null, Value::from),
        );
        [head.as_bytes(), &self.event.payload, b"}"].concat()
    }
}

/// The part after `acapy::record::`, or that it is a webhook's.
fn category(topic: &str) -> Option<&str> {
    match topic.strip_prefix("acapy::record::") {
        Some(rest) => Some(rest.split("::").next().unwrap_or(rest)),
        None if topic.starts_with("acapy::webhook::") => Some("webhook"),
        None => None,
    }
}

/// `{"service": {"url"}, "metadata", "payload": base64url}`.
fn outbound(event: &Event) -> Result<Vec<u8>, Unfit> {
    check_json(&event.payload)?;
    let message: Value = serde_json::from_slice(&event.payload)
        .map_err(|error| Unfit::NotJson(error.to_string()))?;
    let url = message.pointer("/service/url").or(message.get("endpoint"));
    let Some(url) = url.and_then(Value::as_str) else {
        return Err(missing("service.url, or endpoint"));
    };
    let payload = match message.get("payload") {
        None | Some(Value::Null) => return Err(missing("payload")),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut metadata = match message.get("metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => serde_json::Map::new(),
    };
    let wallet = event.wallet_id.as_deref();
    metadata
        .entry("wallet_id")
        .or_insert_with(|| wallet.map_or(Value::Null, Value::from));
    let envelope = json!({
        "service": { "url": url },
        "metadata": metadata,
        "payload": BASE64.encode(payload),
    });
    Ok(envelope.to_string().into_bytes())
}

fn missing(what: &str) -> Unfit {
    Unfit::Misses(format!("an outbound message needs {what}"))
}

#[derive(Deserialize)]
struct Wrapped {
    payload: String,
}

/// What is in `{"payload": base64url}`.
fn unwrapped(value: &[u8]) -> Result<Vec<u8>, Unfit> {
    check_json(value)?;
    let wrapped: Wrapped = serde_json::from_slice(value).map_err(|error| {
        Unfit::Misses(format!(
            "not of the form {{\"payload\": base64url}}: {error}"
        ))
    })?;
    let decoded = BASE64
        .decode(wrapped.payload)
        .map_err(|error| Unfit::Misses(format!("payload is not base64url: {error}")))?;
    check_json(&decoded)?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::record::TimestampType;

    fn plain() -> Form {
        Form::Plain {
            events: topic_map::plain(),
        }
    }

    fn enveloped(map: &[(&str, &str)]) -> Form {
        let map = map
            .iter()
            .map(|(pattern, template)| ((*pattern).to_owned(), (*template).to_owned()));
        Form::Enveloped {
            events: TopicMap::parse(map).expect("a sound map"),
            outbound_topic: "acapy-outbound-message".to_owned(),
        }
    }

    fn event(topic: &str, payload: &str) -> Event {
        Event {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            wallet_id: Some("w1".to_owned()),
            id: None,
        }
    }

    fn record(topic: &str, value: Option<&[u8]>) -> Record {
        Record {
            topic: Arc::from(topic),
            partition: 0,
            offset: 0,
            timestamp: 0,
            timestamp_type: TimestampType::Create,
            key: None,
            value: value.map(<[u8]>::to_vec),
            headers: vec![],
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_plain_event_is_its_payload_byte_for_byte(payload in any_json()) {
            let text = serde_json::to_string_pretty(&payload).expect("JSON");
            let letters = plain().letters(&event("acapy::record::a::b", &text)).expect("it fits");
            prop_assert_eq!(letters.len(), 1);
            prop_assert_eq!(&letters[0].topic, "acapy-record-a-b");
            prop_assert_eq!(letters[0].key.clone(), None);
            prop_assert_eq!(letters[0].value.as_deref(), Some(text.as_bytes()));
        }

        #[test]
        fn an_envelope_says_whose_event_it_is_and_carries_the_payload(payload in any_json(), wallet in "[a-z0-9-]{1,20}") {
            let form = enveloped(&[("^acapy::record::.*", "events-$wallet_id")]);
            let mut event = event("acapy::record::connections::active", &payload.to_string());
            event.wallet_id = Some(wallet.clone());
            let letters = form.letters(&event).expect("it fits");
            prop_assert_eq!(&letters[0].topic, &format!("events-{wallet}"));
            prop_assert_eq!(letters[0].key.as_deref(), Some(wallet.as_bytes()));
            let value: Value = serde_json::from_slice(letters[0].value.as_deref().expect("a value")).expect("JSON");
            prop_assert_eq!(&value["payload"], &payload);
            prop_assert_eq!(&value["wallet_id"], &Value::from(wallet));
            prop_assert_eq!(&value["topic"], "acapy::record::connections::active");
            prop_assert_eq!(&value["category"], "connections");
            let state = payload.get("state").cloned().unwrap_or(Value::Null);
            prop_assert_eq!(&value["state"], &state);
        }

        #[test]
        fn an_outbound_message_is_wrapped_and_unwrapped(payload in any_json()) {
            prop_assume!(!payload.is_null() && !payload.is_string());
            let message = json!({"service": {"url": "http://peer"}, "payload": payload}).to_string();
            let letters = enveloped(&[]).letters(&event("acapy::outbound::message", &message)).expect("it fits");
            let value = letters[0].value.as_deref().expect("a value");
            let sent: Value = serde_json::from_slice(value).expect("JSON");
            prop_assert_eq!(&sent["service"]["url"], "http://peer");
            prop_assert_eq!(&sent["metadata"]["wallet_id"], "w1");
            let given = enveloped(&[]).given(&record("acapy-inbound-message", Some(value))).expect("the same form");
            prop_assert_eq!(serde_json::from_slice::<Value>(&given.payload).expect("JSON"), payload);
        }

        #[test]
        fn no_record_makes_either_form_panic(value in prop::collection::vec(any::<u8>(), 0..200)) {
            for form in [plain(), enveloped(&[])] {
                let _ = form.given(&record("acapy-inbound-x", Some(&value)));
                let _ = form.letters(&Event {
                    topic: "acapy::outbound::message".to_owned(),
                    payload: Bytes::from(value.clone()),
                    wallet_id: None,
                    id: None,
                });
            }
        }

        #[test]
        fn a_plain_record_reaches_the_agent_byte_for_byte(payload in any_json()) {
            let text = serde_json::to_string_pretty(&payload).expect("JSON");
            let given = plain().given(&record("acapy-inbound-test", Some(text.as_bytes()))).expect("JSON");
            prop_assert_eq!(given.topic, "acapy::inbound::test");
            prop_assert_eq!(given.payload, text.into_bytes());
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for wrong in [
            &b""[..],
            b"{",
            b"nonsense",
            b"{\"a\":\"\xff\"}",
            b"{} {}",
            b"'a'",
        ] {
            assert!(check_json(wrong).is_err(), "{wrong:?}");
            let given = plain().given(&record("acapy-inbound-test", Some(wrong)));
            assert!(matches!(given, Err(Unfit::NotJson(_))), "{given:?}");
        }
        assert!(plain().given(&record("acapy-inbound-test", None)).is_err());
    }

    #[test]
    fn an_event_that_no_pattern_matches_is_not_wanted() {
        for form in [plain(), enveloped(&[("^acapy::record::.*", "r")])] {
            let refused = form.letters(&event("acapy::ping::received", "{}"));
            assert!(matches!(refused, Err(Unfit::NotWanted(_))), "{refused:?}");
        }
    }

    #[test]
    fn an_event_of_two_patterns_goes_to_both_topics_and_once_to_one() {
        let form = enveloped(&[
            ("^acapy::record::([^:]*)::([^:]*)$", "with-state-$wallet_id"),
            ("^acapy::record::([^:])?", "record-$wallet_id"),
            ("acapy::record", "record-$wallet_id"),
        ]);
        let letters = form
            .letters(&event("acapy::record::a::b", "{}"))
            .expect("it fits");
        let topics: Vec<&str> = letters.iter().map(|letter| &*letter.topic).collect();
        assert_eq!(topics, ["with-state-w1", "record-w1"]);
    }

    #[test]
    fn an_event_of_nobody_is_the_base_wallets_and_has_no_key() {
        let form = enveloped(&[("acapy::webhook::.*", "webhook-$wallet_id-$category")]);
        let mut event = event("acapy::webhook::ping", "[]");
        event.wallet_id = None;
        let letters = form.letters(&event).expect("it fits");
        assert_eq!(letters[0].topic, "webhook-base-webhook");
        assert_eq!(letters[0].key, None);
    }
}
