//! Names: a topic of the agent's event bus ↔ a topic on Kafka.

use crate::config::is_topic_name;

/// Between the parts of a bus topic.
const BUS: &str = "::";

/// Between the parts of a Kafka topic, which takes no colon.
const KAFKA: &str = "-";

/// What a webhook's topic is called on the bus, in front of its own name.
const WEBHOOK: &str = "acapy::webhook::";

/// Why a text names nothing on Kafka.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of an event: its parts are 1 to 249 of letters, digits, . _ - in all, with :: between them"
)]
pub struct NameError(String);

/// `acapy::record::connections` → `acapy-record-connections`. Errors: Kafka has
/// no topic of such a name.
pub fn to_kafka(bus_topic: &str) -> Result<String, NameError> {
    let topic = bus_topic.replace(BUS, KAFKA);
    match is_topic_name(&topic) {
        true => Ok(topic),
        // Cut: it may be as long as a request's head.
        false => Err(NameError(bus_topic.chars().take(80).collect())),
    }
}

/// `acapy-inbound-test` → `acapy::inbound::test`. A `-` within a part, which
/// some events have, does not come back.
pub fn to_bus(kafka_topic: &str) -> String {
    kafka_topic.replace(KAFKA, BUS)
}

/// The bus topic of an event that the agent tells by webhook.
pub fn of_webhook(topic: &str) -> String {
    format!("{WEBHOOK}{topic}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_event_name_comes_back_from_kafka(parts in prop::collection::vec("[a-zA-Z0-9_.]{1,20}", 1..8)) {
            let bus = parts.join("::");
            prop_assume!(is_topic_name(&bus.replace("::", "-")));
            let kafka = to_kafka(&bus).expect("legal parts");
            prop_assert_eq!(to_bus(&kafka), bus);
        }

        #[test]
        fn whatever_becomes_a_topic_is_one_that_kafka_takes(text in "\\PC{0,300}") {
            if let Ok(topic) = to_kafka(&text) {
                prop_assert!(is_topic_name(&topic), "{}", topic);
            }
        }

        #[test]
        fn a_kafka_topic_comes_back_from_the_bus(topic in "[a-zA-Z0-9_.-]{1,100}") {
            prop_assume!(is_topic_name(&topic));
            prop_assert_eq!(to_kafka(&to_bus(&topic)), Ok(topic));
        }
    }

    #[test]
    fn the_events_of_an_agent_have_the_names_that_consumers_know() {
        for (bus, kafka) in [
            (
                "acapy::record::present_proof::presentation_received",
                "acapy-record-present_proof-presentation_received",
            ),
            ("acapy::outbound::message", "acapy-outbound-message"),
            (
                "acapy::basicmessage::received",
                "acapy-basicmessage-received",
            ),
        ] {
            assert_eq!(to_kafka(bus).as_deref(), Ok(kafka));
            assert_eq!(to_bus(kafka), bus);
        }
        assert_eq!(of_webhook("connections"), "acapy::webhook::connections");
    }

    #[test]
    fn what_kafka_cannot_have_as_a_topic_is_refused() {
        for wrong in ["", ".", "..", "a:b", "a b", "a/b", "a\0b", "ä", "a\n"] {
            assert!(to_kafka(wrong).is_err(), "{wrong:?}");
        }
        assert!(to_kafka(&"a".repeat(250)).is_err());
    }
}
