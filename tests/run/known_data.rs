//! The known test data, archived and read back equal.

use archive_ingest::envelope;
use archive_ingest::kafka::{HEARTBEAT_TOPIC, known_records};
use archive_ingest::record::Record;
use uuid::Uuid;

use crate::support::broker::Access;
use crate::support::compare::{assert_exactly, assert_no_orphan};
use crate::support::{Archived, Broker, Place};

const REPEATED: Uuid = Uuid::from_bytes(*b"known-data-twice");
const CONTESTED: Uuid = Uuid::from_bytes(*b"known-data-claim");

/// The records, with what becomes of them.
struct Known {
    /// Become messages.
    messages: Vec<Record>,
    /// A producer's retry of one of them.
    retry: Record,
}

impl Known {
    /// `rename` gives each topic its name on the broker.
    fn new(rename: impl Fn(&str) -> String) -> Self {
        let mut messages: Vec<Record> = known_records()
            .into_iter()
            .filter(|record| &*record.topic != HEARTBEAT_TOPIC)
            .collect();
        for record in &mut messages {
            record.topic = rename(&record.topic).into();
        }
        let repeated = |r: &Record| r.value.as_deref() == Some(b"received twice");
        let second = messages.iter().rposition(repeated).expect("it is there");
        let retry = messages.remove(second);
        assert!(messages.iter().any(repeated), "it is there twice");
        Self { messages, retry }
    }

    fn assert_archived(&self, place: &Place) {
        let archived = place.archived();
        assert_exactly(&self.messages, &archived);
        assert_no_orphan(&archived, &place.object_keys());
        for message in &archived {
            assert_uuid_is_as_specified(message);
        }
        self.assert_retry_is_remembered(place);
    }

    fn assert_retry_is_remembered(&self, place: &Place) {
        let Record {
            topic, partition, ..
        } = &self.retry;
        let retries = place
            .catalogue()
            .retries(topic, *partition, 0..i64::MAX)
            .expect("a readable catalogue");
        let [retry] = &retries[..] else {
            panic!("one retry, not {retries:?}");
        };
        assert_eq!(retry.uuid, REPEATED);
        assert_eq!(retry.offset, self.retry.offset);
        assert_eq!(retry.timestamp, self.retry.timestamp);
        assert_eq!(retry.timestamp_type, self.retry.timestamp_type);
    }
}

/// The client's UUID for the first message that claims it, else the derived
/// one, with a note of what was asked for.
fn assert_uuid_is_as_specified(message: &Archived) {
    let Archived {
        record,
        annotations,
        ..
    } = message;
    let asked = record
        .headers
        .iter()
        .filter(|header| header.name == b"_id")
        .find_map(|header| Uuid::from_slice(header.value.as_deref()?).ok());
    let derived = envelope::derived_uuid(&envelope::delivery(record), 0);
    let too_late = record.value.as_deref() == Some(b"another message");
    let (uuid, is_client, requested) = match asked {
        Some(asked) if too_late => (derived, false, Some(asked)),
        Some(asked) => (asked, true, None),
        None => (derived, false, None),
    };
    if too_late {
        assert_eq!(asked, Some(CONTESTED));
    }
    assert_eq!(annotations.uuid, uuid);
    assert_eq!(annotations.is_client_uuid, is_client);
    assert_eq!(annotations.requested_uuid, requested);
}

/// Makes the topics of the known data on the broker and fills them.
fn publish(broker: &Broker) -> Known {
    let mut records = known_records();
    let mut made = std::collections::BTreeMap::new();
    for record in &mut records {
        let name = record.topic.to_string();
        let partitions = 1 + known_records()
            .iter()
            .filter(|other| *other.topic == *name)
            .map(|other| other.partition)
            .max()
            .expect("it is one of them");
        record.topic = made
            .entry(name.clone())
            .or_insert_with(|| broker.create(&name, partitions))
            .as_str()
            .into();
    }
    broker.send(&records);
    Known::new(|topic| broker.name(topic))
}

/// The heartbeat is left out because the veto list says so.
fn place_on(broker: &Broker, access: Access) -> Option<Place> {
    let place = Place::real_with(broker, access)?;
    place.write("veto.list", &format!("{}\n", broker.name(HEARTBEAT_TOPIC)));
    Some(place)
}

fn is_archived_whole_over(access: Access) {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = place_on(&broker, access) else {
        return;
    };
    let known = publish(&broker);
    let summary = place.run_to_end();
    assert_eq!(summary.archived, known.messages.len() as u64);
    assert_eq!(summary.duplicates, 1, "the repeated message");
    known.assert_archived(&place);
}

#[test]
fn the_embedded_defaults_archive_it_whole_and_a_second_run_finds_only_redeliveries() {
    let place = Place::embedded();
    let known = Known::new(str::to_owned);
    let all = known.messages.len() as u64;
    place.write("veto.list", HEARTBEAT_TOPIC);
    let first = place.run_to_end();
    assert_eq!((first.archived, first.duplicates), (all, 1));
    known.assert_archived(&place);

    let second = place.run_to_end();
    assert_eq!((second.archived, second.duplicates), (0, all + 1));
    known.assert_archived(&place);
}

#[test]
fn without_any_file_or_flag_the_heartbeat_is_left_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = crate::support::program::command();
    command.current_dir(folder.path());
    command.args(["run", "--until-eos", "--json"]);
    let summary = crate::support::Process::start(command)
        .ended()
        .clean()
        .summary();
    assert_eq!(summary.archived, 38);
    assert!(!summary.topics.contains_key(HEARTBEAT_TOPIC));
}

#[test]
fn on_kafka_postgresql_and_s3_later_runs_find_only_redeliveries() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = place_on(&broker, Access::Plaintext) else {
        return;
    };
    let known = publish(&broker);
    let all = known.messages.len() as u64;
    let first = place.run_to_end();
    assert_eq!((first.archived, first.duplicates), (all, 1));
    known.assert_archived(&place);

    let same_group = place.run_to_end();
    assert_eq!((same_group.archived, same_group.duplicates), (0, 0));
    known.assert_archived(&place);

    place.set("hop", "hop-groupname", "\"random\"");
    let new_group = place.run_to_end();
    assert_eq!((new_group.archived, new_group.duplicates), (0, all + 1));
    known.assert_archived(&place);
}

#[test]
fn sasl_plaintext_with_scram_sha_256_archives_it_whole() {
    is_archived_whole_over(Access::SaslPlaintext("SCRAM-SHA-256"));
}

#[test]
fn sasl_plaintext_with_scram_sha_512_archives_it_whole() {
    is_archived_whole_over(Access::SaslPlaintext("SCRAM-SHA-512"));
}

#[test]
fn sasl_plaintext_with_plain_archives_it_whole() {
    is_archived_whole_over(Access::SaslPlaintext("PLAIN"));
}

#[test]
fn sasl_ssl_with_scram_sha_256_archives_it_whole() {
    is_archived_whole_over(Access::SaslSsl("SCRAM-SHA-256"));
}

#[test]
fn sasl_ssl_with_scram_sha_512_archives_it_whole() {
    is_archived_whole_over(Access::SaslSsl("SCRAM-SHA-512"));
}

#[test]
fn sasl_ssl_with_plain_archives_it_whole() {
    is_archived_whole_over(Access::SaslSsl("PLAIN"));
}
