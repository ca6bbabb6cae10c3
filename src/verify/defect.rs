//! What must not be, found.

use serde::Serialize;
use uuid::Uuid;

use crate::catalogue::Row;
use crate::record::ContentDigest;

/// One thing that is not as it must be, and where. As JSON: `kind`, a stable
/// name, the kind's own fields, and of `topic`, `uuid`, `bucket` and `key`
/// what applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defect {
    #[serde(flatten)]
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What kind of defect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A row's object is not in the store.
    MissingObject,
    /// A row's object is there and cannot be read.
    UnreadableObject { cause: String },
    /// Bytes.
    WrongSize { object: u64, catalogue: i64 },
    /// CRC-32 of the object.
    WrongCrc { object: u32, catalogue: u32 },
    /// The object is no BSON document.
    NotBson { cause: String },
    /// The object is BSON, and no message.
    NotAMessage { cause: String },
    /// CRC-32 of the value: as it is, as the object says, as the row says.
    WrongMessageCrc {
        value: u32,
        annotation: u32,
        catalogue: u32,
    },
    /// Of key, value and headers: as it is, as the object says, as the row says.
    WrongDigest {
        #[serde(serialize_with = "shown")]
        content: ContentDigest,
        #[serde(serialize_with = "shown_if_known")]
        annotation: Option<ContentDigest>,
        #[serde(serialize_with = "shown_if_known")]
        catalogue: Option<ContentDigest>,
    },
    /// Object and row differ in a field.
    Disagrees {
        field: &'static str,
        object: String,
        catalogue: String,
    },
    /// An object in the place of a message's, without a row. Bytes.
    OrphanObject { size: u64 },
    /// An object whose key is none of the archive's. Bytes.
    ForeignObject { size: u64 },
    /// These offsets, [from, to), are not archived, or not as the log has them:
    /// Kafka's retention removed them (`retention`), somebody skipped them
    /// (`skipped`), or the log was truncated below what was archived of it
    /// (`truncated`). Found at that time, ms since 1970-01-01 UTC.
    Gap {
        partition: i32,
        from: i64,
        to: i64,
        reason: &'static str,
        found_at: i64,
        /// When somebody said that they know of it: no defect from then on.
        acknowledged_at: Option<i64>,
    },
    /// Records that were archived of these offsets, [from, to), are no longer in
    /// the catalogue.
    Unaccounted {
        partition: i32,
        from: i64,
        to: i64,
        missing: i64,
    },
    /// A record that Kafka has and the archive has not.
    NotArchived { partition: i32, offset: i64 },
    /// A transaction is open since before the verification began: the records
    /// between these offsets could not be read, so nothing is known of them.
    UnstableRecords {
        partition: i32,
        last_stable_offset: i64,
        high_watermark: i64,
        /// The difference: an upper bound, as it counts control records.
        records: i64,
    },
    /// A record that Kafka has otherwise than the archive.
    UnlikeKafka {
        partition: i32,
        offset: i64,
        field: &'static str,
        kafka: String,
        catalogue: String,
    },
    /// A record that Kafka has and that repeats an archived message, which the
    /// archive does not know of it.
    RetryNotRecorded { partition: i32, offset: i64 },
    /// A row's signature is not the one of what the row says.
    SignatureInvalid { key: String },
    /// A row was added after signing began, and has no signature.
    SignatureMissing,
    /// A row is signed with a key of which only the id is known.
    SignatureKeyUnknown { key: String },
    /// An object without a valid signature, of which a rebuild made a row.
    UnconfirmedObject { cause: String },
    /// A rebuild of the catalogue is under way, or was stopped: rows are missing.
    IncompleteCatalogue { cause: String },
    /// A record that has two rows: that of [`Defect::uuid`], and an earlier one.
    ArchivedTwice {
        partition: i32,
        offset: i64,
        /// `None`: rows of an older archive.
        topic_id: Option<String>,
        first: Uuid,
    },
    /// The table `topics` has another number of messages than there are rows.
    WrongCount { rows: i64, topics: i64 },
    /// The table `topics` has another earliest or latest time than the rows.
    WrongTimes {
        rows: (i64, i64),
        topics: (i64, i64),
    },
}

fn shown<S: serde::Serializer>(digest: &ContentDigest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

fn shown_if_known<S: serde::Serializer>(
    digest: &Option<ContentDigest>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => to.collect_str(digest),
        None => to.serialize_none(),
    }
}

impl Defect {
    pub(super) fn of_row(row: &Row, kind: Kind) -> Self {
        Self {
            kind,
            topic: Some(row.topic.to_string()),
            uuid: Some(row.uuid),
            bucket: Some(row.bucket.clone()),
            key: Some(row.key.clone()),
        }
    }

    pub(super) fn of_object(bucket: &str, key: String, uuid: Option<Uuid>, kind: Kind) -> Self {
        Self {
            kind,
            topic: None,
            uuid,
            bucket: Some(bucket.to_owned()),
            key: Some(key),
        }
    }

    pub(super) fn of_record(topic: &str, uuid: Uuid, kind: Kind) -> Self {
        Self {
            uuid: Some(uuid),
            ..Self::of_topic(topic.to_owned(), kind)
        }
    }

    /// Whether somebody said that they know of it: it is told, and no defect.
    pub fn is_known(&self) -> bool {
        matches!(
            self.kind,
            Kind::Gap {
                acknowledged_at: Some(_),
                ..
            }
        )
    }

    pub(super) fn of_catalogue(kind: Kind) -> Self {
        Self {
            kind,
            topic: None,
            uuid: None,
            bucket: None,
            key: None,
        }
    }

    pub(super) fn of_topic(topic: String, kind: Kind) -> Self {
        Self {
            kind,
            topic: Some(topic),
            uuid: None,
            bucket: None,
            key: None,
        }
    }
}

impl Kind {
    /// Its stable name, the same as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingObject => "missing_object",
            Self::UnreadableObject { .. } => "unreadable_object",
            Self::WrongSize { .. } => "wrong_size",
            Self::WrongCrc { .. } => "wrong_crc",
            Self::NotBson { .. } => "not_bson",
            Self::NotAMessage { .. } => "not_a_message",
            Self::WrongMessageCrc { .. } => "wrong_message_crc",
            Self::WrongDigest { .. } => "wrong_digest",
            Self::Disagrees { .. } => "disagrees",
            Self::OrphanObject { .. } => "orphan_object",
            Self::ForeignObject { .. } => "foreign_object",
            Self::Gap { .. } => "gap",
            Self::Unaccounted { .. } => "unaccounted",
            Self::NotArchived { .. } => "not_archived",
            Self::UnstableRecords { .. } => "unstable_records",
            Self::UnlikeKafka { .. } => "unlike_kafka",
            Self::RetryNotRecorded { .. } => "retry_not_recorded",
            Self::SignatureInvalid { .. } => "signature_invalid",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureKeyUnknown { .. } => "signature_key_unknown",
            Self::UnconfirmedObject { .. } => "unconfirmed_object",
            Self::IncompleteCatalogue { .. } => "incomplete_catalogue",
            Self::ArchivedTwice { .. } => "archived_twice",
            Self::WrongCount { .. } => "wrong_count",
            Self::WrongTimes { .. } => "wrong_times",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_has_the_same_name_in_json_and_for_people() {
        let digest = ContentDigest([0; 32]);
        let text = String::new;
        for kind in [
            Kind::MissingObject,
            Kind::UnreadableObject { cause: text() },
            Kind::WrongSize {
                object: 1,
                catalogue: 2,
            },
            Kind::WrongCrc {
                object: 1,
                catalogue: 2,
            },
            Kind::NotBson { cause: text() },
            Kind::NotAMessage { cause: text() },
            Kind::WrongMessageCrc {
                value: 1,
                annotation: 2,
                catalogue: 3,
            },
            Kind::WrongDigest {
                content: digest,
                annotation: None,
                catalogue: Some(digest),
            },
            Kind::Disagrees {
                field: "topic",
                object: text(),
                catalogue: text(),
            },
            Kind::OrphanObject { size: 1 },
            Kind::ForeignObject { size: 1 },
            Kind::Gap {
                partition: 0,
                from: 1,
                to: 2,
                reason: "retention",
                found_at: 3,
                acknowledged_at: None,
            },
            Kind::Unaccounted {
                partition: 0,
                from: 1,
                to: 9,
                missing: 2,
            },
            Kind::NotArchived {
                partition: 0,
                offset: 1,
            },
            Kind::UnstableRecords {
                partition: 0,
                last_stable_offset: 1,
                high_watermark: 3,
                records: 2,
            },
            Kind::UnlikeKafka {
                partition: 0,
                offset: 1,
                field: "timestamp",
                kafka: text(),
                catalogue: text(),
            },
            Kind::RetryNotRecorded {
                partition: 0,
                offset: 1,
            },
            Kind::SignatureInvalid { key: text() },
            Kind::SignatureMissing,
            Kind::SignatureKeyUnknown { key: text() },
            Kind::UnconfirmedObject { cause: text() },
            Kind::IncompleteCatalogue { cause: text() },
            Kind::ArchivedTwice {
                partition: 0,
                offset: 1,
                topic_id: None,
                first: Uuid::nil(),
            },
            Kind::WrongCount { rows: 1, topics: 2 },
            Kind::WrongTimes {
                rows: (1, 2),
                topics: (1, 3),
            },
        ] {
            let name = kind.name();
            let defect = Defect::of_topic("t".to_owned(), kind);
            let json = serde_json::to_value(&defect).expect("JSON");
            assert_eq!(json["kind"], name);
            assert!(
                defect
                    .to_string()
                    .starts_with(&format!("{name}: topic t: "))
            );
        }
    }
}
