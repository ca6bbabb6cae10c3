//! Which events go to Kafka, and to which topics.

use super::form::{Event, Unfit};
use super::names;
use crate::config::{TemplateName, TopicMap};

/// Events that go out where nothing else is configured, each on a topic of its
/// own name.
const PLAIN: [(&str, &str); 4] = [
    ("acapy::outbound::.*", "$topic"),
    ("acapy::webhook::.*", "$topic"),
    ("acapy::record::.*", "$topic"),
    ("acapy::basicmessage::.*", "$topic"),
];

/// Where nothing else is configured for envelopes.
const ENVELOPED: [(&str, &str); 4] = [
    ("^acapy::webhook::(.*)$", "acapy-webhook-$wallet_id"),
    (
        "^acapy::record::([^:]*)::([^:]*)$",
        "acapy-record-with-state-$wallet_id",
    ),
    ("^acapy::record::([^:])?", "acapy-record-$wallet_id"),
    (
        "acapy::basicmessage::received",
        "acapy-basicmessage-received",
    ),
];

/// The map of the plain form.
pub fn plain() -> TopicMap {
    constant(&PLAIN)
}

/// The map of the enveloped form, unless the plugin's file has another one.
pub fn enveloped() -> TopicMap {
    constant(&ENVELOPED)
}

fn constant(map: &[(&str, &str)]) -> TopicMap {
    let owned = map
        .iter()
        .map(|(pattern, template)| ((*pattern).to_owned(), (*template).to_owned()));
    // A test reads them.
    TopicMap::parse(owned).unwrap_or_default()
}

/// The topics of every pattern that matches, each once, in order.
pub fn topics(
    map: &TopicMap,
    event: &Event,
    state: &Option<String>,
    category: Option<&str>,
) -> Result<Vec<String>, Unfit> {
    let value = |name: TemplateName| match name {
        TemplateName::WalletId => event.wallet_id.as_deref().unwrap_or("base"),
        TemplateName::State => state.as_deref().unwrap_or("None"),
        TemplateName::Topic => &event.topic,
        TemplateName::Category => category.unwrap_or("None"),
    };
    let mut topics = Vec::new();
    for template in map.templates(&event.topic) {
        let topic = names::to_kafka(&template.fill(value))?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maps_that_hold_without_configuration_are_sound() {
        for map in [plain(), enveloped()] {
            assert!(map.is_match("acapy::record::connections::active"));
            assert!(map.is_match("acapy::webhook::ping"));
            assert!(!map.is_match("acapy::ping::received"));
        }
    }
}
