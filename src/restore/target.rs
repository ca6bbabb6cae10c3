//! What a topic must be like, so that records of the past stay on it.

use std::collections::BTreeMap;

use crate::catalogue::StreamExtent;
use crate::kafka::TopicSettings;

/// What a batch of one record takes beside the record, and what a stored
/// document takes beside the same fields at least, bytes.
const SLACK: u64 = 4096;

/// Kafka's default of `max.message.bytes`.
const DEFAULT_MESSAGE_BYTES: u64 = 1_048_588;

/// What a topic that is made for a restore is set to: it keeps everything,
/// however old.
pub(super) fn settings_for(extent: &StreamExtent) -> BTreeMap<String, String> {
    let any_time = i64::MAX.to_string();
    let largest = (extent.largest + SLACK).max(DEFAULT_MESSAGE_BYTES);
    [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("message.timestamp.before.max.ms", any_time.clone()),
        ("message.timestamp.after.max.ms", any_time),
        ("max.message.bytes", largest.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Why these records would not stay on a topic as they were, each with what to
/// do. `now` is ms since 1970-01-01 UTC.
pub(super) fn problems(
    topic: &str,
    settings: &TopicSettings,
    extent: &StreamExtent,
    by_key: bool,
    now: i64,
) -> Vec<String> {
    if extent.messages + extent.retries == 0 {
        return vec![];
    }
    let of = [
        partitions(settings, extent, by_key),
        retention(settings, extent, now),
        retained_bytes(settings, extent),
        compaction(settings),
        time_type(settings),
        time_limits(settings, extent, now),
        message_bytes(settings, extent),
    ];
    let told = |problem: String| format!("topic {topic} {problem}");
    of.into_iter().flatten().map(told).collect()
}

fn partitions(settings: &TopicSettings, extent: &StreamExtent, by_key: bool) -> Option<String> {
    (!by_key && settings.partitions < extent.partitions).then(|| {
        format!(
            "has {} partitions, and the archive's records were in {}: add partitions, or let their keys choose with --by-key",
            settings.partitions, extent.partitions
        )
    })
}

fn retention(settings: &TopicSettings, extent: &StreamExtent, now: i64) -> Option<String> {
    let keeps = settings.number("retention.ms").filter(|ms| *ms >= 0)?;
    (extent.earliest < now.saturating_sub(keeps)).then(|| {
        format!(
            "keeps records for {keeps} ms only, and the oldest to be restored is of {} (ms since 1970): it would be deleted at once; set retention.ms=-1",
            extent.earliest
        )
    })
}

fn retained_bytes(settings: &TopicSettings, extent: &StreamExtent) -> Option<String> {
    let keeps = settings.number("retention.bytes").filter(|n| *n >= 0)?;
    let all = keeps.unsigned_abs() * settings.partitions.unsigned_abs() as u64;
    (extent.bytes > all).then(|| {
        format!(
            "keeps {keeps} bytes a partition only, and {} are to be restored: set retention.bytes=-1",
            extent.bytes
        )
    })
}

fn compaction(settings: &TopicSettings) -> Option<String> {
    let policy = settings.values.get("cleanup.policy")?;
    policy.contains("compact").then(|| {
        "is compacted, so that of equal keys only the last would stay: set cleanup.policy=delete for the restore".to_owned()
    })
}

fn time_type(settings: &TopicSettings) -> Option<String> {
    let kind = settings.values.get("message.timestamp.type")?;
    (kind != "CreateTime").then(|| {
        format!(
            "gives records a time of its own: set message.timestamp.type=CreateTime (it is {kind})"
        )
    })
}

fn time_limits(settings: &TopicSettings, extent: &StreamExtent, now: i64) -> Option<String> {
    // One name before Kafka 3.6, two since.
    let limit = |name| {
        let old = settings.number("message.timestamp.difference.max.ms");
        settings.number(name).or(old).unwrap_or(i64::MAX)
    };
    let (before, after) = (
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
    );
    let too_old = extent.earliest < now.saturating_sub(limit(before));
    let too_new = extent.latest > now.saturating_add(limit(after));
    let name = match (too_old, too_new) {
        (false, false) => return None,
        (true, _) => before,
        (false, true) => after,
    };
    Some(format!(
        "refuses records of some times that are to be restored ({} to {}, ms since 1970): set {name}={}",
        extent.earliest,
        extent.latest,
        i64::MAX
    ))
}

fn message_bytes(settings: &TopicSettings, extent: &StreamExtent) -> Option<String> {
    let most = settings.number("max.message.bytes")?;
    // A stored document is somewhat larger than its record.
    (extent.largest > most.unsigned_abs() + SLACK).then(|| {
        format!(
            "takes records of {most} bytes, and the largest to be restored has about {}: set max.message.bytes={}",
            extent.largest,
            extent.largest + SLACK
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn extent() -> StreamExtent {
        StreamExtent {
            messages: 3,
            earliest: 1_700_000_000_000,
            latest: 4_102_444_800_000,
            largest: 2_000_000,
            bytes: 5_000_000,
            partitions: 3,
            ..StreamExtent::default()
        }
    }

    fn made() -> TopicSettings {
        TopicSettings {
            partitions: 3,
            values: settings_for(&extent()),
        }
    }

    #[test]
    fn a_topic_that_is_made_for_a_restore_fits() {
        assert_eq!(
            problems("t", &made(), &extent(), false, NOW),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_setting_that_would_lose_something_is_told_by_its_name() {
        for (name, value) in [
            ("retention.ms", "604800000"),
            ("retention.bytes", "1000"),
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "LogAppendTime"),
            ("message.timestamp.before.max.ms", "3600000"),
            ("message.timestamp.after.max.ms", "3600000"),
            ("max.message.bytes", "1048588"),
        ] {
            let mut settings = made();
            settings.values.insert(name.to_owned(), value.to_owned());
            let found = problems("t", &settings, &extent(), false, NOW);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].contains(name), "{}", found[0]);
        }
    }

    #[test]
    fn too_few_partitions_are_enough_when_keys_choose() {
        let mut settings = made();
        settings.partitions = 2;
        assert_eq!(problems("t", &settings, &extent(), false, NOW).len(), 1);
        assert_eq!(problems("t", &settings, &extent(), true, NOW).len(), 0);
    }
}
