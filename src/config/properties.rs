//! `hop-properties`: which of librdkafka's properties may be handed through.

/// Properties that this program sets itself, and why nobody else may.
/// `metadata.broker.list` and `auto.commit.enable` are other names that
/// librdkafka knows for two of them.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "use hop-hostname and hop-port"),
    ("metadata.broker.list", "use hop-hostname and hop-port"),
    ("group.id", "use hop-groupname"),
    ("sasl.username", "use hop-local-auth or HOP_USERNAME"),
    ("sasl.password", "use hop-local-auth or HOP_PASSWORD"),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    (
        "auto.offset.reset",
        "a new group starts at the beginning, and lost offsets are recorded as a gap",
    ),
    ("isolation.level", "only committed data is archived"),
    (
        "enable.partition.eof",
        "the end of a partition is how the archiver knows that it is caught up",
    ),
];

const COMMITS: &str = "offsets are committed after the object and the row are durable";

/// `Err` is the reason and what to do; it never contains the value.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    if let Some((_, why)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        return Err(format!(
            "{name} is this program's own to set ({why}): remove it"
        ));
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        return Err(format!(
            "{name:?} is not a property's name: \
             write it as librdkafka's CONFIGURATION.md does, like fetch.max.bytes"
        ));
    }
    if value.is_empty() || value.contains(char::is_control) {
        return Err(format!(
            "{name} is empty or contains a control character: give it a value or remove it"
        ));
    }
    Ok(())
}
